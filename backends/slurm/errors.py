"""From what slurmrestd answers to the errors of the port. Codes begin with ``slurm.``."""

from __future__ import annotations

from orchestrator.domain import errors

TEXT_MAX = 300


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this backend will never do with this job. Nothing was started."""
    return errors.PermanentError(f"slurm.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"slurm.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def unreachable(url: str, why: str) -> errors.TransientError:
    """Return the error for a server to which nothing could be sent."""
    text = f"no slurmrestd answers at {url}: {why}"
    return errors.TransientError("slurm.unreachable", text, effects=errors.SideEffects.NONE)


def no_answer(url: str, why: str) -> errors.TransientError:
    """Return the error for a request that was sent, and whose effect nobody knows."""
    return errors.TransientError("slurm.no-answer", f"slurmrestd at {url} did not answer: {why}")


def malformed(what: str) -> errors.TransientError:
    """Return the error for an answer that is none of slurmrestd."""
    return errors.TransientError("slurm.malformed", f"what was answered is no {what} of slurmrestd")


def failed(url: str, status: int, said: str) -> errors.TransientError:
    """Return the error for an answer that holds errors, whatever its status; what it did is not known."""
    return errors.TransientError("slurm.failed", f"slurmrestd at {url} answers {status}: {shown(said)}")


def shown(text: str) -> str:
    """Return a text as one line that may be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:TEXT_MAX]
