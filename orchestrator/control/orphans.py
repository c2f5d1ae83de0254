"""Finds attempts that a backend holds in our name and the store has over: stopped after a grace, and only ours.

The adapter lists what carries our installation's mark; nothing else is ever touched. What lives in the loop's copy is
no orphan; of whatever does not, the store is asked, not the copy, before it is stopped. An attempt that the store never
heard of waits for two listings a grace apart.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.control import index, lanes
from orchestrator.domain import ids, jobs, offers
from orchestrator.inventory import sightings
from orchestrator.ports import backends, environment, stores

_KEY = re.compile(r"(?P<job>[0-9a-z]+)(?:-(?P<index>\d+))?-(?P<number>\d+)", re.ASCII)
STOPS_MAX = 100
"""Orphans stopped after one listing."""


def job_of(key: ids.AttemptKey) -> tuple[ids.JobId, int] | None:
    """Return (job or element, attempt number) that a key stands for; None for what is no key of ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    id = ids.JobId(found["job"].upper())
    if found["index"] is not None:
        id = ids.element_id(id, int(found["index"]))
    return id, int(found["number"])


@dataclass(slots=True)
class Orphans:
    """Not thread-safe: used by the loop only; ``reap`` runs in the executor's threads."""

    store: stores.Store
    live: index.JobIndex
    all_lanes: lanes.Lanes
    seen: sightings.Sightings
    clock: environment.Clock
    _first_s: dict[tuple[str, ids.AttemptKey], float] = field(default_factory=dict)

    def start(self, lane: lanes.Lane) -> None:
        """Start a listing where one is due."""
        pace, now_s, adapter = self.all_lanes.pace, self.clock.monotonic(), lane.adapter
        if adapter is None or not lane.breaker.closed or now_s - lane.listed_at_s < pace.list_every_s:
            return
        capabilities = self.seen.of(lane.backend).capabilities
        if capabilities is None or not capabilities.has(offers.Capability.LISTS_OWNED):
            return
        if isinstance(adapter, backends.ListsOwned) and not lane.in_flight("list"):
            lane.listed_at_s = now_s
            self.all_lanes.start(lane, "list", adapter.list_owned, pace.call_timeout_s)

    def take(self, lane: lanes.Lane, call: lanes.Call, term: ids.Term) -> None:
        """Take a listing: start the stops of those that are orphans for long enough."""
        error = call.future.exception()
        if error is not None:
            self.all_lanes.failed(lane, error)
            return
        refs = [ref for ref in call.future.result() if isinstance(ref, backends.AttemptRef)]
        live, listed = self._live(lane.backend), {ref.key for ref in refs}
        for backend, key in [each for each in self._first_s if each[0] == lane.backend]:
            if key not in listed or key in live:
                del self._first_s[backend, key]
        due = [ref for ref in refs if ref.key not in live and self._is_due(lane.backend, ref)][:STOPS_MAX]
        adapter = lane.adapter
        if due and adapter is not None:
            self.all_lanes.start(
                lane, "reap", lambda: self._reap(adapter, due, term), self.all_lanes.pace.call_timeout_s
            )

    def _live(self, backend: str) -> frozenset[ids.AttemptKey]:
        """Return the attempts that the loop's copy has alive at a backend: at worst for too long, by a listing."""
        here = self.live.by_backend.get(backend, {})
        attempts = (job.attempt for job in here.values())
        return frozenset(each.key for each in attempts if each is not None and not each.phase.terminal)

    def _is_due(self, backend: str, ref: backends.AttemptRef) -> bool:
        grace_s, now_s = self.all_lanes.pace.orphan_grace_s, self.clock.monotonic()
        over, ended_at = self._is_over(backend, ref.key)
        if not over:
            self._first_s.pop((backend, ref.key), None)
            return False
        if ended_at is not None and self.clock.now() - ended_at > dt.timedelta(seconds=grace_s):
            return True
        return now_s - self._first_s.setdefault((backend, ref.key), now_s) > grace_s

    def _is_over(self, backend: str, key: ids.AttemptKey) -> tuple[bool, dt.datetime | None]:
        """Return whether the store has the attempt over (or never had it here), and since when, if it knows."""
        parsed = job_of(key)
        if parsed is None:
            return False, None
        job = self.store.job(parsed[0])
        if job is None:
            return True, None
        attempt = next((each for each in job.attempts if each.number == parsed[1]), None)
        if attempt is None:
            return True, job.ended_at
        if not attempt.phase.terminal and attempt.site.partition("/")[0] == backend:
            return False, None
        return True, attempt.ended_at if attempt.phase in jobs.TERMINAL else None

    def _reap(self, adapter: backends.BackendAdapter, due: Sequence[backends.AttemptRef], term: ids.Term) -> None:
        for ref in due:
            if self.store.current_term() != term:
                return
            parsed = job_of(ref.key)
            if parsed is not None:
                adapter.stop(ref, backends.Fence(term, parsed[1]), dt.timedelta(seconds=10))
