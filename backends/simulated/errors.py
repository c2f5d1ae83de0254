"""What goes wrong on the pretended machine, as errors of the port."""

from __future__ import annotations

from orchestrator.domain import errors


def full(pool: str) -> errors.BackendError:
    """Return the refusal of an attempt for which there is no room."""
    return errors.PermanentError("simulated.full", f"pool {pool} has no room", retry=errors.RetryWhere.ELSEWHERE)


def unknown_pool(pool: str) -> errors.BackendError:
    """Return the refusal of a pool that does not exist."""
    return errors.PermanentError(
        "simulated.unknown-pool", f"there is no pool {pool}", retry=errors.RetryWhere.ELSEWHERE
    )


def stopped_before(key: str) -> errors.BackendError:
    """Return the refusal of an attempt that was stopped before it arrived."""
    text = f"attempt {key} was stopped before it was submitted"
    return errors.PermanentError("simulated.stopped-before", text, retry=errors.RetryWhere.ELSEWHERE)


def stale_term(term: int) -> errors.BackendError:
    """Return the refusal of a controller that another one has replaced."""
    text = f"term {term} is over"
    return errors.PermanentError("simulated.stale-term", text, retry=errors.RetryWhere.SAME)


def no_effect() -> errors.BackendError:
    """Return a pretended fault without effect."""
    return errors.TransientError("simulated.error", "a pretended fault", effects=errors.SideEffects.NONE)


def lost_reply() -> errors.BackendError:
    """Return a pretended loss of the answer."""
    return errors.TransientError("simulated.lost-reply", "a pretended loss of the answer")


def no_output(path: str) -> errors.BackendError:
    """Return the refusal to read what is no output."""
    return errors.PermanentError("outputs.not-found", f"there is no output {path!r}")


def damaged(path: str) -> errors.BackendError:
    """Return what is wrong with a record file that cannot be read."""
    return errors.PermanentError("simulated.damaged", f"{path} cannot be read; move it away to begin anew")
