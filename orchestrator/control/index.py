"""The loop's own copy of the live jobs: by phase and by backend, refreshed from receipts, the inbox and the store.

It is a cache: a wrong row costs a refused commit, after which it is read again. Nothing in it is truth.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterable, Iterator
from typing import Protocol

from orchestrator.domain import ids, jobs

ENDED_MAX = 10_000
"""Finished jobs whose version is remembered, so that old news of them is known for what it is."""


def backend_of(site: ids.SiteName) -> str:
    """Return the backend of a site."""
    return site.partition("/")[0]


class Follower(Protocol):
    """Who is told of every change of the index (the planner)."""

    def put(self, job: jobs.Job) -> None:
        """Take a job as committed: live, changed or ended."""

    def discard(self, job: ids.JobId) -> None:
        """Drop a job that is not live."""

    def clear(self) -> None:
        """Forget everything."""


class JobIndex:
    """Live jobs. Not thread-safe: used by the loop only."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.changes = 0
        """Grows with every change."""
        self._reset()

    def _reset(self) -> None:
        self.jobs: dict[ids.JobId, jobs.Job] = {}
        self.waiting: dict[ids.JobId, jobs.Job] = {}
        """QUEUED jobs and elements, and arrays with elements that nobody touched."""
        self.occupying: dict[ids.JobId, jobs.Job] = {}
        """Jobs and elements whose current attempt holds, or may hold, capacity."""
        self.by_backend: dict[str, dict[ids.JobId, jobs.Job]] = {}
        self.stopping: dict[str, dict[ids.JobId, jobs.Job]] = {}
        """Backend -> jobs whose attempt there must end."""
        self.elements: dict[ids.JobId, set[ids.JobId]] = {}
        """Array -> its touched, live elements."""
        self.unjudged: set[ids.JobId] = set()
        """Verified jobs of which a run has ended since somebody last compared them, or of which nobody knows."""
        self._ended: dict[ids.JobId, int] = {}
        self._deadlines: list[tuple[dt.datetime, ids.JobId]] = []

    def replace_all(self, live: Iterable[jobs.Job]) -> None:
        """Become what the store says, all of it."""
        ended = self._ended
        self.changes += 1
        self._reset()
        self._ended = ended
        self._follower.clear()
        for job in live:
            self.put(job)

    def get(self, job: ids.JobId) -> jobs.Job | None:
        """Return a live job."""
        return self.jobs.get(job)

    def put(self, job: jobs.Job) -> bool:
        """Take a row as stored; older news than what is known is ignored. Return whether it was taken."""
        known = self.jobs.get(job.id)
        if job.version < (known.version if known else self._ended.get(job.id, 0)):
            return False
        self.changes += 1
        if job.spec.verification is not None and (known is None or job.phase.terminal):
            self.unjudged.add(job.parent or job.id)
        if job.phase.terminal:
            self.drop(job.id)
            self._follower.put(job)
            self._ended[job.id] = job.version
            if len(self._ended) > ENDED_MAX:
                del self._ended[next(iter(self._ended))]
            return True
        if known is not None:
            self._leave(known)
        else:
            self._note_deadlines(job)
        self.jobs[job.id] = job
        self._enter(job)
        self._follower.put(job)
        return True

    def drop(self, job: ids.JobId) -> None:
        """Forget a job that is not live."""
        known = self.jobs.pop(job, None)
        if known is not None:
            self.changes += 1
            self._leave(known)
            self._follower.discard(job)

    def due_deadlines(self, now: dt.datetime, limit: int) -> Iterator[jobs.Job]:
        """Yield live jobs one of whose limits has passed; each once for each of its limits."""
        while self._deadlines and self._deadlines[0][0] <= now and limit > 0:
            limit -= 1
            job = self.jobs.get(heapq.heappop(self._deadlines)[1])
            if job is not None:
                yield job

    def remind(self, at: dt.datetime, job: ids.JobId) -> None:
        """Bring a job up again at ``at``."""
        heapq.heappush(self._deadlines, (at, job))

    def _note_deadlines(self, job: jobs.Job) -> None:
        limits = job.spec.limits
        for length in (limits.deadline, limits.start_within):
            if length is not None:
                self.remind(job.submitted_at + length, job.id)

    def _enter(self, job: jobs.Job) -> None:
        state = job.array_state
        if state is not None:
            if state.untouched and job.stop is None:
                self.waiting[job.id] = job
            return
        if job.parent is not None:
            self.elements.setdefault(job.parent, set()).add(job.id)
        if job.phase is jobs.Phase.QUEUED:
            self.waiting[job.id] = job
        else:
            self.occupying[job.id] = job
            attempt = job.attempt
            if attempt is not None:
                backend = backend_of(attempt.site)
                self.by_backend.setdefault(backend, {})[job.id] = job
                if job.phase is jobs.Phase.STOPPING:
                    self.stopping.setdefault(backend, {})[job.id] = job

    def _leave(self, job: jobs.Job) -> None:
        self.waiting.pop(job.id, None)
        if self.occupying.pop(job.id, None) is not None and job.attempt is not None:
            backend = backend_of(job.attempt.site)
            here = self.by_backend[backend]
            here.pop(job.id, None)
            if not here:
                del self.by_backend[backend]
            self.stopping.get(backend, {}).pop(job.id, None)
        if job.parent is not None and job.parent in self.elements:
            self.elements[job.parent].discard(job.id)
            if not self.elements[job.parent]:
                del self.elements[job.parent]
