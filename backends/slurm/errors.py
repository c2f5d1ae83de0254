"""From what slurmrestd answers to the errors of the port. Codes begin with ``slurm.``."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain import errors

TEXT_MAX = 300
UNKNOWN_JOB = 2017
"""ESLURM_INVALID_JOB_ID."""
_DENIED = frozenset({2002, 1007, 1017})
"""ESLURM_ACCESS_DENIED (2002), and the authentication errors of slurmrestd."""
_DOWN = frozenset({1800, 1801, 1802, 1803, 5005, 5004})
"""The controller cannot be asked: SLURMCTLD_COMMUNICATIONS_*, SLURM_PROTOCOL_SOCKET_IMPL_TIMEOUT."""


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this backend will never do with this job. Nothing was started."""
    return errors.PermanentError(f"slurm.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"slurm.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def full(code: str, message: str) -> errors.PermanentError:
    """Return the error for a job that a bound keeps out now: it waits and is placed again. Nothing was started, and
    nothing is wrong with the backend.
    """
    return errors.PermanentError(f"slurm.{code}", message, retry=errors.RetryWhere.ELSEWHERE)


def unreachable(url: str, why: str) -> errors.TransientError:
    """Return the error for a slurmrestd to which nothing could be sent."""
    text = f"no slurmrestd answers at {url}: {why}. Is it up, and listening there?"
    return errors.TransientError("slurm.unreachable", text, effects=errors.SideEffects.NONE)


def no_answer(url: str, code: str, why: str) -> errors.TransientError:
    """Return the error for a request that was sent, and whose effect nobody knows. ``why`` begins with *it*."""
    return errors.TransientError(f"slurm.{code}", f"slurmrestd at {url}: {why}")


def not_json(url: str) -> errors.TransientError:
    """Return the error for an answer that is not JSON: a page of whatever stands before it."""
    return errors.TransientError("slurm.not-json", f"what {url} answered is not JSON: does something stand before it?")


def malformed(url: str, what: str) -> errors.TransientError:
    """Return the error for an answer that is none of slurmrestd."""
    return errors.TransientError("slurm.malformed", f"what {url} answered is no {what} of slurmrestd")


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", "this attempt was stopped before it began, and will not start any more")


def no_log(backend: str, key: str) -> errors.PermanentError:
    """Return the error for the log of an attempt that is kept nowhere any more."""
    text = f"backend {backend} keeps no log of attempt {key}: its folder is gone. Run the job again (comity retry)"
    return errors.PermanentError("logs.not-found", text)


def of_answer(url: str, status: int, said: Sequence[tuple[int, str]]) -> errors.BackendError:
    """Return the error for an answer with errors in it, whatever its status. ``said``: (number, text) of each."""
    numbers, text = {number for number, _ in said}, "; ".join(shown(text) for _, text in said)[:TEXT_MAX]
    if status in (401, 403, 511) or numbers & _DENIED:
        return elsewhere("denied", f"slurmrestd at {url} refuses the user or the token: {text or status}")
    if 300 <= status < 400:
        return elsewhere("redirected", f"{url} answers with a redirect, which is not followed: name slurmrestd itself")
    if status == 404:
        return elsewhere("version", f"slurmrestd at {url} does not speak the version that it spoke before")
    if numbers & _DOWN:
        return errors.TransientError("slurm.controller", f"slurmctld behind {url} cannot be asked: {text}")
    if 200 <= status < 300:
        return errors.TransientError("slurm.error-inside", f"slurmrestd at {url} answers {status}, and errors: {text}")
    if status in (408, 429):
        return errors.TransientError("slurm.failed", f"slurmrestd at {url} answers {status}: {text or 'and no more'}")
    if status >= 500 and not any(number > 0 for number in numbers):
        # A bad token and a controller that is away look alike in v0.0.38: both "Unspecified error".
        why = text or f"status {status}"
        return errors.TransientError(
            "slurm.failed", f"slurmrestd at {url} answers: {why}. Its controller is away, or the token is not good"
        )
    return refused("refused", f"Slurm refuses it: {text or f'status {status}'}")


def shown(text: str) -> str:
    """Return a text in one line that may be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:TEXT_MAX]
