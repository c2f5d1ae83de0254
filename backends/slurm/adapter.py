"""The port, spoken to slurmrestd and the shared folder. Nothing of an attempt is known here only."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping, Sequence

from backends.slurm import client, errors, folder, render, settings, views
from orchestrator.domain import ids, sites
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

_KEY = re.compile(r"[0-9a-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)

POWERS = frozenset(
    {offer_values.Capability.PROCESSES, offer_values.Capability.LOGS, offer_values.Capability.LISTS_OWNED}
)


class SlurmAdapter(backends.BackendAdapter):
    """One cluster. Safe to call from any thread."""

    def __init__(self, wanted: settings.SlurmSettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._server = client.Server(wanted)
        self._folder = folder.Folder(wanted.folder)
        self._lock = threading.Lock()

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this cluster can use; no files, outputs, gangs or images yet."""
        return offer_values.Capabilities(POWERS, visibility_lag=dt.timedelta(seconds=views.LATE_S))

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool; each says that it queues."""
        self._folder.check()
        partitions, nodes, listed = self._server.get("partitions"), self._server.get("nodes"), self._listed()
        mine = self._own(listed)
        return [
            views.offer(
                views.share(pool, self._settings, partitions, nodes), listed, mine, self._settings, self._context
            )
            for pool in self._pools()
        ]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        if placement.spec.nodes > 1:
            raise errors.refused("invalid", "a job of several nodes is not run here")
        with self._lock:  # one look and one submission at a time: two of one key would both find nothing
            known = [job for job in self._own(self._listed()) if job.name == key]
            if known or self._folder.end(key) is not None:
                return backends.Handle(f"slurm:{key}")
            if self._folder.stopped(key):
                raise errors.refused("stopped", "this attempt was stopped before it began, and will not start any more")
            if self._folder.begun(key):  # Slurm forgot it: a second start would find the claim taken
                return backends.Handle(f"slurm:{key}")
            self._server.submit(render.submission(placement, self._settings, self._context, self._gres(placement)))
        return backends.Handle(f"slurm:{key}")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, by one list and the shared folder."""
        mine: dict[str, list[views.Job]] = {}
        for job in self._own(self._listed()):
            mine.setdefault(job.name, []).append(job)
        return [self._observe(ref, mine) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; one that never came never will. The site's KillWait is its grace."""
        key = str(ref.key)
        if not _KEY.fullmatch(key) or self._folder.end(key) is not None:
            return
        self._folder.note_stop(key)
        live = [job for job in self._own(self._listed()) if job.name == key and job.live]
        for job in live:
            self._server.cancel(job.id)
        if not live:
            self._folder.claim(key)

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the log after ``cursor``, which is a place in its file."""
        key, at = str(ref.key), cursor or "0"
        if not _CURSOR.fullmatch(at):
            raise errors.refused("cursor", "the cursor is none of this attempt's log")
        if not _KEY.fullmatch(key) or node not in (None, 0):
            return (), at
        data = self._folder.log(key, int(at), limit)
        end = str(int(at) + len(data))
        return ([backends.LogChunk(data, end, 0)] if data else []), end

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our mark that is not over, once."""
        live = {job.name for job in self._own(self._listed()) if job.live and _KEY.fullmatch(job.name)}
        return [
            backends.AttemptRef(ids.AttemptKey(key), f"slurm:{key}")
            for key in sorted(live)
            if self._folder.end(key) is None
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove what is left of an attempt that is over; Slurm forgets by itself."""
        key = str(ref.key)
        if _KEY.fullmatch(key) and not any(job.name == key and job.live for job in self._own(self._listed())):
            self._folder.remove(key)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef, mine: Mapping[str, Sequence[views.Job]]) -> backends.Observation:
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, offer_values.ObservedState.GONE, detail="not a key of this backend")
        begun, stopped, end = self._folder.begun(key), self._folder.stopped(key), self._folder.end(key)
        return views.observation(ref.key, mine.get(key, ()), end, self._context.now(), begun=begun, stopped=stopped)

    def _listed(self) -> list[views.Job]:
        return views.jobs_of(self._server.get("jobs"))

    def _own(self, listed: Sequence[views.Job]) -> list[views.Job]:
        return views.own(listed, self._settings.user, self._context)

    def _pools(self) -> Sequence[sites.Pool]:
        return self._context.pools or [sites.Pool(name) for name in self._settings.pools]

    def _gres(self, placement: backends.SealedPlacement) -> str | None:
        if not placement.spec.resources.accelerators:
            return None
        pool = next((each for each in self._pools() if each.name == placement.pool), sites.Pool(placement.pool))
        return views.share(pool, self._settings, self._server.get("partitions"), self._server.get("nodes")).gres


class SlurmPlugin:
    """What the entry point names."""

    name = "slurm"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.SlurmSettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return SlurmAdapter(settings.SlurmSettings.read(settings_), context)
