"""Real time. The one place that reads the machine's clocks."""

from __future__ import annotations

import datetime as dt
import time


class SystemClock:
    """Implements ``ports.environment.Clock``."""

    def now(self) -> dt.datetime:
        """Return the current time, timezone-aware, UTC."""
        return dt.datetime.now(dt.UTC)  # noqa: TID251 -- this is the port's implementation

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
