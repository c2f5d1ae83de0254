"""What is read of a cluster beside its jobs, and kept for a while where that does."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence

from backends.slurm import client, reservations, rooms, wire

AGE_S = 30.0
"""So old may it be where it only explains why a job waits."""


class Cluster:
    """Safe to call from any thread."""

    def __init__(self, rest: client.Rest) -> None:
        self._rest = rest
        self._lock = threading.Lock()
        self._known: tuple[float, rooms.Seen] | None = None

    def look(self, *, age_s_max: float, jobs: Sequence[wire.Job] = ()) -> rooms.Seen:
        """Return nodes, partitions and maintenance windows, with the jobs that were listed. Raises BackendError."""
        with self._lock:
            known = self._known
        if known is None or time.monotonic() - known[0] > age_s_max:
            asked_s = time.monotonic()
            nodes = [wire.node(one) for one in self._rest.get("nodes", "nodes")]
            partitions = self._rest.get("partitions", "partitions")
            up = {str(one.get("name")): _is_up(one) for one in partitions}
            given = {str(one.get("name")): _given_minutes(one) for one in partitions}
            windows = reservations.windows(self._rest.get("reservations", "reservations"))
            known = (asked_s, rooms.Seen(nodes, up, (), windows, given))
            with self._lock:
                self._known = known
        return dataclasses.replace(known[1], jobs=jobs)


def _is_up(partition: Mapping[str, object]) -> bool:
    inner = partition.get("partition")
    state = partition.get("state") if not isinstance(inner, dict) else inner.get("state")
    return "UP" in (state if isinstance(state, list) else [state])


def _given_minutes(partition: Mapping[str, object]) -> int:
    """Return the time limit of a job that names none: the partition's default, else its most; 0: none."""
    for old, new in (("default_time_limit", "defaults"), ("max_time_limit", "maximums")):
        inner = partition.get(new)
        value = inner.get("time") if isinstance(inner, dict) else partition.get(old)
        if 0 < (minutes := wire.plain(value)) < wire.INFINITE:
            return minutes
    return 0
