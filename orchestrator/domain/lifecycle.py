"""The life of a job: ``apply(job, event) -> job`` and ``due(job)``. Pure, total, and the only place phases change.

An event that does not fit (late, repeated, of an older attempt, after the end) returns the same object: callers
test ``new is job`` and write nothing. Terminal phases are final. Each change is one version and one entry.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import replace
from typing import assert_never

from orchestrator.domain import changes, conditions, errors, events, executions, ids, jobs

MAX_UNCHARGED = 16
"""Attempts without an outcome (refused, moved, withdrawn) that are kept; older ones stand in the journal."""

FINAL_CAUSES = frozenset({jobs.StopCause.CANCELLED, jobs.StopCause.DEADLINE, jobs.StopCause.SETTLED})
"""Causes after which the job is over; the others only move it."""

VERIFIED, UNSETTLED, REFEREE_ASKED = "Verified", "Unsettled", "RefereeAsked"
"""Conditions of a verified job: its result holds; nobody can say which does; a trusted site runs it too."""

_OVER_WHEN_PLACED = (
    "Unplaceable", "Waiting", "Refused", "NonCompliant", "Unreachable", "AttestationDue", changes.EXPIRED, changes.HELD,
)  # fmt: skip
"""Conditions of a job that waits, or of the place it came from."""


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
            return _referee_asked(job, event)
        case events.Judged():
            return _judged(job, event)
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
    return conditions.cleared(placed, *_OVER_WHEN_PLACED, at=event.at)


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
        return _finish(_with_attempt(job, over), jobs.Phase.FAILED, event.at, event.code)
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
        return _stop_parent(job, stop) if overrides else job
    attempt = job.attempt
    if job.phase is jobs.Phase.QUEUED or attempt is None:
        if not overrides:
            return job
        phase = jobs.Phase.FAILED if event.cause is jobs.StopCause.DEADLINE else jobs.Phase.CANCELLED
        return _finish(replace(job, stop=stop), phase, event.at, event.cause.value)
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
    return _finish(done, phase, at, over.reason)


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
            return _finish(done, phase, at, cause.value)
        case jobs.StopCause.DRAINED | jobs.StopCause.NON_COMPLIANT | jobs.StopCause.UNREACHABLE:
            # Moved, not failed: the try is not charged to the user. The new place obeys the same policy.
            moved = replace(over, outcome=None)
            queued = replace(_with_attempt(done, moved), phase=jobs.Phase.QUEUED, stop=None)
            return replace(queued, not_before=not_before)
        case _:
            assert_never(cause)


def touch(parent: jobs.Job, index: int) -> tuple[jobs.Job, jobs.Job]:
    """Return ``(parent, element)``: element ``index`` becomes a row of its own, QUEUED.

    Raises ValueError if it was touched before or is not of this array.
    """
    state = parent.array_state
    if state is None:
        raise ValueError(f"{parent.id} is not an array")
    ranges: list[tuple[int, int]] = []
    found = False
    for low, high in state.untouched:
        if low <= index < high:
            found = True
            ranges += [pair for pair in ((low, index), (index + 1, high)) if pair[0] < pair[1]]
        else:
            ranges.append((low, high))
    if not found:
        raise ValueError(f"element {index} of {parent.id} was touched before, or is none of its elements")
    element = element_of(parent, index)
    counts = _counted(state, None, jobs.Phase.QUEUED)
    return replace(parent, array_state=replace(state, untouched=tuple(ranges), counts=counts)), element


def has_element(parent: jobs.Job, index: int) -> bool:
    """Say whether a parent has such an element, touched or not; trusted runs are there once they were asked for."""
    spec, state = parent.spec, parent.array_state
    if spec.verification is not None and state is not None:
        return index < spec.verification.replicas + state.referees
    return spec.array is not None and index < spec.array.size


def element_of(parent: jobs.Job, index: int) -> jobs.Job:
    """Return element ``index`` as it reads while nobody has touched it."""
    cancelled = parent.phase.terminal or (parent.stop is not None)
    return replace(
        parent,
        id=ids.element_id(parent.id, index),
        version=0,
        phase=jobs.Phase.CANCELLED if cancelled else jobs.Phase.QUEUED,
        conditions=(),
        reason=parent.reason if cancelled else "",
        parent=parent.id,
        index=index,
        array_state=None,
    )


def element_changed(parent: jobs.Job, before: jobs.Phase, after: jobs.Phase, at: dt.datetime) -> jobs.Job:
    """Return the parent after one of its touched elements went from ``before`` to ``after``."""
    state = parent.array_state
    if state is None or before is after:
        return parent
    parent = replace(parent, array_state=replace(state, counts=_counted(state, before, after)))
    return parent if parent.phase.terminal else _settle_parent(parent, at)


def given(parent: jobs.Job, hand: jobs.Hand, at: dt.datetime) -> jobs.Job:
    """Return the parent of a verified job's runs after one of them was given a place."""
    state = parent.array_state
    if state is None:
        return parent
    if hand not in state.held:
        parent = replace(parent, array_state=replace(state, held=(*state.held, hand)))
    return conditions.cleared(parent, *_OVER_WHEN_PLACED, at=at)


