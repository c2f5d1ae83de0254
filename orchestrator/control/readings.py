"""Reads the live jobs from the store: all of them at first and when something was lost, else what is not as known.

What the use cases commit comes through the inbox; this finds what the inbox lost. Versions are compared, because a row
of another content has another version: of ten thousand, numbers take 10 ms to read and rows 0.4 s.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.control import index, lanes
from orchestrator.ports import environment, stores

ROWS_MAX = 200
"""Rows that are read one by one; where more are not as known, all are read."""


@dataclass(slots=True)
class Readings:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    live: index.JobIndex
    clock: environment.Clock
    pace: lanes.Pace
    _read_at_s: float = float("-inf")
    _whole_at_s: float = float("-inf")

    def distrust(self) -> None:
        """Read everything the next time: what is known may be wrong."""
        self._whole_at_s = float("-inf")

    def read(self, *, lost: bool) -> bool:
        """Read what is due. Return whether anything was. Raises StoreError; then it is due again.

        ``lost``: changes were committed of which nobody can say which.
        """
        now_s = self.clock.monotonic()
        if lost or now_s - self._whole_at_s >= self.pace.read_whole_s:
            self._whole(now_s)
            return True
        if now_s - self._read_at_s < self.pace.read_again_s:
            return False
        self._compare(now_s)
        return True

    def _whole(self, now_s: float) -> None:
        self.live.replace_all(self.store.live_jobs())
        self._read_at_s = self._whole_at_s = now_s

    def _compare(self, now_s: float) -> None:
        """Read the rows whose version is not the known one, those that are not known, and those that live no more."""
        stored, known = self.store.live_versions(), self.live.jobs
        other = [id for id, version in stored.items() if (row := known.get(id)) is None or row.version != version]
        other += [id for id in known if id not in stored]
        if len(other) > ROWS_MAX:
            self._whole(now_s)
            return
        for id in other:
            row, was = self.store.job(id), known.get(id)
            if row is None or (was is not None and was.version > row.version):
                self.live.drop(id)  # the store is right, also where it knows less
            if row is not None:
                self.live.put(row)
        self._read_at_s = now_s
