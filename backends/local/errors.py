"""From what the runner and the machine answer to the errors of the port. Codes begin with ``local.``."""

from __future__ import annotations

import enum
import errno

from orchestrator.domain import errors


class RunnerStatus(enum.IntEnum):
    """Exit statuses of ``comity-runner DIR``; runner/PROTOCOL.md says what each allows to conclude."""

    RUNNING = 0
    LOCKED = 10
    STARTED_BEFORE = 11
    FENCED = 12
    EXEC_FAILED = 13
    ISOLATION_FAILED = 14
    SETUP_FAILED = 15
    CALLED_OFF = 16
    USAGE = 64
    BAD_SPEC = 65
    NO_FOLDER = 66
    NOT_STARTED = 70


_SHORTAGES = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EINTR}
)


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this adapter will never do with this job. Nothing was started."""
    return errors.PermanentError(f"local.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"local.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", "this attempt was stopped before it began, and will not start any more")


def no_log(backend: str, key: str) -> errors.PermanentError:
    """Return the error for the log of an attempt that was here, and was forgotten or removed."""
    return errors.PermanentError(
        "logs.not-found",
        f"backend {backend} keeps nothing of attempt {key} any more: what a job wrote and left is forgotten a week "
        "after its end, or its folder was removed by hand. Run the job again (comity retry), and copy what you need "
        "in time",
    )


def of_os(error: OSError, doing: str) -> errors.BackendError:
    """Return the error for a call of the machine that failed before anything was started."""
    text = f"{doing}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
    if error.errno in _SHORTAGES:
        return errors.TransientError("local.machine-refused", text, effects=errors.SideEffects.NONE)
    return refused("machine", text)


def of_status(status: int, said: str) -> errors.BackendError | None:
    """Return the error for an exit status of the runner; None where the attempt exists and can be observed."""
    match status:
        case (
            RunnerStatus.RUNNING
            | RunnerStatus.LOCKED
            | RunnerStatus.STARTED_BEFORE
            | RunnerStatus.EXEC_FAILED
            | RunnerStatus.ISOLATION_FAILED
            | RunnerStatus.SETUP_FAILED
            | RunnerStatus.CALLED_OFF
        ):
            return None
        case RunnerStatus.FENCED:
            return stopped()
        case RunnerStatus.BAD_SPEC:
            return refused("spec-refused", f"the runner refuses the job: {said}")
        case RunnerStatus.NOT_STARTED:
            return errors.TransientError(
                "local.spawn-refused",
                f"this machine has no room for another process: {said or 'out of processes, memory or disk'}",
                effects=errors.SideEffects.NONE,
            )
        case _:
            return refused("runner", f"the runner ended with status {status}: {said or 'it said nothing'}")