def _referee_asked(job: jobs.Job, event: events.RefereeAsked) -> jobs.Job:
    state, wanted = job.array_state, job.spec.verification
    if state is None or wanted is None or job.stop is not None:
        return job
    if event.number != wanted.replicas + state.referees or event.number >= wanted.children_max:
        return job  # it was asked for before
    untouched = (*state.untouched, (event.number, event.number + 1))
    asked = replace(job, array_state=replace(state, untouched=untouched, referees=state.referees + 1))
    note = events.ConditionChanged(event.at, REFEREE_ASKED, True, "NoQuorum", event.message)
    return _settle_parent(conditions.changed(asked, note), event.at)


def _judged(job: jobs.Job, event: events.Judged) -> jobs.Job:
    state = job.array_state
    if state is None or job.spec.verification is None or job.stop is not None:
        return job
    settled = replace(job, array_state=replace(state, untouched=(), accepted=event.accepted))
    held = event.accepted is not None
    noted = conditions.cleared(settled, REFEREE_ASKED, *_OVER_WHEN_PLACED, at=event.at, reason=event.reason)
    word = VERIFIED if held else UNSETTLED
    noted = conditions.changed(noted, events.ConditionChanged(event.at, word, True, event.reason, event.message))
    return _finish(noted, jobs.Phase.SUCCEEDED if held else jobs.Phase.FAILED, event.at, event.reason)


def _counted(
    state: jobs.ArrayState, before: jobs.Phase | None, after: jobs.Phase
) -> tuple[tuple[jobs.Phase, int], ...]:
    counts = dict(state.counts)
    if before is not None:
        counts[before] = counts.get(before, 0) - 1
        if counts[before] < 0:
            raise AssertionError(f"more elements left {before} than entered it")
    counts[after] = counts.get(after, 0) + 1
    return tuple(sorted(((phase, n) for phase, n in counts.items() if n), key=lambda pair: pair[0].value))


def _stop_parent(parent: jobs.Job, stop: jobs.Stop) -> jobs.Job:
    state = parent.array_state
    if state is None:
        raise AssertionError("only arrays have elements")
    stopped = replace(parent, stop=stop, phase=jobs.Phase.STOPPING, array_state=replace(state, untouched=()))
    return _settle_parent(stopped, stop.requested_at)


def _settle_parent(parent: jobs.Job, at: dt.datetime) -> jobs.Job:
    """Return the parent with the phase that its elements give it."""
    state = parent.array_state
    if state is None:
        raise AssertionError("only arrays have elements")
    open_count = state.untouched_count + sum(n for phase, n in state.counts if not phase.terminal)
    # How a verified job ends its verdict says, whatever became of its runs.
    if open_count == 0 and (parent.spec.verification is None or parent.stop is not None):
        return _finish(parent, _end_of_array(parent, state), at, _reason_of_array(parent, state))
    if parent.stop is not None:
        return replace(parent, phase=jobs.Phase.STOPPING)
    started = any(state.count(phase) for phase in jobs.Phase if phase is not jobs.Phase.QUEUED)
    return replace(parent, phase=jobs.Phase.RUNNING if started else jobs.Phase.QUEUED)


def _end_of_array(parent: jobs.Job, state: jobs.ArrayState) -> jobs.Phase:
    if parent.stop is not None:
        by_user = parent.stop.cause is jobs.StopCause.CANCELLED
        return jobs.Phase.CANCELLED if by_user else jobs.Phase.FAILED
    if state.count(jobs.Phase.FAILED):
        return jobs.Phase.FAILED
    return jobs.Phase.CANCELLED if state.count(jobs.Phase.CANCELLED) else jobs.Phase.SUCCEEDED


def _reason_of_array(parent: jobs.Job, state: jobs.ArrayState) -> str:
    if parent.stop is not None:
        return parent.stop.cause.value
    if failed := state.count(jobs.Phase.FAILED):
        return f"ElementsFailed:{failed}"
    return "ElementsCancelled" if state.count(jobs.Phase.CANCELLED) else "Completed"


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


def _finish(job: jobs.Job, phase: jobs.Phase, at: dt.datetime, reason: str) -> jobs.Job:
    return replace(job, phase=phase, ended_at=at, reason=reason, not_before=None)


def _moved(job: jobs.Job, attempt: jobs.Attempt, phase: jobs.Phase) -> jobs.Job:
    """Return the job in another phase, with its current attempt changed: one copy, not two."""
    return replace(job, attempts=(*job.attempts[:-1], attempt), phase=phase)


def _with_attempt(job: jobs.Job, attempt: jobs.Attempt) -> jobs.Job:
    if attempt == job.attempts[-1]:
        return job
    return replace(job, attempts=(*job.attempts[:-1], attempt))
