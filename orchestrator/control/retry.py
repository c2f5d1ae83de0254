"""When to try again: back-off with full jitter, and what a failed call means for the attempt it was made for.

Pure but for the randomness that is passed in. Nothing here waits: a back-off is a moment, the loop comes back then.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass

import tenacity

from orchestrator.domain import errors
from orchestrator.ports import environment, stores

CONFLICT_TRIES = 8
"""A commit that meets somebody else's change is made anew so often in one tick."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, capped, with full jitter: ``uniform(0, min(cap, base * 2**tries))`` seconds, at least ``floor``."""

    base_s: float
    cap_s: float
    floor_s: float = 0.0

    def pause_s(self, tries: int, jitter: Callable[[], float]) -> float:
        """Return the pause after ``tries`` failures in a row (from 1); ``jitter`` gives a number in [0, 1)."""
        return max(self.floor_s, _highest_s(self.base_s, self.cap_s, max(1, min(tries, 62))) * jitter())

    def moment(self, at: dt.datetime, tries: int, jitter: Callable[[], float]) -> dt.datetime:
        """Return the moment before which it is not to be tried again."""
        return at + dt.timedelta(seconds=self.pause_s(tries, jitter))


_NOBODY = tenacity.Retrying(reraise=True)


@functools.cache
def _highest_s(base_s: float, cap_s: float, tries: int) -> float:
    state = tenacity.RetryCallState(_NOBODY, None, (), {})
    state.attempt_number = tries
    return float(tenacity.wait_exponential(multiplier=base_s, max=cap_s)(state))


LAUNCH = Backoff(base_s=1.0, cap_s=60.0, floor_s=0.2)
"""The same submit again."""
PLACEMENT = Backoff(base_s=5.0, cap_s=300.0, floor_s=1.0)
"""Another placement after a refused, lost or failed attempt."""
CIRCUIT = Backoff(base_s=2.0, cap_s=60.0, floor_s=1.0)
"""A probe of a backend whose circuit is open."""
LOOKUP = Backoff(base_s=1.0, cap_s=30.0, floor_s=0.2)
"""Another stop, or another look at one attempt."""


def on_conflict() -> tenacity.Retrying:
    """Return the policy of a commit: again at once, a bounded number of times, when a row was changed meanwhile."""
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(CONFLICT_TRIES),
        retry=tenacity.retry_if_exception_type(stores.VersionConflictError),
        wait=tenacity.wait_none(),
        sleep=lambda _: None,
        reraise=True,
    )


class Verdict(enum.Enum):
    """What a failed submit means."""

    NOT_MADE = "notMade"
    """The call was not made at all: simply still due."""
    AGAIN = "again"
    """Certainly no effect, and the same backend may be asked again, after a back-off."""
    REFUSED = "refused"
    """Certainly no effect; somewhere else, or nowhere."""
    LOOK_UP = "lookUp"
    """Nobody knows: look the key up before anything else."""
    POISON = "poison"
    """The adapter broke on it: look the key up, and count."""


def verdict(error: BaseException) -> Verdict:
    """Return what the failure of a submit means; decided by the taxonomy, never by text."""
    match error:
        case environment.BulkheadFullError():
            return Verdict.NOT_MADE
        case errors.BackendError(effects=errors.SideEffects.NONE, retry=errors.RetryWhere.SAME):
            return Verdict.AGAIN
        case errors.BackendError(effects=errors.SideEffects.NONE):
            return Verdict.REFUSED
        case errors.BackendError() | TimeoutError():
            return Verdict.LOOK_UP
        case _:
            return Verdict.POISON


def code_of(error: BaseException) -> tuple[str, str]:
    """Return a stable code and a message without secrets for any failure of a call."""
    match error:
        case errors.BackendError():
            return error.code, error.message[:500]
        case environment.BulkheadFullError():
            return "backend.busy", "all calls to this backend are in flight"
        case TimeoutError():
            return "backend.timeout", "the call did not return within its deadline"
        case _:
            return "adapter.failed", f"the adapter raised {type(error).__name__}"


def is_transport(error: BaseException) -> bool:
    """Say whether a failure speaks against the whole backend, not against one attempt."""
    if isinstance(error, environment.BulkheadFullError):
        return False
    return isinstance(error, (TimeoutError, errors.TransientError)) or not isinstance(error, errors.BackendError)
