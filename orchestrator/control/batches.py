"""Several effects of one kind in one call of a bulkhead: quick backends are not slowed by a thread's turn for each.

Runs in the executor's thread. Each effect is guarded just before it happens. When the deadline passes, ``close``
settles what is known: done, in doubt (one at most), never begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from orchestrator.domain import errors, ids

T = TypeVar("T")


class DroppedError(Exception):
    """The effect was not made, because it may not be made any more. ``code`` says why."""

    def __init__(self, code: str, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.stale = stale
        """Another controller acts now: nothing at all is to be done."""


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One effect: ``guard`` raises :class:`DroppedError` where it may not happen, ``effect`` makes it happen."""

    key: ids.AttemptKey
    guard: Callable[[], None]
    effect: Callable[[], T]


@dataclass(slots=True)
class Batch(Generic[T]):
    """The effects of one call, in order; made one after the other until one fails in transport."""

    items: Sequence[Item[T]]
    results: dict[ids.AttemptKey, T | BaseException] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _current: ids.AttemptKey | None = None
    _closed: bool = False

    def run(self) -> None:
        """Make the effects; called once, in the executor's thread."""
        for item in self.items:
            with self._lock:
                if self._closed:
                    return
                self._current = item.key
            result: T | BaseException
            try:
                item.guard()
                result = item.effect()
            except Exception as error:  # noqa: BLE001 -- whatever an adapter raises is an answer about this attempt
                result = error
            with self._lock:
                if self._closed:
                    return
                self.results[item.key] = result
                self._current = None
            if isinstance(result, (errors.TransientError, TimeoutError)):
                return

    def close(self) -> dict[ids.AttemptKey, T | BaseException]:
        """Return what is known, the one in doubt as TimeoutError; the keys that are missing were never begun."""
        with self._lock:
            self._closed = True
            if self._current is not None:
                self.results[self._current] = TimeoutError("the call is past its deadline")
                self._current = None
            return self.results
