"""The life of a job: ``apply(job, event) -> job`` and ``due(job)``. Pure, total, and the only place phases change.

An event that does not fit (late, repeated, of an older attempt, after the end) returns the same object: callers
test ``new is job`` and write nothing. Terminal phases are final. Each change is one version and one entry.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import replace
from typing import assert_never

from orchestrator.domain import conditions, elements, errors, events, executions, ids, jobs

MAX_UNCHARGED = 16
"""Attempts without an outcome (refused, moved, withdrawn) that are kept; older ones stand in the journal."""

FINAL_CAUSES = frozenset({jobs.StopCause.CANCELLED, jobs.StopCause.DEADLINE, jobs.StopCause.SETTLED})
"""Causes after which the job is over; the others only move it."""


class Due(enum.Enum):
    """What must be done next for a job, derived from its state, so that a crash forgets nothing."""

    NOTHING = "nothing"
    PLACE = "place"
    LAUNCH = "launch"
    OBSERVE = "observe"
    STOP = "stop"
    ELEMENTS = "elements"
    """A parent: elements are to be placed or cancelled, runs to be compared."""


def due(job: jobs.Job) -> Due:
    """Return what is due for ``job``."""
    if job.phase.terminal:
        return Due.NOTHING
    if job.array_state is not None:
        return Due.ELEMENTS
    match job.phase:
        case jobs.Phase.QUEUED:
            return Due.PLACE
        case jobs.Phase.PLACED:
            return Due.LAUNCH
        case jobs.Phase.STARTING | jobs.Phase.RUNNING:
            return Due.OBSERVE
        case jobs.Phase.STOPPING:
            return Due.STOP
        case _:
            raise AssertionError(job.phase)


def apply(job: jobs.Job, event: events.Event) -> jobs.Job:
    """Return ``job`` as it is after ``event``; the same object if the event does not apply."""
    if job.phase.terminal:
        return job
    match event:
        case events.ConditionChanged():
            return conditions.changed(job, event)
        case events.StopRequested():
            return _stop(job, event)
        case events.Placed():
            return _place(job, event)
        case events.RefereeAsked():
            return elements.referee_asked(job, event)
        case events.Judged():
            return elements.judged(job, event)
    attempt = job.attempt
    if attempt is None or event.number != attempt.number or attempt.phase.terminal:
        return job
    return conditions.after(_apply_to_attempt(job, attempt, event), event)


def _apply_to_attempt(job: jobs.Job, attempt: jobs.Attempt, event: events.OfAttempt) -> jobs.Job:
    match event:
        case events.SubmitTried():
            tried = replace(attempt, submitted_at=event.at, submit_tries=attempt.submit_tries + 1)
            return _with_attempt(job, replace(tried, gone_reads=0))
        case events.SubmitAccepted():
            return _waiting(job, _seen(attempt, adapter=event.adapter), event.at, event.handle)
        case events.SeenWaiting():
            return _waiting(job, attempt, event.at, event.handle)
        case events.SubmitRefused():
            return _refused(job, attempt, event)
        case events.Withdrawn():
            return _withdrawn(job, attempt, event)
        case events.Abandoned():
            return _abandoned(job, attempt, event)
        case events.Started():
            return _started(job, _seen(attempt, event.seen, adapter=event.adapter), event)
        case events.Ended():
            known = _seen(attempt, event.seen, event.outputs, event.adapter)
            return _ended(job, known, event.outcome, event.at, event.not_before)
        case events.Attested():
            return _attested(job, attempt, event)
        case events.GoneRead():
            return _with_attempt(job, replace(attempt, gone_reads=attempt.gone_reads + 1))
        case events.Vanished():
            return _vanished(job, attempt, event)
        case _:
            assert_never(event)


def tries_charged(job: jobs.Job) -> int:
    """Return how many attempts count against ``retry.attempts``: those that ran, or may have."""
    return sum(1 for attempt in job.attempts if attempt.outcome is not None)


def _place(job: jobs.Job, event: events.Placed) -> jobs.Job:
    expected = job.attempts[-1].number + 1 if job.attempts else 1
    if job.phase is not jobs.Phase.QUEUED or job.stop is not None or event.number != expected:
        return job
    attempt = jobs.Attempt(
        number=event.number,
        key=ids.attempt_key(job.id, event.number),
        site=event.site,
        phase=jobs.Phase.PLACED,
        decision=event.decision,
        placed_at=event.at,
    )
    kept = _bounded(job.attempts)
    placed = replace(job, phase=jobs.Phase.PLACED, attempts=(*kept, attempt), not_before=None)
    return conditions.cleared(placed, *elements.OVER_WHEN_PLACED, at=event.at)


def _bounded(attempts: tuple[jobs.Attempt, ...]) -> tuple[jobs.Attempt, ...]:
    """Return the attempts without the oldest of those that charged nobody, where there are too many."""
    excess = sum(1 for attempt in attempts if attempt.outcome is None) - MAX_UNCHARGED
    if excess < 0:
        return attempts
    kept: list[jobs.Attempt] = []
    for attempt in attempts:
        if attempt.outcome is None and excess >= 0:
            excess -= 1
        else:
            kept.append(attempt)
    return tuple(kept) or attempts[-1:]


def _waiting(job: jobs.Job, attempt: jobs.Attempt, at: dt.datetime, handle: str | None) -> jobs.Job:
    known = replace(attempt, handle=handle or attempt.handle, submitted_at=attempt.submitted_at or at, gone_reads=0)
    if attempt.phase is jobs.Phase.PLACED:
        return _moved(job, replace(known, phase=jobs.Phase.STARTING), jobs.Phase.STARTING)
    # A RUNNING attempt that is seen waiting is an old read: its phase never goes back. Only a new handle counts.
    return _with_attempt(job, known)


def _started(job: jobs.Job, attempt: jobs.Attempt, event: events.Started) -> jobs.Job:
    starts = attempt.phase in (jobs.Phase.PLACED, jobs.Phase.STARTING)
    known = replace(
        attempt,
        phase=jobs.Phase.RUNNING if starts else attempt.phase,
        handle=event.handle or attempt.handle,
        submitted_at=attempt.submitted_at or event.at,
        started_at=attempt.started_at or event.started_at or event.at,
        gone_reads=0,
    )
    if starts:
        return _moved(job, known, jobs.Phase.RUNNING)
    return _with_attempt(job, known)


def _seen(
    attempt: jobs.Attempt,
    nodes: tuple[executions.Whereabouts, ...] = (),
    outputs: tuple[executions.OutputFile, ...] | None = None,
    adapter: executions.Adapter | None = None,
) -> jobs.Attempt:
    """Return the attempt with what was observed of it; silence takes nothing back, and the first adapter stays."""
    known = attempt.execution
    if nodes in ((), known.nodes) and outputs is None and (adapter is None or known.adapter is not None):
        return attempt
    return replace(
        attempt,
        execution=replace(
            known,
            nodes=executions.merged(known.nodes, nodes),
            outputs=known.outputs if outputs is None else outputs,
            adapter=known.adapter or adapter,
        ),
    )


def _attested(job: jobs.Job, attempt: jobs.Attempt, event: events.Attested) -> jobs.Job:
    known = attempt.execution
    if known.attested is not None and known.attested.token == event.result.token:
        return job
    new = replace(known, attested=event.result, rounds=known.rounds + 1)
    return _with_attempt(job, replace(attempt, execution=new))


def _refused(job: jobs.Job, attempt: jobs.Attempt, event: events.SubmitRefused) -> jobs.Job:
    if attempt.phase is jobs.Phase.STOPPING:
        return _after_stop(job, attempt, event.at, None, event.not_before)
    if attempt.phase is not jobs.Phase.PLACED:
        return job
    over = replace(attempt, phase=jobs.Phase.FAILED, ended_at=event.at, reason=event.code)
    if event.retry is errors.RetryWhere.NEVER:
        return elements.finished(_with_attempt(job, over), jobs.Phase.FAILED, event.at, event.code)
    queued = replace(_with_attempt(job, over), phase=jobs.Phase.QUEUED, not_before=event.not_before)
    note = events.ConditionChanged(event.at, "Refused", True, event.code, event.message)
    return conditions.changed(queued, note)


def _withdrawn(job: jobs.Job, attempt: jobs.Attempt, event: events.Withdrawn) -> jobs.Job:
    if attempt.phase is not jobs.Phase.PLACED:
        return job
    over = replace(attempt, phase=jobs.Phase.CANCELLED, ended_at=event.at, reason=event.reason)
    return _moved(job, over, jobs.Phase.QUEUED)


def _abandoned(job: jobs.Job, attempt: jobs.Attempt, event: events.Abandoned) -> jobs.Job:
    if attempt.phase is jobs.Phase.STOPPING:
        return job  # a wish to stop is kept until the backend has heard it
    over = replace(attempt, phase=jobs.Phase.CANCELLED, ended_at=event.at, reason=event.reason)
    return _moved(job, over, jobs.Phase.QUEUED)


def _stop(job: jobs.Job, event: events.StopRequested) -> jobs.Job:
    overrides = event.cause in FINAL_CAUSES
    if job.stop is not None and (not overrides or job.stop.cause in FINAL_CAUSES):
        return job
    stop = jobs.Stop(event.cause, event.at, event.by, event.message)
    if job.array_state is not None:
        return elements.stopped(job, stop) if overrides else job
    attempt = job.attempt
    if job.phase is jobs.Phase.QUEUED or attempt is None:
        if not overrides:
            return job
        phase = jobs.Phase.FAILED if event.cause is jobs.StopCause.DEADLINE else jobs.Phase.CANCELLED
        return elements.finished(replace(job, stop=stop), phase, event.at, event.cause.value)
    stopping = replace(attempt, phase=jobs.Phase.STOPPING)
    return replace(_with_attempt(job, stopping), phase=jobs.Phase.STOPPING, stop=stop)


def _ended(
    job: jobs.Job, attempt: jobs.Attempt, outcome: jobs.Outcome, at: dt.datetime, not_before: dt.datetime | None
) -> jobs.Job:
    if attempt.phase is jobs.Phase.STOPPING and not outcome.succeeded:
        return _after_stop(job, attempt, at, outcome, not_before)
    phase = jobs.Phase.SUCCEEDED if outcome.succeeded else jobs.Phase.FAILED
    over = replace(
        attempt,
        phase=phase,
        outcome=outcome,
        started_at=attempt.started_at or outcome.started_at,
        ended_at=outcome.ended_at or at,
        reason=reason_of(outcome),
    )
    if phase is jobs.Phase.SUCCEEDED:
        attempts = (*job.attempts[:-1], over)
        return replace(job, attempts=attempts, phase=phase, ended_at=at, reason=over.reason, not_before=None)
    if outcome.kind is jobs.OutcomeKind.NO_ROOM and attempt.started_at is None:
        waited = replace(
            _with_attempt(job, replace(over, outcome=None)), phase=jobs.Phase.QUEUED, not_before=not_before
        )
        return conditions.changed(waited, events.ConditionChanged(at, "Refused", True, over.reason, outcome.detail))
    done = _with_attempt(job, over)
    if _may_retry(done, outcome):
        return replace(done, phase=jobs.Phase.QUEUED, not_before=not_before)
    return elements.finished(done, phase, at, over.reason)


def _vanished(job: jobs.Job, attempt: jobs.Attempt, event: events.Vanished) -> jobs.Job:
    if attempt.phase is jobs.Phase.PLACED:
        return job  # never arrived: the launch is simply still due
    lost = jobs.Outcome(jobs.OutcomeKind.LOST, detail="the backend no longer knows this attempt")
    return _ended(job, attempt, lost, event.at, event.not_before)


def _after_stop(
    job: jobs.Job,
    attempt: jobs.Attempt,
    at: dt.datetime,
    outcome: jobs.Outcome | None,
    not_before: dt.datetime | None,
) -> jobs.Job:
    """Return the job whose wished-for stop is done: what follows depends on the cause."""
    if job.stop is None:
        raise AssertionError("an attempt is STOPPING without a wish to stop")
    cause = job.stop.cause
    phase = jobs.Phase.CANCELLED if cause is not jobs.StopCause.DEADLINE else jobs.Phase.FAILED
    ended_at = (outcome.ended_at if outcome else None) or at
    over = replace(attempt, phase=phase, outcome=outcome, ended_at=ended_at, reason=cause.value)
    done = _with_attempt(job, over)
    match cause:
        case jobs.StopCause.CANCELLED | jobs.StopCause.DEADLINE | jobs.StopCause.SETTLED:
            return elements.finished(done, phase, at, cause.value)
        case jobs.StopCause.DRAINED | jobs.StopCause.NON_COMPLIANT | jobs.StopCause.UNREACHABLE:
            # Moved, not failed: the try is not charged to the user. The new place obeys the same policy.
            moved = replace(over, outcome=None)
            queued = replace(_with_attempt(done, moved), phase=jobs.Phase.QUEUED, stop=None)
            return replace(queued, not_before=not_before)
        case _:
            assert_never(cause)


def reason_of(outcome: jobs.Outcome) -> str:
    """Return the stable word for how an attempt ended."""
    kind = jobs.OutcomeKind
    words = {
        kind.EXITED: "Completed" if outcome.exit_code == 0 else "ExitCode",
        kind.SIGNALED: "Signal",
        kind.STOPPED: "Stopped",
        kind.TIMED_OUT: "DeadlineExceeded",
        kind.PREEMPTED: "Preempted",
        kind.OUT_OF_MEMORY: "OutOfMemory",
        kind.START_FAILED: "StartFailed",
        kind.NO_ROOM: "NoRoom",
        kind.OUTPUT_MISSING: "OutputMissing",
        kind.LOST: "BackendLost",
    }
    return words[outcome.kind]


def _may_retry(job: jobs.Job, outcome: jobs.Outcome) -> bool:
    kind = jobs.OutcomeKind
    match outcome.kind:
        case kind.PREEMPTED | kind.NO_ROOM:
            wanted = jobs.RetryOn.PREEMPTED
        case kind.LOST:
            wanted = jobs.RetryOn.BACKEND_LOST
        case kind.TIMED_OUT | kind.STOPPED:
            return False
        case _:
            wanted = jobs.RetryOn.EXIT_CODE
    retry = job.spec.retry
    return wanted in retry.on and tries_charged(job) < retry.attempts


def _moved(job: jobs.Job, attempt: jobs.Attempt, phase: jobs.Phase) -> jobs.Job:
    """Return the job in another phase, with its current attempt changed: one copy, not two."""
    return replace(job, attempts=(*job.attempts[:-1], attempt), phase=phase)


def _with_attempt(job: jobs.Job, attempt: jobs.Attempt) -> jobs.Job:
    if attempt == job.attempts[-1]:
        return job
    return replace(job, attempts=(*job.attempts[:-1], attempt))
