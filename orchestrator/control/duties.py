"""Notes which obligations were not done in time: durably, once, with an entry; of live jobs as a condition too.

What is due is asked of an index of the store now and then, so nothing is remembered and a new loop goes on where the
last one was. Days pass by the steady clock: a wall clock that jumps ahead makes nobody late, and one that jumps back
changes nothing, because what was noted stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.control import entries, index, steady
from orchestrator.domain import ids, jobs, journal, obligations
from orchestrator.inventory import obligations as owings
from orchestrator.ports import environment, stores

EVERY_S = 5.0
PAGE = 200
"""Obligations noted in one commit; where there are more the next turn goes on."""
_OPEN = frozenset({obligations.State.OPEN})


@dataclass(slots=True)
class Duties:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    live: index.JobIndex
    clock: environment.Clock
    steady: steady.SteadyClock
    noted: list[obligations.Obligation] = field(default_factory=list)
    """What became overdue since somebody last took this: for the log."""
    _next_s: float = float("-inf")

    def run(self, term: ids.Term) -> None:
        """Note what is late, if it is time to look. Raises StoreError."""
        now_s = self.clock.monotonic()
        if now_s < self._next_s:
            return
        now = self.steady.now()
        due = stores.ObligationFilter(states=_OPEN, due_by=now)
        late = self.store.list_obligations(due, limit=PAGE).items
        if late:
            try:
                self._note(late, now, term)
            except stores.VersionConflictError:
                return  # somebody fulfilled one, or moved its job: they are read again in the next turn
        self._next_s = now_s + (EVERY_S if len(late) < PAGE else 0.0)

    def take(self) -> tuple[obligations.Obligation, ...]:
        """Return what became overdue since this was asked last."""
        taken = tuple(self.noted)
        self.noted.clear()
        return taken

    def _note(self, late: Sequence[obligations.Obligation], now: dt.datetime, term: ids.Term) -> None:
        changed = [obligations.overdue(one, now) for one in late]
        rows = [
            row for job in dict.fromkeys(one.job for one in changed) if (row := self._row(job, changed)) is not None
        ]
        made = [_entry(one) for one in changed]
        receipt = self.store.commit(stores.Changes(jobs=rows, obligations=changed, entries=made, term=term))
        for job in receipt.jobs:
            self.live.put(job)
        self.noted += changed

    def _row(self, job: ids.JobId, changed: Sequence[obligations.Obligation]) -> jobs.Job | None:
        """Return the row that says what is late; None for a job that has ended, or says so already."""
        row = self.store.job(job)
        if row is None or row.phase.terminal:
            return None
        owed = {one.key: one for one in owings.of_jobs(self.store, [job])}
        owed |= {one.key: one for one in changed if one.job == job}
        said = owings.with_conditions(row, list(owed.values()), self.clock.now())
        return None if said is row else said


def _entry(one: obligations.Obligation) -> journal.Entry:
    assert one.overdue_at is not None and one.due_at is not None  # noqa: S101, PT018 -- made so a few lines above
    body: dict[str, object] = {"code": one.duty.code, "site": str(one.site), "due": one.due_at.isoformat()}
    return journal.Entry("obligation.overdue", f"job/{one.job}", one.overdue_at, entries.CONTROLLER, body, one.tenant)
