"""What our own live Jobs ask for in each pool, kept as they come and go: they are too many to add up each second.

Amounts are whole numbers, so adding and taking away is exact. Level beats edge here too: a Job is counted as it is
known at that moment, whatever the event said, and all are counted anew from time to time.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from backends.kubernetes import views
from orchestrator.domain import ids

RECOUNT_S = 60.0
"""All are counted anew after so long, should one change have been missed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What live Jobs ask for: thousandths of a CPU, bytes, devices, pods; and the keys of their attempts."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: int = 0
    pods: int = 0
    keys: frozenset[ids.AttemptKey] = frozenset()


NOTHING = Held()


class _Sum:
    """What the Jobs of one pool ask for, added up; amounts of a Job are those of one of its pods."""

    __slots__ = ("accelerators", "cpu_milli", "keys", "memory_bytes", "pods", "told")

    def __init__(self) -> None:
        self.cpu_milli = self.memory_bytes = self.accelerators = self.pods = 0
        self.keys: set[ids.AttemptKey] = set()
        self.told: Held | None = None

    def add(self, job: views.Job, sign: int) -> None:
        """Add a Job (1), or take it away again (-1)."""
        pods = job.nodes * sign
        self.cpu_milli += job.cpu_milli * pods
        self.memory_bytes += job.memory_bytes * pods
        self.accelerators += job.accelerators * pods
        self.pods += pods
        (self.keys.add if sign > 0 else self.keys.discard)(ids.AttemptKey(job.key))
        self.told = None

    def tell(self) -> Held:
        """Return the sum; the same object until something changes."""
        if self.told is None:
            self.told = Held(self.cpu_milli, self.memory_bytes, self.accelerators, self.pods, frozenset(self.keys))
        return self.told


def held(jobs: Iterable[views.Job]) -> Held:
    """Return what Jobs ask for."""
    found = _Sum()
    for job in jobs:
        found.add(job, 1)
    return found.tell()


class Holdings:
    """Safe to call from several threads. ``items`` is what is known of Jobs, ``counts`` says which of them count."""

    def __init__(
        self,
        items: Mapping[str, views.Job],
        counts: Callable[[views.Job], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._items = items
        self._counts = counts
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counted_s = float("-inf")
        self._live: dict[str, views.Job] = {}
        self._pools: dict[str, _Sum] = {}
        """Label of a pool -> what its live Jobs ask for."""

    def changed(self, name: str) -> None:
        """Count a Job as it is known now."""
        with self._lock:
            known, job = self._live.pop(name, None), self._items.get(name)
            if known is not None:
                self._pools[known.pool].add(known, -1)
            if job is not None and self._counts(job):
                self._enter(job)

    def live(self) -> list[views.Job]:
        """Return the Jobs that count, in order of name."""
        with self._lock:
            self._recount()
            found = list(self._live.values())
        return sorted(found, key=lambda job: job.name)

    def held(self, pool: str) -> Held:
        """Return what the Jobs ask for whose label names this pool."""
        with self._lock:
            self._recount()
            found = self._pools.get(pool)
            return found.tell() if found is not None else NOTHING

    def _recount(self) -> None:
        now_s = self._monotonic()
        if now_s - self._counted_s < RECOUNT_S:
            return
        self._counted_s = now_s
        self._live, self._pools = {}, {}
        for job in list(self._items.values()):
            if self._counts(job):
                self._enter(job)

    def _enter(self, job: views.Job) -> None:
        self._live[job.name] = job
        self._pools.setdefault(job.pool, _Sum()).add(job, 1)
