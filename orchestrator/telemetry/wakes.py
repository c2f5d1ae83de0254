"""The way to make the loop run soon: a flag behind a condition, so that a nudge costs no poll and no delay."""

from __future__ import annotations

import threading


class ConditionWake:
    """Implements ``ports.environment.Wake``. A nudge while the flag is up costs nothing."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._nudged = False

    def nudge(self) -> None:
        """Ask for a cycle now; cheap, from any thread."""
        if self._nudged:
            return
        with self._condition:
            self._nudged = True
            self._condition.notify()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a nudge; return whether there was one. Clears it."""
        with self._condition:
            if not self._nudged:
                self._condition.wait(timeout_s)
            nudged, self._nudged = self._nudged, False
            return nudged
