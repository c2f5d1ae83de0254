"""A double of Dispersed, not the network: its jobs and runs, as local processes. Written from its documentation.

Sources: the pages "Create Job", "Stop Job", "Job Types", "Job Monitoring" and "Cook Job from Recipe" of
otoyinc.mintlify.app (read 2026-11-23). What they do not say is refused (unknown fields, undocumented filters), or is
this double's own and marked so. An image is a name that the test gave a local program: nothing else is run.
"""

import dataclasses
import datetime as dt
import os
import pathlib
import secrets
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.doubles.dispersed import accounts

REGIONS = frozenset(
    {
        "ca-central-1",
        "ca-west-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
    }
)
"""Of the 36 codes on the page, those that were read."""
JOB_FIELDS = frozenset(
    {
        "task",
        "title",
        "description",
        "cpu_count",
        "gpu_count",
        "gpu_name",
        "gpu_registry_uuid",
        "min_ram_gb",
        "min_vram_gb",
        "min_storage_gb",
        "max_node_count",
        "max_retry_count",
        "max_timeout_assign_ms",
        "max_timeout_start_ms",
        "max_timeout_run_ms",
        "parameters",
        "allowed_region_codes",
    }
)
DOCKER_FIELDS = frozenset(
    {"allowed_ips", "env", "host", "image", "imagesrc", "ports", "secret", "sshkey", "tag", "user", "volumes"}
)
LEAST_MS = {"max_timeout_run_ms": 60_000, "max_timeout_assign_ms": 300_000, "max_timeout_start_ms": 120_000}
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclasses.dataclass(slots=True)
class Run:
    """One execution of a job: a local process, or none where no node takes it."""

    uuid: str
    job: str
    status: str
    started_ms: int | None
    log: pathlib.Path
    process: "subprocess.Popen[bytes] | None" = None


@dataclasses.dataclass(slots=True)
class Job:
    """A job, its document as it was sent, and its runs."""

    uuid: str
    document: dict[str, Any]
    created_ms: int
    status: str = "PENDING"
    reason: str | None = None
    started_ms: int | None = None
    completed_ms: int | None = None
    runs: list[Run] = dataclasses.field(default_factory=list)


