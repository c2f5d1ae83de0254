"""Weighted fair shares: whose turn it is among jobs of one priority.

A share (a queue, else a tenant without one) has used the largest fraction of any resource that its live attempts
take of the whole (dominant resource fairness), divided by its weight. The share that has used least goes next; ties
by arrival. What a cycle places counts at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.domain import offers
from orchestrator.scheduler import snapshots, worlds

LEAST = 1e-9
"""What the smallest job uses, so that turns alternate among jobs that ask for nothing."""


class Shares:
    """Use of the whole by share, over one cycle."""

    def __init__(self, whole: offers.Room, live: Iterable[snapshots.Live], world: worlds.World) -> None:
        self._whole = whole
        self._world = world
        self._used: dict[str, float] = {}
        for item in live:
            self.use(item.share, item.room)

    def use(self, share: str, room: offers.Room, times: int = 1) -> None:
        """Count ``times`` attempts of this size."""
        self._used[share] = self._used.get(share, 0.0) + times * self._fraction(room)

    def used(self, share: str) -> float:
        """Return the fraction used, divided by the weight; a weight of zero goes after every other."""
        tenant, _, queue = share.partition("/")
        return self._used.get(share, 0.0) / max(self._world.weight(tenant, queue or None), LEAST)

    def _fraction(self, room: offers.Room) -> float:
        whole = self._whole
        parts = (
            room.accelerators / whole.accelerators if whole.accelerators else 0.0,
            room.cpu_milli / whole.cpu_milli if whole.cpu_milli else 0.0,
            room.memory_bytes / whole.memory_bytes if whole.memory_bytes else 0.0,
        )
        return max(*parts, LEAST)
