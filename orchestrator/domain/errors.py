"""The error taxonomy of the port: code x may it be retried x what may have happened.

Adapters translate the errors of their SDK into these two; the control loop decides by the fields, never by text.
"""

from __future__ import annotations

import enum


class RetryWhere(enum.Enum):
    """Whether the same call may be tried again, and where."""

    NEVER = "never"
    SAME = "same"
    ELSEWHERE = "elsewhere"


class SideEffects(enum.Enum):
    """What the failed call may have done to the world."""

    NONE = "none"
    UNKNOWN = "unknown"
    DONE = "done"


class BackendError(Exception):
    """A backend refused or failed. ``code`` is stable, e.g. ``local.spawn-refused``."""

    retry: RetryWhere = RetryWhere.NEVER
    effects: SideEffects = SideEffects.NONE

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: RetryWhere | None = None,
        effects: SideEffects | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        if retry is not None:
            self.retry = retry
        if effects is not None:
            self.effects = effects

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class TransientError(BackendError):
    """May go away by itself. Unless said otherwise nobody knows whether it had an effect."""

    retry = RetryWhere.SAME
    effects = SideEffects.UNKNOWN


class PermanentError(BackendError):
    """The same call will fail again. Unless said otherwise it had no effect."""

    retry = RetryWhere.NEVER
    effects = SideEffects.NONE
