"""Wall time that does not jump: for deadlines and other expiries, so that a clock set by an hour ends nothing.

Follows the wall clock, but never faster or slower than a tenth beside the monotonic one. A restart begins at the
wall clock anew. Records keep the wall clock's own time.
"""

from __future__ import annotations

import datetime as dt

from orchestrator.ports import environment

SLEW = 0.1
"""Seconds of correction for each second that passes."""


class SteadyClock:
    """Not thread-safe."""

    def __init__(self, clock: environment.Clock) -> None:
        self._clock = clock
        self._now = clock.now()
        self._mono_s = clock.monotonic()

    def now(self) -> dt.datetime:
        """Return the steady time, UTC."""
        wall, mono_s = self._clock.now(), self._clock.monotonic()
        passed_s = max(0.0, mono_s - self._mono_s)
        self._mono_s = mono_s
        ahead_s = (wall - self._now).total_seconds() - passed_s
        step_s = max(-passed_s * SLEW, min(passed_s * SLEW, ahead_s))
        if abs(ahead_s) < 1.0:
            step_s = ahead_s
        self._now += dt.timedelta(seconds=passed_s + step_s)
        return self._now
