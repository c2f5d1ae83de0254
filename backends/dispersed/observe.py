"""From what the network says of a job to what the port says of an attempt. Pure.

"COMPLETED" is the network's word. Where the image's entry point tells an exit code, that counts; and a job with a
command that told none did not succeed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from backends.dispersed import errors, wire
from orchestrator.domain import jobs, offers
from orchestrator.ports import backends

STOP_WORD = "ended by comity"
"""The reason that we give with a cancellation."""


def live(ref: backends.AttemptRef, job: wire.Job) -> backends.Observation:
    """Return the observation of a job that is not over. A state that is not in the documentation is UNKNOWN."""
    states = offers.ObservedState
    known = {
        "PENDING": states.QUEUED,
        "ASSIGNED": states.STARTING,
        "RUNNING": states.RUNNING,
        "CANCELLING": states.RUNNING,
    }
    state = known.get(job.status)
    text = errors.shown(job.reason)
    if state is None:
        text = f"state {errors.shown(job.status)[:40] or 'none'}, which this version does not know"
        state = states.UNKNOWN
    began = job.started_at if state is states.RUNNING else None
    return backends.Observation(ref.key, state, None, f"dispersed:{job.uuid}", began, text)


def ended(
    ref: backends.AttemptRef, job: wire.Job, runs: Sequence[wire.Run], code: int | None, *, stopped: bool
) -> backends.Observation:
    """Return the observation of a job that is over.

    :param code: exit code that its entry point told; None: none.
    :param stopped: whether we told it to stop.
    """
    if any(not one.over for one in runs):
        text = f"{job.status}, and a run of it has not ended yet"
        known = all(one.status in wire.LIVE | wire.ENDED for one in runs)
        state = offers.ObservedState.RUNNING if known else offers.ObservedState.UNKNOWN
        return backends.Observation(ref.key, state, None, f"dispersed:{job.uuid}", job.started_at, text)
    kind, exit_code, text = _end(job, runs, code, stopped=stopped)
    began = job.started_at or next((one.started_at for one in runs if one.started_at is not None), None)
    if len(runs) > 1:
        text = f"run {len(runs)} times, and no second was asked for; {text}".removesuffix("; ")
    outcome = jobs.Outcome(kind, exit_code, None, errors.shown(text), began, job.completed_at)
    return backends.Observation(
        ref.key, offers.ObservedState.ENDED, outcome, f"dispersed:{job.uuid}", began, outcome.detail
    )


def _end(
    job: wire.Job, runs: Sequence[wire.Run], code: int | None, *, stopped: bool
) -> tuple[jobs.OutcomeKind, int | None, str]:
    kinds = jobs.OutcomeKind
    told = f"Dispersed: {job.status} {job.reason}".strip()
    if job.status == "CANCELLED":
        own = stopped or job.reason.startswith(STOP_WORD)
        return (kinds.STOPPED if own else kinds.PREEMPTED), None, "" if own else told
    if job.status == "FAILED" and not runs and job.started_at is None:
        return kinds.NO_ROOM, None, f"no node ran it. {told}"
    if code is not None and not (code == 0 and job.status == "FAILED"):
        return kinds.EXITED, code, f"exit code {code}" if code else ""
    if _timed_out(job):
        return kinds.TIMED_OUT, None, told
    if job.status == "COMPLETED" and not job.tells_end:
        return kinds.EXITED, 0, "COMPLETED, as the network says"
    if job.status == "COMPLETED":
        return kinds.LOST, None, "it completed, and its exit code was not told"
    return kinds.LOST, None, f"{told}; how it ended is not told"


def _timed_out(job: wire.Job) -> bool:
    if job.started_at is None or job.completed_at is None or job.run_ms_max is None:
        return False
    return job.completed_at - job.started_at >= dt.timedelta(milliseconds=job.run_ms_max)
