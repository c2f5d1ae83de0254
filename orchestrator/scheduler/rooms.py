"""The room that is left while a cycle gives it away: plain whole numbers a site, and sites kept for big jobs.

A cycle only ever takes, so a site without room for a class stays so until the next cycle: each class walks down its
ranking once, however many jobs it has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from orchestrator.domain import offers
from orchestrator.placement import columns
from orchestrator.scheduler import classes


class Rooms:
    """Free room by row of the columns, as of now in this cycle."""

    def __init__(self, table: columns.Columns) -> None:
        self._cpu: list[int] = table.ints["free_cpu"].tolist()
        self._memory: list[int] = table.ints["free_memory"].tolist()
        self._accelerators: list[int] = table.ints["free_accelerators"].tolist()
        self._slots: list[int] = table.ints["free_slots"].tolist()
        self._queues: list[bool] = table.bools["queues"].tolist()
        self._wait_us: list[int] = table.wait_us.tolist()
        self.kept: dict[int, int] = {}
        """Row -> priority of the big job that it is kept for."""

    def times(self, row: int, job: classes.JobClass, wanted: int) -> int:
        """Return how many attempts of a class, at most ``wanted``, this site could take now."""
        room = job.room
        fit = min(wanted, self._slots[row])
        if fit <= 0:
            return 0
        by_room = fit
        for free, each in (
            (self._accelerators[row], room.accelerators),
            (self._cpu[row], room.cpu_milli),
            (self._memory[row], room.memory_bytes),
        ):
            if each:
                by_room = min(by_room, free // each)
        if by_room > 0:
            return by_room
        limit = job.requirement.start_within
        # A site that queues by itself takes more than it has room for, if the wait is short enough.
        if self._queues[row] and (limit is None or self._wait_us[row] <= limit // dt.timedelta(microseconds=1)):
            return fit
        return 0

    def take(self, row: int, room: offers.Room, times: int) -> None:
        """Give room away."""
        self._accelerators[row] -= room.accelerators * times
        self._cpu[row] -= room.cpu_milli * times
        self._memory[row] -= room.memory_bytes * times
        self._slots[row] -= times

    def open_to(self, row: int, priority: int) -> bool:
        """Say whether a job of this priority may take the site: it is kept for nobody, or for somebody lower."""
        kept = self.kept.get(row)
        return kept is None or kept < priority


class Walk:
    """One class walking down its ranking over one cycle."""

    def __init__(self, job: classes.JobClass, ranking: Iterable[int]) -> None:
        self.job = job
        self._ranking = list(ranking)
        self._at = 0

    def next(self, rooms: Rooms, priority: int, wanted: int) -> tuple[int, int] | None:
        """Return (row, how many) at the best site that takes any now; None: none does."""
        while self._at < len(self._ranking):
            times = rooms.times(self._ranking[self._at], self.job, wanted)
            if times:
                break
            self._at += 1
        # A site that is kept for another is passed over, not left: it may be free for a job of higher priority.
        for row in self._ranking[self._at :] if rooms.kept else self._ranking[self._at : self._at + 1]:
            if rooms.open_to(row, priority):
                times = rooms.times(row, self.job, wanted)
                if times:
                    return row, times
        return None
