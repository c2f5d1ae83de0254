"""The port, spoken to the head of a Ray cluster. Nothing of an attempt is known here only: the cluster has it all."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from backends import kept
from backends.ray import (
    client,
    errors,
    lineages,
    logs,
    marks,
    observe,
    packages,
    parsing,
    pools,
    render,
    settings,
    submitting,
)
from orchestrator.domain import errors as port_errors
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

SINGLE_READS_MAX = 4
"""So many attempts are asked for one by one; more by one list."""
NODES_AGE_S = 20.0
"""Monotonic seconds for which the nodes last seen are used to place a job or to name a node."""
_LEFT_MAX = 4096
_KEY = re.compile(r"[0-9a-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)

POWERS = frozenset(
    {
        offer_values.Capability.PROCESSES,
        offer_values.Capability.WORKDIR,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.LISTS_OWNED,
    }
)
WITH_SHARED_FOLDER = frozenset({offer_values.Capability.OUTPUTS, offer_values.Capability.COPIES})


class RayAdapter(backends.BackendAdapter):
    """One cluster. Safe to call from any thread."""

    def __init__(self, wanted: settings.RaySettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._head = client.Head(wanted)
        self._submitter = submitting.Submitter(self._head, context)
        self._places = pools.Places(wanted.country_label, wanted.countries)
        self._lock = threading.Lock()
        self._left: dict[str, tuple[Sequence[offer_values.OutputFile] | None]] = {}
        self._nodes: tuple[float, Mapping[str, pools.Node]] | None = None

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this cluster can use; gangs it cannot."""
        more = WITH_SHARED_FOLDER if self._settings.shared_folder is not None else frozenset()
        return offer_values.Capabilities(POWERS | more)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool: of its nodes, after our live jobs and what Ray says others use."""
        greeting = self._head.greet()
        nodes = self._seen_nodes(age_s_max=0.0)
        listed = self._listed()
        held = [
            marks.held(job, live=observe.is_live(job, job.id + marks.STOPPED_SUFFIX in listed))
            for job in listed.values()
            if marks.is_own(job, self._context) and not marks.is_fence(job)
        ]
        usage = parsing.usage(self._head.get("/api/cluster_status"))
        now, name = self._context.now(), self._context.backend
        return [
            pools.offer(share, name, held, usage, now, isolated=self._settings.shared_trust, note=self._note(greeting))
            for share in self._shares(nodes, greeting)
        ]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        if placement.spec.nodes > 1:
            raise errors.refused("invalid", "a job of several nodes is not run here")
        greeting = self._head.greet()
        share = self._share(placement.pool, greeting)
        package = packages.package(files=placement.spec.files, archive=placement.workdir)
        body = render.submission(placement, share, self._settings, package, self._context)
        self._submitter.send(package, greeting.session)
        if not self._submitter.create(body):
            known = self._job(key)
            if known is None:
                raise errors.no_answer(self._settings.url, "what was there under this id is gone again")
            if not marks.is_own(known, self._context):
                raise errors.elsewhere("foreign-id", f"another has a job {key} on this cluster")
            if marks.is_fence(known):
                raise errors.stopped()
        return backends.Handle(observe.handle_of(greeting.session, key))

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, by Ray's list or one by one."""
        session = self._head.greet().session
        listed = self._listed() if len(refs) > SINGLE_READS_MAX else None
        return [self._observe(ref, session, listed) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; one that never came never will. Ray's own grace counts."""
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        self._head.greet()
        for _ in range(3):
            job = self._job(key)
            if job is None:
                if self._submitter.fence(key):
                    return
                continue  # somebody was faster: it is there now
            if not marks.is_own(job, self._context) or marks.is_fence(job) or job.status in observe.TERMINAL:
                return
            # Noted first: a job that waits is not ended by Ray before there is room for it.
            self._submitter.fence(key + marks.STOPPED_SUFFIX)
            reply = self._head.send("POST", f"{_job_path(key)}/stop")
            if reply.status not in (200, 404):
                raise errors.of_status(self._settings.url, reply.status, reply.body)
            return
        raise errors.no_answer(self._settings.url, "the attempt comes and goes")

    def close(self) -> None:
        """Let go of connections. Attempts go on."""
        self._head.close()

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the log after ``cursor``; see :mod:`backends.ray.logs`."""
        key, at = str(ref.key), cursor or ""
        self._head.greet()
        job = self._job(key) if _KEY.fullmatch(key) else None
        if job is None or not marks.is_own(job, self._context):
            if ref.handle is None:
                return (), at
            raise errors.no_log(self._context.backend, key, "its head was started again, or forgot it")
        if node not in (None, 0) or job.node is None or marks.is_fence(job):
            return (), at
        over = job.status in observe.TERMINAL
        try:
            return logs.read(key, logs.reader(self._head, job), cursor=cursor, limit=limit, over=over)
        except port_errors.TransientError as error:
            if over and job.node not in self._seen_nodes(age_s_max=0.0):
                raise errors.no_log(self._context.backend, key, "the node that wrote it is gone") from error
            raise

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (path, size in bytes) of each file kept in the shared folder."""
        root = self._kept(ref)
        return kept.files(root) if root is not None else ()

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """Yield the bytes of one kept file; raises PermanentError ``outputs.not-found``, at once."""
        return kept.read(self._kept(ref) or "", path)

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our mark that is not over."""
        session, listed = self._head.greet().session, self._listed()
        return [
            backends.AttemptRef(observe.key_of(job), observe.handle_of(session, job.id))
            for _, job in sorted(listed.items())
            if marks.is_own(job, self._context) and observe.is_live(job, job.id + marks.STOPPED_SUFFIX in listed)
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove an attempt that is over from Ray's list, and its outputs. One that is not stays."""
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        self._head.greet()
        job = self._job(key)
        if job is not None:
            if not marks.is_own(job, self._context) or job.status not in observe.TERMINAL:
                return
            self._submitter.delete(key)
        self._submitter.delete(key + marks.STOPPED_SUFFIX)
        if (root := self._kept(ref)) is not None:
            kept.remove(root)

    def identity(self) -> offer_values.PinnedIdentity:
        """Return what recognises this cluster, the same after its head was started again with the same token."""
        greeting = self._head.greet()
        try:
            with self._lock:
                id = lineages.recognise(self._context.state_folder, greeting, self._settings.token)
        except OSError as error:
            raise errors.elsewhere("state", f"the state folder cannot be used: {error.strerror}") from error
        return offer_values.PinnedIdentity((("ray-cluster", id),))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(
        self, ref: backends.AttemptRef, session: str, listed: Mapping[str, parsing.Job] | None
    ) -> backends.Observation:
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, offer_values.ObservedState.GONE, detail="not a key of this backend")
        try:
            job = self._job(key) if listed is None else listed.get(key)
            if job is None:
                return observe.gone(ref, session)
            if not marks.is_own(job, self._context):
                text = "another has a job of this id on the cluster"
                return backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=text)
            mark = key + marks.STOPPED_SUFFIX
            if job.status in ("RUNNING", "SUCCEEDED"):
                stopped = False
            else:
                stopped = (mark in listed) if listed is not None else self._job(mark) is not None
            nodes: Mapping[str, pools.Node] = {}
            if job.node is not None:
                nodes = self._seen_nodes(age_s_max=NODES_AGE_S)
                if job.node not in nodes and job.status == "RUNNING":
                    nodes = self._seen_nodes(age_s_max=1.0)
            seen = observe.observation(ref, job, session, nodes, stopped=stopped, places=self._places)
            return self._with_outputs(ref, seen)
        except port_errors.PermanentError as error:
            return backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=error.message)

    def _with_outputs(self, ref: backends.AttemptRef, seen: backends.Observation) -> backends.Observation:
        """Return an observation of an end with the files that were left, read once."""
        root = self._kept(ref)
        if root is None or seen.outcome is None:
            return seen
        known = self._left.get(ref.key)
        if known is None:
            if len(self._left) >= _LEFT_MAX:
                self._left.clear()
            known = self._left[ref.key] = (kept.digests(root),)
        return dataclasses.replace(seen, outputs=known[0])

    def _job(self, id: str) -> parsing.Job | None:
        """Return one submission; None where the head does not know it. Raises BackendError."""
        try:
            found = parsing.job(self._head.get(_job_path(id)))
        except port_errors.PermanentError as error:
            if error.code == "ray.not-there":
                return None
            raise
        if found is None or found.id != id:
            raise errors.malformed("job")
        return found

    def _listed(self) -> Mapping[str, parsing.Job]:
        found = self._head.get("/api/jobs/")
        if not isinstance(found, list):
            raise errors.malformed("list of jobs")
        return parsing.jobs(found)

    def _seen_nodes(self, *, age_s_max: float) -> Mapping[str, pools.Node]:
        now_s, known = time.monotonic(), self._nodes
        if known is not None and now_s - known[0] < age_s_max:
            return known[1]
        found = parsing.nodes(self._head.get("/api/v0/nodes?limit=10000"))
        if found is None:
            raise errors.malformed("list of nodes")
        made = {node.id: node for node in found}
        self._nodes = (now_s, made)
        return made

    def _shares(self, nodes: Mapping[str, pools.Node], greeting: client.Greeting) -> Sequence[pools.Share]:
        found = pools.shares(self._context.pools, list(nodes.values()), self._settings)
        return [pools.reachable(share, greeting.ray_version) for share in found]

    def _share(self, pool: str, greeting: client.Greeting) -> pools.Share:
        shares = self._shares(self._seen_nodes(age_s_max=NODES_AGE_S), greeting)
        found = next((share for share in shares if share.pool.name == pool), None)
        if found is None or not found.nodes:
            why = f": {found.notes[-1]}" if found is not None and found.notes else ""
            raise errors.elsewhere("pool-unknown", f"this cluster has no node of pool {pool!r} to send a job to{why}")
        return found

    def _kept(self, ref: backends.AttemptRef) -> str | None:
        key, folder = str(ref.key), self._settings.shared_folder
        return f"{folder}/{key}" if folder is not None and _KEY.fullmatch(key) else None

    def _note(self, greeting: client.Greeting) -> str:
        notes = [f"Ray {greeting.ray_version}"]
        if not greeting.checks_token:
            notes.append("the head checks no token: whoever reaches it can run and stop jobs")
        if self._settings.url.startswith("http://") and not greeting.alone:
            notes.append("jobs and the token travel unencrypted: put TLS in front of the head")
        return "; ".join(notes)


def _job_path(id: str) -> str:
    return f"/api/jobs/{urllib.parse.quote(id, safe='')}"


class RayPlugin:
    """What the entry point names."""

    name = "ray"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.RaySettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return RayAdapter(settings.RaySettings.read(settings_), context)
