"""Which attempts changed since somebody asked last: keys in the order of their last change, as many as are remembered.

A cursor is good for one object of this class: what another one saw, or missed, is not known here.
"""

from __future__ import annotations

import itertools
import secrets
import threading

from orchestrator.domain import ids
from orchestrator.ports import backends

KEYS_MAX = 50_000


class News:
    """Safe to call from several threads."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._lock = threading.Lock()
        self._mark = secrets.token_hex(8)
        self._last = 0
        self._forgotten = 0
        """Number of the newest change that is not remembered any more."""
        self._numbers: dict[str, int] = {}
        """Key -> number of its last change; the newest last."""

    def add(self, key: str) -> None:
        """Note that what is said of a key may be something else from now on. What it rests on is in place already."""
        with self._lock:
            self._last += 1
            self._numbers.pop(key, None)
            self._numbers[key] = self._last
            if len(self._numbers) > self._keys_max:
                oldest = next(iter(self._numbers))
                self._forgotten = self._numbers.pop(oldest)

    def since(self, cursor: str | None) -> backends.News:
        """Return what changed since a cursor; no keys where that is not known."""
        mark, _, number = (cursor or "").partition(":")
        with self._lock:
            now = f"{self._mark}:{self._last}"
            if mark != self._mark or not number.isdecimal() or not self._forgotten <= int(number) <= self._last:
                return backends.News(now)
            since = int(number)
            keys = itertools.takewhile(lambda key: self._numbers[key] > since, reversed(self._numbers))
            return backends.News(now, frozenset(map(ids.AttemptKey, keys)))
