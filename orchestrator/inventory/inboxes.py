"""How the use cases tell the control loop about a job they have just committed.

Level beats edge: the loop compares what it knows with the store from time to time, so what is lost here costs time,
never truth. Bounded: when too much waits, everything waiting is dropped and the loop is told to read the store instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from orchestrator.domain import ids, jobs
from orchestrator.ports import environment

WAITING_MAX = 200_000
"""Jobs that may wait; the newest version of each."""


class JobSink(Protocol):
    """What a use case is given: call it after the commit, with the jobs of the receipt."""

    def offer(self, changed: Iterable[jobs.Job]) -> None:
        """Say that these jobs are now as they are. Any thread; never blocks for long, never fails."""


class Inbox:
    """Implements :class:`JobSink`; the loop drains it."""

    def __init__(self, wake: environment.Wake | None = None, *, waiting_max: int = WAITING_MAX) -> None:
        self._wake = wake
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._waiting: dict[ids.JobId, jobs.Job] = {}
        self._lost = False

    def offer(self, changed: Iterable[jobs.Job]) -> None:
        """Keep the newest version of each job and wake the loop."""
        with self._lock:
            for job in changed:
                known = self._waiting.get(job.id)
                if known is None or known.version < job.version:
                    self._waiting[job.id] = job
            if len(self._waiting) > self._waiting_max:
                self._waiting.clear()
                self._lost = True
        if self._wake is not None:
            self._wake.nudge()

    def drain(self) -> tuple[list[jobs.Job], bool]:
        """Return what waits and whether something was lost since the last time; empties it."""
        with self._lock:
            found, lost = list(self._waiting.values()), self._lost
            self._waiting = {}
            self._lost = False
        return found, lost
