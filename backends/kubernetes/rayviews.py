"""What is kept of a RayJob and of the pods of its Ray cluster, read with distrust. Pure. See :mod:`views`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import errors, names, rayjobs, views

ROLE_LABEL = "ray.io/node-type"
HEAD, WORKER, SUBMITTER = "head", "worker", "submitter"
WORD_MAX, MESSAGE_MAX = 128, 2_000
_NO: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class RayJob:
    """A RayJob of ours. ``name`` is the key of its attempt; the words of the operator are as they came, cut."""

    name: str
    job: views.Job
    """Its marks, as those of the Job that it would be; amounts are those of all of its pods together."""
    deployment: str
    status: str
    reason: str
    message: str
    ended: dt.datetime | None
    ran: dt.datetime | None
    """When Ray began to run the command."""
    closed: dt.datetime | None = None
    """When the operator said that it is over."""

    @property
    def version(self) -> int:
        """Return its resource version."""
        return self.job.version

    @property
    def over(self) -> bool:
        """Say whether nothing of it runs or will: it is over for the operator, or never began."""
        if self.deployment in ("Complete", "Failed", "ValidationFailed"):
            return True
        if self.job.spec_digest == rayjobs.FENCE_DIGEST:
            return True
        return self.ending and self.job.suspended and self.deployment == "Suspended"

    @property
    def ending(self) -> bool:
        """Say whether we told it to end."""
        return self.job.stopped or bool(self.job.gave_up)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a RayJob, and what it is there for."""

    pod: views.Pod
    role: str
    key: str

    @property
    def name(self) -> str:
        """Return its name."""
        return self.pod.name

    @property
    def version(self) -> int:
        """Return its resource version."""
        return self.pod.version


def rayjob(found: Mapping[str, Any]) -> RayJob | None:
    """Return what is kept of a RayJob; None for what is none of Comity's."""
    meta, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    key = rayjobs.key_of(_text(meta.get("name")))
    if key is None:
        return None
    cluster = _map(spec, "rayClusterSpec")
    head = _map(_map(_map(cluster, "headGroupSpec"), "template"), "spec")
    like = {
        "metadata": {**meta, "name": key},
        "spec": {"suspend": spec.get("suspend"), "template": {"spec": head}},
        "status": {"startTime": status.get("startTime")},
    }
    job = views.job(like)
    if job is None:
        return None
    nodes = 1 + _workers(cluster)
    told = _map(status, "rayJobInfo")
    return RayJob(
        name=key,
        job=dataclasses.replace(
            job,
            cpu_milli=job.cpu_milli * nodes + rayjobs.SUBMITTER_CPU_MILLI,
            memory_bytes=job.memory_bytes * nodes + rayjobs.SUBMITTER_MEMORY_BYTES,
            accelerators=job.accelerators * nodes,
        ),
        deployment=_text(status.get("jobDeploymentStatus")),
        status=_text(status.get("jobStatus")),
        reason=_text(status.get("reason")),
        message=errors.plain(status.get("message"), MESSAGE_MAX),
        ended=views.time(told.get("endTime")) or views.time(status.get("endTime")),
        ran=views.time(told.get("startTime")),
        closed=views.time(status.get("endTime")),
    )


def pod(found: Mapping[str, Any]) -> Pod | None:
    """Return what is kept of a pod; None for one that is of no attempt."""
    meta = _map(found, "metadata")
    labels = _map(meta, "labels")
    parts = [labels.get(label) for label in (names.JOB_LABEL, names.INDEX_LABEL, names.ATTEMPT_LABEL)]
    key = "-".join(part for part in parts if isinstance(part, str))
    role = labels.get(ROLE_LABEL, SUBMITTER)
    if names.parse_key(key) is None or role not in (HEAD, WORKER, SUBMITTER):
        return None
    made = views.pod({**found, "metadata": {**meta, "labels": {**labels, names.JOB_NAME_LABEL: key}}})
    return None if made is None else Pod(made, str(role), key)


def _workers(cluster: Mapping[str, Any]) -> int:
    groups = cluster.get("workerGroupSpecs")
    counts = [one.get("replicas") for one in groups[:8] if isinstance(one, Mapping)] if isinstance(groups, list) else []
    return sum(count for count in counts if type(count) is int and 0 <= count <= 1000)


def _text(text: object) -> str:
    return text[:WORD_MAX] if isinstance(text, str) and text.isprintable() else ""


def _map(found: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = found.get(field)
    return value if isinstance(value, Mapping) else _NO
