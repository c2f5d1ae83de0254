"""What happens when the disk is full: a reserve file is given up, so that cancels and endings still fit.

While the disk is full, commits with new jobs are refused. When there is room again the reserve is made anew, and
then they are accepted: nobody has to restart anything.
"""

from __future__ import annotations

import os
import pathlib

from orchestrator.ports import environment

RESERVE_BYTES = 2 * 1024 * 1024
_LOOK_AGAIN_S = 0.25


class Reserve:
    """A file of allocated, unused bytes next to the database. Used by the writer's thread only."""

    def __init__(self, path: pathlib.Path, clock: environment.Clock, *, size: int) -> None:
        self._path = path
        self._clock = clock
        self._size = size
        self._looked_at_s = float("-inf")
        self.full = False
        """Whether new jobs are refused."""

    def prepare(self) -> None:
        """Make the reserve when the store is opened; without room for it the disk counts as full."""
        self.full = not self._make()

    def release(self) -> None:
        """Give the reserve up: the disk is full."""
        self.full = True
        self._looked_at_s = self._clock.monotonic()
        self._path.unlink(missing_ok=True)

    def look(self) -> bool:
        """Return whether the disk is full, looking again now and then."""
        if self.full and self._clock.monotonic() - self._looked_at_s >= _LOOK_AGAIN_S:
            self._looked_at_s = self._clock.monotonic()
            self.full = not self._make()
        return self.full

    def _make(self) -> bool:
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize < 2 * self._size:
                return False
            with open(self._path, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
