"""Who writes next: a line of what waits for the writing connection, and the turn of whoever holds it.

The writer's thread serves the line. A caller who finds nobody writing and nothing waiting may write in its own thread
instead (``step_in``), which saves two hand-overs between threads; nobody is overtaken by that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from orchestrator.ports import stores

T = TypeVar("T")


class Line(Generic[T]):
    """First come, first served. Safe to call from any thread; one thread may call ``take``."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[T] = deque()
        self._writing = False
        self._idle = False
        """Whether the server of the line waits to be woken."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T) -> None:
        """Join the line. Raises StoreError when it is closed or too long."""
        with self._changed:
            self._check()
            if len(self._waiting) >= self._waiting_max:
                raise stores.StoreBusyError(f"{self._waiting_max} commits wait already; try again")
            self._waiting.append(item)
            if self._idle and not self._writing:
                self._changed.notify()

    def step_in(self) -> bool:
        """Take the turn if it is free and nobody waits for it; return whether it was. Raises StoreError if closed."""
        with self._changed:
            self._check()
            free = not self._writing and not self._waiting
            self._writing = self._writing or free
            return free

    def take(self, weigh: Callable[[T], int], *, items_max: int, weight_max: int) -> list[T]:
        """Wait for work and take the turn with the first of it and those after it that may share it; [] when closed.

        What weighs 0 shares with nobody; together, all but the last weigh less than ``weight_max``.
        """
        with self._changed:
            self._idle = True
            while self._writing or not (self._waiting or self._closed):
                self._changed.wait()
            self._idle = False
            taken: list[T] = []
            weight, first = 0, True
            while self._waiting and len(taken) < items_max and weight < weight_max:
                more = weigh(self._waiting[0])
                if not (more or first):
                    break
                taken.append(self._waiting.popleft())
                weight, first = weight + more if more else weight_max, False
            self._writing = bool(taken)
            return taken

    def leave(self) -> None:
        """Give the turn back."""
        with self._changed:
            self._writing = False
            if self._idle and (self._waiting or self._closed):
                self._changed.notify()

    def close(self) -> list[T]:
        """Let nobody join any more; return what waits and is still served while there is a server."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            return list(self._waiting)

    def _check(self) -> None:
        if self._closed:
            raise stores.StoreError("the store is closed")
