"""Content of outputs that is to be compared: read at its backend once the rules let it come here, and kept in memory.

Each reading is in the journal before it begins. What cannot be had (the rules refuse it, the file is gone, it is too
large) is not compared: it agrees with nothing, and nobody answers for it. A backend that does not answer is asked
again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.control import entries, lanes, retry
from orchestrator.domain import ids, jobs, journal
from orchestrator.inventory import homecomings, worlds
from orchestrator.ports import backends, environment, stores
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.verification import tolerance

TIMEOUT_S = 120.0
AGAIN_S = 10.0
"""So long after a reading that failed it is begun again."""
JOB_BYTES_MAX = 256 * 2**20
"""Of all runs of a job together; what is beyond is not read."""

Files = Mapping[str, bytes]


@dataclass(slots=True)
class _Held:
    """What is known of one job's runs. ``asked``: readings in flight."""

    files: dict[str, Files] = field(default_factory=dict)
    asked: set[ids.JobId] = field(default_factory=set)
    again_s: float = float("-inf")


@dataclass(slots=True)
class Contents:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    all_lanes: lanes.Lanes
    clock: environment.Clock
    inventory: worlds.Inventory
    declared: Callable[[worlds.World, dt.datetime], scheduler_worlds.World]
    """The world as the scheduler reads it."""
    _held: dict[ids.JobId, _Held] = field(default_factory=dict)

    def of(
        self, parent: jobs.Job, wanted: Mapping[ids.JobId, tuple[str, ...]], rows: Iterable[jobs.Job], term: ids.Term
    ) -> Mapping[str, Files] | None:
        """Return the content of files of runs, or begin to read what is lacking; None: it is not all here yet."""
        held = self._held.setdefault(parent.id, _Held())
        lacking = {run: paths for run, paths in wanted.items() if run not in held.files}
        if not lacking:
            return dict(held.files)
        if not self._may_come(parent):
            held.files |= {run: {} for run in lacking}
            return dict(held.files)
        attempts = {row.id: row.attempt for row in rows}
        for run, paths in lacking.items():
            attempt = attempts.get(run)
            if attempt is None:
                held.files[run] = {}
            elif run not in held.asked and self.clock.monotonic() >= held.again_s:
                self._read(parent, run, attempt, paths, held, term)
        return dict(held.files) if all(run in held.files for run in wanted) else None

    def forget(self, parent: ids.JobId) -> None:
        """Let go of what was read of a job."""
        self._held.pop(parent, None)

    def waiting(self) -> Iterable[ids.JobId]:
        """Return the jobs of which something is still to be read, and may be tried now."""
        now_s = self.clock.monotonic()
        return [parent for parent, held in self._held.items() if not held.asked and now_s >= held.again_s]

    def take(self, lane: lanes.Lane, call: lanes.Call) -> ids.JobId:
        """Take what was read; return the job whose it is."""
        parent: ids.JobId = call.payload[0]
        run: ids.JobId = call.payload[1]
        held = self._held.get(parent)
        error = call.future.exception()
        if error is not None and retry.is_transport(error):
            self.all_lanes.failed(lane, error)
        else:
            self.all_lanes.answered(lane)
        if held is not None:
            held.asked.discard(run)
            if error is None:
                held.files[run] = call.future.result()
            elif retry.is_transport(error):
                held.again_s = self.clock.monotonic() + AGAIN_S
            else:
                held.files[run] = {}
        return parent

    def _may_come(self, parent: jobs.Job) -> bool:
        world, now = self.inventory.world(), self.clock.now()
        if world.book is None:
            return False
        return not homecomings.refusals(parent, world, world.book, self.declared(world, now), now)

    def _read(
        self,
        parent: jobs.Job,
        run: ids.JobId,
        attempt: jobs.Attempt,
        paths: tuple[str, ...],
        held: _Held,
        term: ids.Term,
    ) -> None:
        lane = self.all_lanes.lane(attempt.site.partition("/")[0])
        adapter = lane.adapter
        if adapter is None or not lane.breaker.closed or lane.stranger:
            held.again_s = self.clock.monotonic() + AGAIN_S
            return
        if not isinstance(adapter, backends.Copies):
            held.files[run] = {}
            return
        body = {"paths": list(paths), "to": "control-plane", "for": "verification"}
        entry = journal.Entry("outputs.copied", f"job/{run}", self.clock.now(), entries.CONTROLLER, body, parent.tenant)
        self.store.commit(stores.Changes(entries=(entry,), term=term))
        ref = backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at)
        most = JOB_BYTES_MAX // (parent.spec.verification.children_max if parent.spec.verification else 1)
        held.asked.add(run)
        reading = _reading(adapter, ref, paths, most)
        self.all_lanes.start(lane, "outputs", reading, TIMEOUT_S, (parent.id, run))


def _reading(
    adapter: backends.Copies, ref: backends.AttemptRef, paths: tuple[str, ...], bytes_max: int
) -> Callable[[], Files]:
    """Return what reads files, in the executor's thread; a file that would be too much is left out."""

    def read() -> Files:
        found: dict[str, bytes] = {}
        for path in paths:
            data = bytearray()
            room = min(tolerance.BYTES_MAX, bytes_max - sum(map(len, found.values())))
            for piece in adapter.read_output(ref, path):
                data += piece
                if len(data) > room:
                    break
            if len(data) <= room:
                found[path] = bytes(data)
        return found

    return read
