"""Control groups made in advance, each with a process inside that starts one runner.

To move a process into a group of version 1 makes the kernel wait for all CPUs, some 12 ms a group. What is forked
inside is there at once; so a starter of its own moves while nobody waits, and the first attempt that needs such groups
takes them, under its own name. A convenience only: without a seat the job moves itself. Version 2 needs none of this.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from backends.local import attempts, client, limits

_MEMORY_BYTES_MIN = 16 * 2**20
"""The runner is inside too, and takes a few hundred KiB: jobs with hardly more than that move by themselves."""
_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Seat:
    """Groups, and the process inside of them."""

    starter: client.Starter
    groups: tuple[str, ...]

    def rename(self, paths: Sequence[str]) -> bool:
        """Give the groups other names beside their own; False where that cannot be, and then they are gone."""
        try:
            for old, new in zip(self.groups, paths, strict=True):
                os.rename(old, new)
        except (OSError, ValueError):
            self.close()
            return False
        return True

    def close(self) -> None:
        """End the process, which has served or never will, and remove what it was in."""
        self.starter.end()
        limits.remove(self.groups)


class Seats:
    """At most one seat for each set of controllers that jobs have asked for. Thread-safe."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}-{limits.SEAT}"
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._kept: dict[tuple[str, ...], Seat] = {}
        self._closed = False

    def take(self, attempt: attempts.Attempt) -> Seat | None:
        """Return a seat whose groups are now those of the attempt; None where there is none."""
        if not _fits(attempt):
            return None
        with self._lock:
            seat = self._kept.pop(_parents(attempt.cgroups), None)
        return seat if seat is not None and seat.rename(attempt.cgroups) else None

    def refill(self, attempt: attempts.Attempt) -> None:
        """Make a seat for the next attempt like this one. Failing costs only time later."""
        parents = _parents(attempt.cgroups)
        if not _fits(attempt) or any(os.path.exists(f"{parent}/cgroup.controllers") for parent in parents):
            return
        if not self._making.acquire(blocking=False):
            return  # somebody is at it
        try:
            with self._lock:
                if self._closed or parents in self._kept:
                    return
            seat = self._made(parents)
            with self._lock:
                if seat is not None and not self._closed:
                    self._kept[parents] = seat
                    return
            if seat is not None:
                seat.close()
        finally:
            self._making.release()

    def _made(self, parents: Sequence[str]) -> Seat | None:
        name = f"{self._prefix}-{os.getpid()}-{next(_serial)}"
        groups = tuple(f"{parent}/{name}" for parent in parents)
        try:
            for group in groups:
                os.mkdir(group, 0o755)
            return Seat(client.Starter(client.RUNNER, groups), groups)
        except OSError:
            limits.remove(groups)
            return None

    def close(self) -> None:
        """Give all back, and make no more."""
        with self._lock:
            self._closed, kept, self._kept = True, self._kept, {}
        for seat in kept.values():
            seat.close()


def clean(prefix: str, parents: Sequence[str]) -> None:
    """Remove the groups of seats, and of probes, whose server is gone."""
    ours = re.compile(rf"{re.escape(prefix)}-(?:{limits.SEAT}|probe)-([0-9]+)(?:-[0-9]+)?", re.ASCII)
    for parent in dict.fromkeys(filter(None, parents)):
        with contextlib.suppress(OSError):
            for name in os.listdir(parent):
                if (found := ours.fullmatch(name)) and not os.path.exists(f"/proc/{found[1]}"):
                    limits.remove([f"{parent}/{name}"])


def _fits(attempt: attempts.Attempt) -> bool:
    return attempt.nodes == 1 and bool(attempt.cgroups) and not 0 < attempt.memory_bytes < _MEMORY_BYTES_MIN


def _parents(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(os.path.dirname(path) for path in paths)