class Network:
    """Jobs of one account. ``images``: name with tag -> local program; ``regions``: those that have nodes."""

    def __init__(self, gate: accounts.Gate, images: Mapping[str, Sequence[str]]) -> None:
        self.gate = gate
        self.images = dict(images)
        self.regions = set(REGIONS)
        self.echoes_regions = False
        self.jobs: dict[str, Job] = {}
        self.forced: dict[str, str] = {}
        """Job -> status that is told instead, for states that the documentation does not know."""
        self._folder = tempfile.TemporaryDirectory()
        self._lock = threading.RLock()

    def close(self) -> None:
        """End every process."""
        with self._lock:
            for job in self.jobs.values():
                for run in job.runs:
                    _kill(run, signal.SIGKILL)
        self._folder.cleanup()

    # --- the API's verbs ----------------------------------------------------------------------------------------------

    def create(self, document: Any) -> dict[str, Any]:
        """``POST /v1/jobs``."""
        _check_document(document)
        with self._lock:
            job = Job(_id(), document, self.gate.now_ms())
            self.jobs[job.uuid] = job
            self._assign(job)
            return self.told(job)

    def get(self, name: str) -> dict[str, Any]:
        """``GET /v1/jobs/{uuid}``."""
        with self._lock:
            return self.told(self._job(name))

    def cancel(self, name: str, body: Any) -> dict[str, Any]:
        """``PUT /v1/jobs/{uuid}/cancel``."""
        if not isinstance(body, dict) or set(body) != {"reason"} or not isinstance(body["reason"], str):
            raise accounts.RefusalError(400, "BAD_BODY", "reason is required")
        with self._lock:
            job = self._job(name)
            self._look(job)
            if job.status in ENDED:
                raise accounts.RefusalError(
                    400, "ENDED", "the job is over"
                )  # what the network says here is not published
            job.reason = body["reason"]
            job.status = "CANCELLING"
            for run in job.runs:
                if run.status not in ENDED:
                    run.status = "CANCELLING"
                    _kill(run, signal.SIGKILL)
            self._look(job)
            return self.told(job)

    def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """``GET /v1/jobs``."""
        known = {"page", "limit", "sort", "filter[status]", "filter[uuid]", "filter[task]"}
        page, limit = _page(query, known)
        states = query.get("filter[status]", "").split(",") if "filter[status]" in query else None
        with self._lock:
            rows = [self.told(job) for job in self.jobs.values()]
        rows.sort(key=lambda row: row["created_at"], reverse=query.get("sort", "-created_at").startswith("-"))
        rows = [row for row in rows if states is None or row["status"] in states]
        rows = [row for row in rows if query.get("filter[uuid]", row["uuid"]) == row["uuid"]]
        return {"data": rows[(page - 1) * limit : page * limit], "page": page, "limit": limit, "total": len(rows)}

    def list_runs(self, query: Mapping[str, str]) -> dict[str, Any]:
        """``GET /v1/job-runs``: without logs."""
        page, limit = _page(query, {"page", "limit", "sort", "filter[job_uuid]", "filter[status]"})
        with self._lock:
            for job in self.jobs.values():
                self._look(job)
            runs = [run for job in self.jobs.values() for run in job.runs]
        rows = [_told_run(run) for run in runs if query.get("filter[job_uuid]", run.job) == run.job]
        return {"data": rows[(page - 1) * limit : page * limit], "page": page, "limit": limit, "total": len(rows)}

    def get_run(self, name: str) -> dict[str, Any]:
        """``GET /v1/job-runs/{uuid}``: with logs."""
        with self._lock:
            for job in self.jobs.values():
                for run in job.runs:
                    if run.uuid == name:
                        self._look(job)
                        logs = run.log.read_text("utf-8", "replace") if run.log.exists() else ""
                        return _told_run(run) | {"logs": logs}
        raise accounts.RefusalError(404, "NOT_FOUND", "no such job run")

    # --- what happens in it -------------------------------------------------------------------------------------------

    def told(self, job: Job) -> dict[str, Any]:
        """Return a job as the API tells it."""
        self._look(job)
        told = {name: value for name, value in job.document.items() if name != "allowed_region_codes"}
        if self.echoes_regions:
            told["allowed_region_codes"] = job.document.get("allowed_region_codes", [])
        return told | {
            "object": "job",
            "uuid": job.uuid,
            "status": self.forced.get(job.uuid, job.status),
            "status_reason": job.reason,
            "created_at": _iso(job.created_ms),
            "updated_at": _iso(self.gate.now_ms()),
            "started_at": _iso(job.started_ms),
            "completed_at": _iso(job.completed_ms),
        }

    def give_up(self, name: str) -> None:
        """Let the time for which a job waits for a node be over."""
        with self._lock:
            job = self._job(name)
            job.status, job.reason, job.completed_ms = "FAILED", "no node was assigned in time", self.gate.now_ms()

    def _job(self, name: str) -> Job:
        if name not in self.jobs:
            raise accounts.RefusalError(404, "NOT_FOUND", "no such job")
        return self.jobs[name]

    def _assign(self, job: Job) -> None:
        wanted = job.document.get("allowed_region_codes") or sorted(REGIONS)
        if not self.regions.intersection(wanted):
            return
        docker = job.document["parameters"]["parameters"]
        name = f"{docker['image']}:{docker.get('tag', 'latest')}"
        name = f"{docker['host']}/{name}" if docker.get("host") else name
        run = Run(_id(), job.uuid, "ASSIGNED", None, pathlib.Path(self._folder.name) / _id())
        job.runs.append(run)
        words = self.images.get(name)
        if words is None:
            job.status = run.status = "FAILED"
            job.reason, job.completed_ms = f"image {name} cannot be pulled", self.gate.now_ms()
            job.started_ms = self.gate.now_ms()
            return
        with run.log.open("wb") as log:
            env = {"PATH": os.environ.get("PATH", ""), **docker.get("env", {})}
            run.process = subprocess.Popen(
                list(words), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        job.status = run.status = "RUNNING"
        job.started_ms = run.started_ms = self.gate.now_ms()

    def _look(self, job: Job) -> None:
        """Take note of what ended."""
        for run in job.runs:
            if run.process is None or run.status in ENDED:
                continue
            late = run.started_ms is not None and self.gate.now_ms() - run.started_ms >= (
                job.document.get("max_timeout_run_ms") or 2**62
            )
            if late and run.process.poll() is None:
                _kill(run, signal.SIGKILL)
                run.process.wait()
                job.reason = "the timeout is reached"
            code = run.process.poll() if run.status != "CANCELLING" else run.process.wait()
            if code is None:
                continue
            run.status = "CANCELLED" if run.status == "CANCELLING" else "COMPLETED" if code == 0 else "FAILED"
        if job.status not in ENDED and job.runs and all(run.status in ENDED for run in job.runs):
            job.status = job.runs[-1].status
            job.completed_ms = self.gate.now_ms()
        elif job.status == "CANCELLING" and not job.runs:
            job.status, job.completed_ms = "CANCELLED", self.gate.now_ms()


def _check_document(document: Any) -> None:
    """Refuse what the page "Create Job" does not have."""
    if not isinstance(document, dict) or not isinstance(document.get("title"), str):
        raise accounts.RefusalError(400, "BAD_BODY", "title is required")
    if unknown := sorted(set(document) - JOB_FIELDS):
        raise accounts.RefusalError(400, "BAD_BODY", f"unknown fields: {', '.join(unknown)}")
    if document.get("task") not in ("BATCH", "PERSISTENT"):
        raise accounts.RefusalError(400, "BAD_BODY", "task is BATCH or PERSISTENT")
    if document["task"] == "BATCH" and "max_timeout_run_ms" not in document:
        raise accounts.RefusalError(400, "BAD_BODY", "max_timeout_run_ms is required")
    for name, least in LEAST_MS.items():
        if (value := document.get(name)) is not None and (type(value) is not int or value < least):
            raise accounts.RefusalError(400, "BAD_BODY", f"{name} is at least {least}")
    for name in ("cpu_count", "gpu_count", "min_ram_gb", "min_vram_gb", "min_storage_gb", "max_retry_count"):
        if (value := document.get(name, 0)) < 0 or isinstance(value, bool):
            raise accounts.RefusalError(400, "BAD_BODY", f"{name} is at least 0")
    if "gpu_name" in document and "gpu_registry_uuid" in document:
        raise accounts.RefusalError(400, "BAD_BODY", "gpu_name and gpu_registry_uuid exclude each other")
    if unknown := sorted(set(document.get("allowed_region_codes", [])) - REGIONS):
        raise accounts.RefusalError(400, "BAD_BODY", f"unknown region codes: {', '.join(unknown)}")
    parameters = document.get("parameters")
    if not isinstance(parameters, dict) or set(parameters) != {"type", "parameters"} or parameters["type"] != "docker":
        raise accounts.RefusalError(400, "BAD_BODY", "parameters of type docker are required")
    docker = parameters["parameters"]
    if not isinstance(docker, dict) or set(docker) - DOCKER_FIELDS or not isinstance(docker.get("image"), str):
        raise accounts.RefusalError(400, "BAD_BODY", "parameters.parameters are none of docker")
    if not all(isinstance(text, str) for text in docker.get("env", {}).values()):
        raise accounts.RefusalError(400, "BAD_BODY", "env holds texts")


def _page(query: Mapping[str, str], known: set[str]) -> tuple[int, int]:
    if unknown := sorted(set(query) - known):
        raise accounts.RefusalError(400, "BAD_QUERY", f"unknown parameters: {', '.join(unknown)}")
    page, limit = int(query.get("page", "1")), int(query.get("limit", "20"))
    if page < 1 or not 1 <= limit <= 50:
        raise accounts.RefusalError(400, "BAD_QUERY", "page from 1, limit from 1 to 50")
    return page, limit


def _told_run(run: Run) -> dict[str, Any]:
    return {
        "uuid": run.uuid,
        "job_uuid": run.job,
        "status": run.status,
        "started_at_ms": run.started_ms,
        "node_urls": [],
    }


def _id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _kill(run: Run, number: signal.Signals) -> None:
    """Signal the process group of a run; gone is fine. Only groups that this double started."""
    if run.process is None or run.process.poll() is not None:
        return
    try:
        os.killpg(run.process.pid, number)
    except ProcessLookupError:
        pass
    if number == signal.SIGKILL:
        run.process.wait()
