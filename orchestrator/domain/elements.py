"""Parents and their elements: those of an array, and the runs of a verified job. Pure; part of ``lifecycle``.

A parent runs nothing. It knows how many of its elements are in which phase; an array ends by that, a verified job by
its verdict alone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from orchestrator.domain import changes, conditions, events, ids, jobs

VERIFIED, UNSETTLED, REFEREE_ASKED = "Verified", "Unsettled", "RefereeAsked"
"""Conditions of a verified job: its result holds; nobody can say which does; a trusted site runs it too."""

OVER_WHEN_PLACED = (
    "Unplaceable", "Waiting", "Refused", "NonCompliant", "Unreachable", "AttestationDue", changes.EXPIRED, changes.HELD,
)  # fmt: skip
"""Conditions of a job that waits, or of the place it came from."""


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
    return conditions.cleared(parent, *OVER_WHEN_PLACED, at=at)


def referee_asked(job: jobs.Job, event: events.RefereeAsked) -> jobs.Job:
    """Return a verified job with one more run; the same object where it was asked for before, or may not be."""
    state, wanted = job.array_state, job.spec.verification
    if state is None or wanted is None or job.stop is not None:
        return job
    if event.number != wanted.replicas + state.referees or event.number >= wanted.children_max:
        return job  # it was asked for before
    untouched = (*state.untouched, (event.number, event.number + 1))
    asked = replace(job, array_state=replace(state, untouched=untouched, referees=state.referees + 1))
    note = events.ConditionChanged(event.at, REFEREE_ASKED, True, "NoQuorum", event.message)
    return _settle_parent(conditions.changed(asked, note), event.at)


def judged(job: jobs.Job, event: events.Judged) -> jobs.Job:
    """Return a verified job with its verdict, which ends it; the same object where it is being stopped."""
    state = job.array_state
    if state is None or job.spec.verification is None or job.stop is not None:
        return job
    settled = replace(job, array_state=replace(state, untouched=(), accepted=event.accepted))
    held = event.accepted is not None
    noted = conditions.cleared(settled, REFEREE_ASKED, *OVER_WHEN_PLACED, at=event.at, reason=event.reason)
    word = VERIFIED if held else UNSETTLED
    noted = conditions.changed(noted, events.ConditionChanged(event.at, word, True, event.reason, event.message))
    return finished(noted, jobs.Phase.SUCCEEDED if held else jobs.Phase.FAILED, event.at, event.reason)


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


def stopped(parent: jobs.Job, stop: jobs.Stop) -> jobs.Job:
    """Return a parent that places nothing more, and is over once its elements are."""
    state = parent.array_state
    if state is None:
        raise AssertionError("only arrays have elements")
    without = replace(parent, stop=stop, phase=jobs.Phase.STOPPING, array_state=replace(state, untouched=()))
    return _settle_parent(without, stop.requested_at)


def _settle_parent(parent: jobs.Job, at: dt.datetime) -> jobs.Job:
    """Return the parent with the phase that its elements give it."""
    state = parent.array_state
    if state is None:
        raise AssertionError("only arrays have elements")
    open_count = state.untouched_count + sum(n for phase, n in state.counts if not phase.terminal)
    # How a verified job ends its verdict says, whatever became of its runs.
    if open_count == 0 and (parent.spec.verification is None or parent.stop is not None):
        return finished(parent, _end_of_array(parent, state), at, _reason_of_array(parent, state))
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


def finished(job: jobs.Job, phase: jobs.Phase, at: dt.datetime, reason: str) -> jobs.Job:
    """Return a job that is over."""
    return replace(job, phase=phase, ended_at=at, reason=reason, not_before=None)
