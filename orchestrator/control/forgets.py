"""Lets backends forget attempts of jobs that ended long ago: their records, logs and outputs go.

The finished rows are walked a page at a time, from the newest to the oldest, again and again with a pause. Nothing is
durable about it: forgetting twice is fine, and a new loop walks anew. ``_until`` only saves calls.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from orchestrator.control import index, lanes, retry, steady
from orchestrator.domain import ids, jobs, offers
from orchestrator.inventory import sightings
from orchestrator.ports import backends, environment, stores

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_ENDED = stores.JobFilter(phases=jobs.TERMINAL, top_level_only=False)


@dataclass(slots=True)
class Forgets:
    """Not thread-safe: used by the loop only; ``_forget`` runs in the executor's threads."""

    store: stores.Store
    all_lanes: lanes.Lanes
    seen: sightings.Sightings
    clock: environment.Clock
    steady: steady.SteadyClock
    _cursor: str | None = None
    _cutoff: dt.datetime | None = None
    """Of the walk under way; None: none is."""
    _next_s: float = float("-inf")
    _page: Future[stores.JobPage] | None = None
    _read: bool = False
    """The walk under way has read its last page; what it found may still be being told."""
    _due: dict[str, list[backends.AttemptRef]] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    """Backends that could not be told everything in this walk."""
    _until: dict[str, dt.datetime] = field(default_factory=dict)
    """Backend -> what ended before was forgotten by an earlier walk."""

    def start(self, term: ids.Term) -> None:
        """Read one page where that is due, and tell each backend a bounded number of what is over."""
        if math.isinf(self.all_lanes.pace.forget_after_s):
            return
        now_s = self.clock.monotonic()
        if self._page is None and not self._due and (self._read or now_s >= self._next_s) and not self._telling():
            if self._read:
                self._finish(now_s)
            else:
                self._walk(now_s)
        if self._page is not None and self._page.done():
            self._take_page(self._page)
        for backend in list(self._due):
            self._tell(backend, term)

    def take(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of a call of ours."""
        error = call.future.exception()
        found: BaseException | None = error if error is not None else call.future.result()
        if found is not None:
            self._failed.add(lane.backend)
            self._due.pop(lane.backend, None)
            if retry.is_transport(found) and not isinstance(found, environment.BulkheadFullError):
                self.all_lanes.failed(lane, found)

    def _telling(self) -> bool:
        return any(lane.in_flight("forget") for lane in self.all_lanes.all())

    def _walk(self, now_s: float) -> None:
        pace = self.all_lanes.pace
        if self._cutoff is None:
            # By the steady clock: a wall clock that jumps by a month must not cost anybody's outputs.
            self._cutoff = self.steady.now() - dt.timedelta(seconds=pace.forget_after_s)
            self._cursor = None
            self._failed.clear()
        cursor, self._next_s = self._cursor, now_s + pace.forget_page_every_s
        self._page = self.all_lanes.aside(
            lambda: self.store.list_jobs(_ENDED, limit=pace.forget_page, cursor=cursor), pace.call_timeout_s
        )

    def _take_page(self, future: Future[stores.JobPage]) -> None:
        self._page = None
        if future.exception() is not None or self._cutoff is None:
            return  # the same page is read again
        page = future.result()
        for job in page.items:
            self._note(job, self._cutoff)
        self._cursor, self._read = page.cursor, page.cursor is None

    def _finish(self, now_s: float) -> None:
        """Note which backends have heard everything, and pause."""
        for lane in self.all_lanes.all():
            if lane.backend not in self._failed and self._cutoff is not None:
                self._until[lane.backend] = self._cutoff
        self._cutoff, self._read = None, False
        self._next_s = now_s + self.all_lanes.pace.forget_every_s

    def _note(self, job: jobs.Job, cutoff: dt.datetime) -> None:
        if not job.phase.terminal or job.ended_at is None or job.ended_at > cutoff:
            return
        for attempt in job.attempts:
            backend = index.backend_of(attempt.site)
            # One that was never seen to end may still be there: it is for the orphans to stop it.
            if attempt.outcome is None or job.ended_at <= self._until.get(backend, _LONG_AGO):
                continue
            ref = backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at)
            self._due.setdefault(backend, []).append(ref)

    def _tell(self, backend: str, term: ids.Term) -> None:
        lane = next((each for each in self.all_lanes.all() if each.backend == backend), None)
        adapter = lane.adapter if lane is not None else None
        if lane is None or adapter is None or not lane.breaker.closed or not self._can(backend, adapter):
            self._failed.add(backend)
            del self._due[backend]
            return
        if lane.in_flight("forget"):
            return
        pace, refs = self.all_lanes.pace, self._due[backend]
        batch = refs[: pace.forget_max]
        del refs[: pace.forget_max]
        if not refs:
            del self._due[backend]
        self.all_lanes.start(lane, "forget", lambda: self._forget(adapter, batch, term), pace.call_timeout_s)

    def _can(self, backend: str, adapter: backends.BackendAdapter) -> bool:
        capabilities = self.seen.of(backend).capabilities
        listed = capabilities is not None and capabilities.has(offers.Capability.LISTS_OWNED)
        return listed and isinstance(adapter, backends.ListsOwned)

    def _forget(
        self, adapter: backends.BackendAdapter, refs: Sequence[backends.AttemptRef], term: ids.Term
    ) -> Exception | None:
        """Return the last failure. One attempt that cannot be forgotten does not keep the others."""
        last: Exception | None = None
        for ref in refs:
            if self.store.current_term() != term:
                return last
            try:
                if isinstance(adapter, backends.ListsOwned):
                    adapter.forget(ref)
            except Exception as error:  # noqa: BLE001 -- a stranger's code; it is tried again by the next walk
                last = error
                if retry.is_transport(error):
                    return error
        return last
