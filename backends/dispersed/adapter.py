"""The port, spoken to Dispersed: each region a site, each attempt one batch job that runs once on one node."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import threading
import urllib.parse
from collections.abc import Mapping, Sequence

from backends import records
from backends.dispersed import books, client, errors, observe, rooms, settings, signing, spending, wire
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

_KEY = re.compile(r"[0-9A-Za-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{1,9}", re.ASCII)
_OVER_MAX = 65_536
_RUNS_MAX = 50
_REGION = re.compile(r"[a-z]{2}-[a-z]{2,20}-[0-9]", re.ASCII)
_PREFIX = "dispersed:"
VISIBILITY = dt.timedelta(seconds=10)
"""How long a list may lag behind, which nobody says. What was sent is known here before it leaves."""
SETTLE = 2 * signing.WINDOW + dt.timedelta(seconds=30)
"""So long after its signing a request may still be taken, by a server whose clock is as far from ours as it may be."""
_ONE_ONLY = frozenset({"dispersed.reused-id", "dispersed.state"})
_SOME = frozenset({"dispersed.malformed", "dispersed.failed", "dispersed.refused", "dispersed.error-inside"})
"""Errors that may be one attempt's own; any other holds for all."""


class DispersedAdapter(backends.BackendAdapter):
    """One account. Safe to call from any thread."""

    def __init__(self, wanted: settings.DispersedSettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._rest = client.Rest(wanted, context.now)
        self._names = wire.Names.of(context.installation, context.backend)
        self._book = books.Book(self._rest, self._names)
        self._records = records.Records(context.state_folder, SETTLE, errors.elsewhere)
        self._lock = threading.Lock()
        self._over: dict[str, backends.Observation] = {}

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this network can use."""
        powers = {offer_values.Capability.LOGS, offer_values.Capability.LISTS_OWNED}
        if self._settings.command_image is not None:
            powers.add(offer_values.Capability.PROCESSES)
        if self._settings.image_tags:
            powers |= {offer_values.Capability.CONTAINERS, offer_values.Capability.IMAGE_TAGS}
        return offer_values.Capabilities(frozenset(powers), VISIBILITY)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a region: of those that are declared as pools, else of those that the settings name."""
        live = [(key, job) for key, job in self._book.live() if _KEY.fullmatch(key)]
        declared = self._context.pools or rooms.discovered(self._settings)
        now, made = self._context.now(), []
        for pool in declared:
            region = self._region(pool.name)
            here = [(key, job) for key, job in live if job.region == region]
            problem = "" if region else f"settings.regions does not name the region of pool {pool.name}"
            made.append(rooms.offer(self._context.backend, pool, self._settings, here, len(live), now, problem))
        if self._context.pools:
            return made
        return [dataclasses.replace(one, pool=pool) for one, pool in zip(made, declared, strict=True)]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        region = self._region(placement.pool)
        if not region:
            raise errors.elsewhere("no-region", f"settings.regions does not name the region of pool {placement.pool}")
        body = wire.document(placement, self._settings, self._names, region)
        with self._records.alone():  # several calls with one key need one job
            known = self._find(key)
            if known is None:
                known = self._create(placement, region, body)
        if known.mark != self._names.mark(placement, region):
            raise errors.refused("conflict", f"a job {key} of another document is already there")
        return backends.Handle(f"{_PREFIX}{known.uuid}")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now. What is over is not read again."""
        made, failed = [], []
        for ref in refs:
            try:
                made.append(self._observe(ref))
            except port_errors.BackendError as error:
                if error.code not in _ONE_ONLY | _SOME:
                    raise
                failed.append(error)
                made.append(backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=str(error)))
        if failed and len(failed) == len(made) and failed[0].code in _SOME:
            raise failed[0]
        return made

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; one that never came never will. What grace it gets the network decides."""
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        known = self._find(key)
        if known is not None and known.over:
            return
        self._records.stop(key)
        if known is None:
            known = self._find(key)  # whoever submitted meanwhile has been seen here, or sees the mark
        if known is not None and not known.over:
            self._cancel(known)

    def close(self) -> None:
        """Nothing is held. Attempts go on."""

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the output after ``cursor``, as far as the network keeps it."""
        key, at = str(ref.key), cursor or "0"
        if not _CURSOR.fullmatch(at):
            raise errors.refused("cursor", "the cursor is none of this attempt's log")
        if node not in (None, 0) or not _KEY.fullmatch(key) or limit <= 0:
            return (), at
        known = self._find(key)
        if known is None:
            if ref.handle is not None:
                raise errors.no_log(self._context.backend, key)
            return (), at
        runs = self._runs(known)
        data = self._logs(runs[-1]).encode()[int(at) : int(at) + limit] if runs else b""
        end = str(int(at) + len(data))
        return ([backends.LogChunk(data, end, 0)] if data else []), end

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our mark that is not over."""
        return [
            backends.AttemptRef(ids.AttemptKey(key), f"{_PREFIX}{job.uuid}")
            for key, job in self._book.live()
            if _KEY.fullmatch(key)
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove what is written down here of an attempt that is over. Its record at the network stays."""
        key = str(ref.key)
        if _KEY.fullmatch(key) and (known := self._find(key)) is not None and known.over:
            self._records.forget(key)
            self._over.pop(key, None)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef) -> backends.Observation:
        key, state = str(ref.key), offer_values.ObservedState
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, state.GONE, detail="not a key of this backend")
        if (told := self._over.get(key)) is not None:
            return told
        known = self._find(key)
        if known is None:
            record = self._records.read(key)
            if record is not None and record.id is not None:
                text = f"it was created as {record.id}, which the network does not know any more: is it this account?"
                return backends.Observation(ref.key, state.UNKNOWN, detail=text)
            if self._records.unsettled(key, self._context.now()):
                text = "its creation was sent and not answered, and may still take effect"
                return backends.Observation(ref.key, state.UNKNOWN, detail=text)
            return backends.Observation(ref.key, state.GONE, detail="the network knows no job of this key")
        stopped = self._records.is_stopped(key)
        if not known.over:
            if stopped and known.status != "CANCELLING":
                self._cancel(known)  # it came after its stop, or the stop was lost
            return observe.live(ref, known)
        runs = self._runs(known)
        logs = self._logs(runs[-1]) if runs and known.status != "CANCELLED" else ""
        code = wire.exit_code(logs, self._names.end(key)) if known.tells_end else None
        seen = observe.ended(ref, known, runs, code, stopped=stopped)
        if seen.state is state.ENDED:
            if len(self._over) >= _OVER_MAX:
                self._over.clear()
            self._over[key] = seen
        return seen

    def _find(self, key: str) -> wire.Job | None:
        """Return the job of a key as it is now; None where the network has none."""
        record = self._records.read(key)
        if record is not None and record.id is not None:
            found = self._job(record.id)
            if found is not None:
                if found.title != self._names.title(key):
                    text = f"the network knows {record.id} as another job than the one that was created under it"
                    raise errors.elsewhere("reused-id", text)
                return found
        with self._lock:
            named = self._book.read(key)
        fresh = [one for one in (self._job(uuid) for uuid in named) if one is not None]
        mine = [one for one in fresh if one.title == self._names.title(key)]
        for one in mine[1:]:
            if not one.over:
                self._cancel(one)  # created twice: the first one counts
        if mine and (record is None or record.id != mine[0].uuid):
            since = record or records.Record(self._context.now())
            self._records.write(key, dataclasses.replace(since, id=mine[0].uuid))
        return mine[0] if mine else None

    def _job(self, uuid: str) -> wire.Job | None:
        answer = self._rest.call("GET", f"/v1/jobs/{urllib.parse.quote(uuid, safe='')}", {})
        if answer.status == 404:
            return None
        made = wire.job(answer.body)
        if made is None or made.uuid != uuid:
            raise errors.unsure("malformed", f"what {self._rest.url} answered is no job of Dispersed, or another")
        return made

    def _runs(self, job: wire.Job) -> Sequence[wire.Run]:
        """Return the runs of a job, the last one last."""
        answer = self._rest.call("GET", "/v1/job-runs", {"filter[job_uuid]": job.uuid, "limit": str(_RUNS_MAX)})
        rows = answer.body.get("data")
        if answer.status == 404 or not isinstance(rows, list):
            raise errors.unsure("malformed", f"what {self._rest.url} answered is no list of runs")
        rows = [row for row in rows if not isinstance(row, dict) or row.get("job_uuid", job.uuid) == job.uuid]
        made = [wire.run(row) for row in rows]
        found = [one for one in made if one is not None]
        if len(found) != len(rows):
            raise errors.unsure("malformed", f"{self._rest.url} lists what is no run of Dispersed")
        return sorted(found, key=lambda one: (one.started_at.timestamp() if one.started_at else 0.0, one.uuid))

    def _logs(self, run: wire.Run) -> str:
        answer = self._rest.call("GET", f"/v1/job-runs/{urllib.parse.quote(run.uuid, safe='')}", {})
        if answer.status == 404:
            return ""
        if answer.body.get("uuid") != run.uuid:
            raise errors.unsure("malformed", f"what {self._rest.url} answered is another run")
        told = answer.body.get("logs")
        return told if isinstance(told, str) else ""

    def _region(self, pool: str) -> str:
        """Return the code of a pool's region; "" where nobody says it."""
        code = self._settings.regions.get(pool, pool)
        return code if _REGION.fullmatch(code) else ""

    # --- changing -----------------------------------------------------------------------------------------------------

    def _create(self, placement: backends.SealedPlacement, region: str, body: Mapping[str, object]) -> wire.Job:
        """Create the job of a key that the network does not know. What may have been created is never created again."""
        key, now = str(placement.key), self._context.now()
        if self._records.is_stopped(key):
            raise errors.stopped()
        record = self._records.read(key)
        if record is not None and record.id is not None:
            text = f"{key} was created as {record.id}, which the network does not know any more: not created again"
            raise errors.refused("gone", text)
        if self._records.unsettled(key, now):
            raise errors.unsure(
                "unsettled", f"the creation of {key} was sent, and may still take effect: not sent again"
            )
        if self._book.skew > client.SKEW_MAX:
            text = f"the clock of {self._rest.url} is {self._book.skew.total_seconds():.0f} s from ours"
            raise errors.elsewhere("clock", text)
        cost = spending.reserve(placement, self._context.pools, self._settings, self._records, now)
        self._records.write(key, records.Record(now, None, cost))
        try:
            answer = self._rest.call("POST", "/v1/jobs", {}, body)
        except port_errors.BackendError as error:
            if error.effects is port_errors.SideEffects.NONE:
                self._records.remove(key)
            raise
        made = wire.job(answer.body)
        if answer.status == 404 or made is None or made.title != self._names.title(key):
            raise errors.unsure("malformed", f"what {self._rest.url} answered is not the job that was to be created")
        self._records.write(key, records.Record(now, made.uuid, cost))
        wrong = made.regions is not None and made.regions != (region,)
        if wrong or self._records.is_stopped(key):
            self._cancel(made)
        if wrong:
            raise errors.unsure("region", f"the network took it for {made.regions}, and {region} was said: ended again")
        return made

    def _cancel(self, job: wire.Job) -> None:
        path = f"/v1/jobs/{urllib.parse.quote(job.uuid, safe='')}/cancel"
        try:
            answer = self._rest.call("PUT", path, {}, {"reason": observe.STOP_WORD})
        except port_errors.BackendError as error:
            again = self._job(job.uuid)
            if again is None or again.over:
                return  # it ended meanwhile, which is said by an error
            if isinstance(error, port_errors.TransientError):
                raise
            raise errors.elsewhere("failed", f"job {job.uuid} could not be ended: {error}") from error
        if answer.status != 404 and wire.job(answer.body) is None:
            raise errors.unsure("malformed", f"what {self._rest.url} answered to a cancellation is no job")


class DispersedPlugin:
    """What the entry point names."""

    name = "dispersed"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.DispersedSettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return DispersedAdapter(settings.DispersedSettings.read(settings_), context)
