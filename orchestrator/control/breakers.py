"""A circuit breaker a backend: after too many failures in a row nothing is called until a jittered pause is over.

It bounds what a dead or flapping backend costs. It decides about reachability only; never about jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.control import retry
from orchestrator.inventory import sightings

FAILURES_MAX = 3
"""Failures in a row that open the circuit."""


@dataclass(slots=True)
class Breaker:
    """Not thread-safe: used by the loop only. Times are monotonic seconds."""

    jitter: Callable[[], float]
    failures: int = 0
    openings: int = 0
    _open_until_s: float | None = None
    _probing: bool = False

    @property
    def circuit(self) -> sightings.Circuit:
        """Return the state as others read it."""
        if self._open_until_s is None:
            return sightings.Circuit.CLOSED
        return sightings.Circuit.PROBING if self._probing else sightings.Circuit.OPEN

    @property
    def closed(self) -> bool:
        """Say whether calls go through freely."""
        return self._open_until_s is None

    def may_probe(self, now_s: float) -> bool:
        """Say whether the circuit is open and its pause over, so that one call may find out."""
        return self._open_until_s is not None and not self._probing and now_s >= self._open_until_s

    def probe(self) -> None:
        """Note that the one call is made."""
        self._probing = True

    def good(self) -> None:
        """Note an answer."""
        self.failures = 0
        self._open_until_s = None
        self._probing = False
        self.openings = 0

    def bad(self, now_s: float) -> None:
        """Note a failure of the transport."""
        self.failures += 1
        if self._probing or self.failures >= FAILURES_MAX:
            if self._open_until_s is None or self._probing:
                self.openings += 1
                self._open_until_s = now_s + retry.CIRCUIT.pause_s(self.openings, self.jitter)
            self._probing = False
