"""Jobs in line, and arrays: which job or which elements of a lane come next, without changing the lane.

An array stands in line once, for all of its untouched elements. In one turn it takes as many as fit at one site, as
its ``parallel`` allows, and at most ``CHUNK``, so that others of its share and priority get their turns. Elements
that were touched before (a retry) are jobs of their own and count against the same ``parallel``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain import ids
from orchestrator.scheduler import queues

CHUNK = 64
"""Elements that an array takes in one turn."""


class Budgets:
    """What arrays may still take in this cycle."""

    def __init__(self, arrays: Mapping[ids.JobId, queues.ArrayRoom]) -> None:
        self._arrays = arrays
        self._taken: dict[ids.JobId, int] = {}
        """Elements that were placed in this cycle, touched before or not."""
        self._closed: set[ids.JobId] = set()
        self._skipped: dict[ids.JobId, int] = {}
        """Untouched elements that were placed in this cycle: always the first ones."""

    def is_array(self, job: ids.JobId) -> bool:
        """Say whether a job stands for the untouched elements of an array."""
        return job in self._arrays

    def left(self, parent: ids.JobId) -> int | None:
        """Return how many more elements may occupy sites; None: any number."""
        if parent in self._closed:
            return 0
        room = self._arrays.get(parent)
        if room is None or room.budget is None:
            return None
        return max(room.budget - self._taken.get(parent, 0), 0)

    def close(self, parent: ids.JobId) -> None:
        """Let none of its elements take anything more in this cycle."""
        self._closed.add(parent)

    def untouched(self, parent: ids.JobId) -> int:
        """Return how many elements nobody has touched, in this cycle either."""
        return sum(high - low for low, high in self._arrays[parent].untouched) - self._skipped.get(parent, 0)

    def take_touched(self, parent: ids.JobId) -> None:
        """Count an element that is a job of its own."""
        self._taken[parent] = self._taken.get(parent, 0) + 1

    def take(self, parent: ids.JobId, times: int) -> list[int]:
        """Return the indices of the next ``times`` untouched elements, and count them."""
        skip = self._skipped.get(parent, 0)
        found: list[int] = []
        for low, high in self._arrays[parent].untouched:
            start = low + min(skip, high - low)
            skip -= start - low
            found += range(start, min(high, start + times - len(found)))
            if len(found) == times:
                break
        self._skipped[parent] = self._skipped.get(parent, 0) + times
        self._taken[parent] = self._taken.get(parent, 0) + times
        return found


class Line:
    """A lane as one cycle goes through it."""

    def __init__(self, lane: queues.Lane, budgets: Budgets) -> None:
        self._lane = lane
        self._budgets = budgets
        self._at = lane.head
        self._placed: set[ids.JobId] = set()

    def sequence(self) -> int | None:
        """Return the arrival of the next job that could be placed; None: none is left."""
        self.wanted()
        return self._lane.sequences[self._at] if self._at < len(self._lane.jobs) else None

    def wanted(self) -> int:
        """Return how many attempts the next job asks for (1, or elements of an array); 0: none is left."""
        lane = self._lane
        while self._at < len(lane.jobs):
            wanted = self._wanted(lane.jobs[self._at])
            if wanted:
                return wanted
            self._at += 1
        return 0

    def head(self) -> ids.JobId | None:
        """Return the next job that could be placed; None: none is left."""
        self.wanted()
        return self._lane.jobs[self._at] if self._at < len(self._lane.jobs) else None

    def pass_over(self, job: ids.JobId) -> None:
        """Have nothing said of a job: it was placed, or was told by itself."""
        self._placed.add(job)

    def take(self, times: int) -> list[tuple[ids.JobId, int | None]]:
        """Return (job, element) of ``times`` attempts of the next job, and step on when it is served."""
        job = self._lane.jobs[self._at]
        if self._budgets.is_array(job):
            # Stays in line: `wanted` steps over it when it may take no more.
            return [(job, index) for index in self._budgets.take(job, times)]
        parent, index = ids.split_element(job)
        if index is not None:
            self._budgets.take_touched(parent)
        self._at += 1
        self._placed.add(job)
        return [(job, None)]

    def leave(self) -> None:
        """Go through no more of it in this cycle."""
        self._at = len(self._lane.jobs)

    def untold(self, note: int, limit: int) -> tuple[ids.JobId, ...]:
        """Return at most ``limit`` jobs that do not carry a condition yet; none that was placed or passed over."""
        found = self._lane.untold(note, limit)
        return tuple(job for job in found if job not in self._placed)

    def _wanted(self, job: ids.JobId) -> int:
        if not job:
            return 0
        if self._budgets.is_array(job):
            left, untouched = self._budgets.left(job), self._budgets.untouched(job)
            return min(untouched, CHUNK) if left is None else min(untouched, CHUNK, left)
        parent, index = ids.split_element(job)
        if index is None:
            return 1
        left = self._budgets.left(parent)
        return 1 if left is None else min(left, 1)


def alive(lane: queues.Lane, limit: int) -> Iterator[ids.JobId]:
    """Yield at most ``limit`` jobs of a lane, first come first."""
    for job in lane.jobs[lane.head :]:
        if limit <= 0:
            return
        if job:
            limit -= 1
            yield job
