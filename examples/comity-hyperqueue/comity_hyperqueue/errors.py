"""From what goes wrong to the errors of the port. Say honestly what may have happened: the control loop acts on it."""

from __future__ import annotations

from orchestrator.domain import errors


def unreachable(error: Exception) -> errors.TransientError:
    """Return the error for a server that does not answer: nothing was sent."""
    text = f"no HyperQueue server answers: {error}; start one with this serverDir, or correct it"
    return errors.TransientError("hyperqueue.unreachable", text, effects=errors.SideEffects.NONE)


def unanswered(error: Exception) -> errors.TransientError:
    """Return the error for a call that was sent, and of which nobody knows what it did."""
    return errors.TransientError("hyperqueue.unanswered", f"the HyperQueue server broke off: {error}")


def of_folder(error: OSError, doing: str) -> errors.TransientError:
    """Return the error for a shared folder that cannot be used."""
    return errors.TransientError("hyperqueue.folder", f"{doing}: {error.strerror or error}: {error.filename}")


def refused(text: str) -> errors.PermanentError:
    """Return the error for a job that cannot be run here."""
    return errors.PermanentError("hyperqueue.refused", text)


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return errors.PermanentError("hyperqueue.stopped", "this attempt was stopped before it began")


def no_logs() -> errors.PermanentError:
    """Return the error for an attempt of which nothing is kept."""
    return errors.PermanentError("logs.not-found", "nothing is kept of this attempt")
