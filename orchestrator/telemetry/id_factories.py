"""Real ids: ULIDs (48 bits of milliseconds, 80 random bits) that grow even within a millisecond."""

from __future__ import annotations

import os
import random
import threading

from orchestrator.domain import ids
from orchestrator.ports import environment

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32."""
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_RANDOM_BITS = 80
_RANDOM_BYTES = _RANDOM_BITS // 8
_BLOCK = 400 * _RANDOM_BYTES
"""Random bytes are drawn in blocks: each call of the system lets other threads take over."""


class UlidFactory:
    """Implements ``ports.environment.IdFactory``. Safe to call from any thread."""

    def __init__(self, clock: environment.Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0
        self._random = b""
        self._used = 0

    def job_id(self) -> ids.JobId:
        """Return a new ULID, greater than every one before, also if the clock goes back."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        with self._lock:
            if milliseconds <= self._last >> _RANDOM_BITS:
                # the same millisecond (or a clock that went back): a random step up, so that ids stay hard to guess
                number = self._last + 1 + self._draw(4)
            else:
                number = (milliseconds << _RANDOM_BITS) | self._draw(_RANDOM_BYTES)
            self._last = number
        return ids.JobId(encode(number))

    def _draw(self, count: int) -> int:
        """Return ``count`` random bytes as a number; no byte is used twice. Under the lock."""
        start, end = self._used, self._used + count
        if end > len(self._random):
            self._random, start, end = os.urandom(_BLOCK), 0, count
        self._used = end
        return int.from_bytes(self._random[start:end], "big")

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()  # noqa: TID251, S311 -- this is the port's implementation; it spreads retries


def encode(number: int) -> str:
    """Return the 26 characters of a 128-bit number."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
