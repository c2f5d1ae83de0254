"""From what an orchestrator says of a job to what the port says of an attempt. Pure.

A job that is "Completed" did not fail to run, and no more: the exit code stands in the output of its execution.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from backends.bacalhau import errors, wire
from orchestrator.domain import jobs, offers
from orchestrator.ports import backends

STOP_WORD = "ended by comity"
"""The reason that we give; a job that was stopped for another one was stopped by somebody else."""
TRAP_SIGNAL = 6
"""A module that traps has no exit code; hosts of WebAssembly end as on SIGABRT then."""
VANISHED = "node has disappeared"
_NOT_BEGUN = ("failed to load", "unable to find the entrypoint", "failed to instantiate", "invalid magic number")


def observation(
    ref: backends.AttemptRef, job: wire.Job, nodes: Mapping[str, wire.Node], country_label: str
) -> backends.Observation:
    """Return the observation of an attempt.

    :param nodes: by name, what each says of itself now.
    """
    where = whereabouts(job, nodes, country_label)
    if job.over:
        if (away := _away(job, nodes)) is not None:
            return backends.Observation(ref.key, offers.ObservedState.UNKNOWN, None, job.id, None, away, where)
        if job.state == "Stopped" and any(not one.over for one in job.executions):
            text = "stopped; its node has not said yet that it ended"
            return backends.Observation(ref.key, offers.ObservedState.RUNNING, None, job.id, None, text, where)
        outcome = _outcome(job)
        return backends.Observation(
            ref.key,
            offers.ObservedState.ENDED,
            outcome,
            job.id,
            started_at=outcome.started_at,
            detail=outcome.detail,
            whereabouts=where,
        )
    if job.state in wire.WAITING and not job.executions:
        text = errors.shown(job.message)
        return backends.Observation(ref.key, offers.ObservedState.QUEUED, None, job.id, None, text)
    if job.state in wire.WAITING or job.state == wire.RUNNING:
        began = _time(job.executions[0].created_ns) if job.executions else None
        state = offers.ObservedState.RUNNING if job.executions else offers.ObservedState.STARTING
        return backends.Observation(ref.key, state, None, job.id, began, "", where)
    text = f"state {errors.shown(job.state)[:40] or 'none'}, which this version does not know"
    return backends.Observation(ref.key, offers.ObservedState.UNKNOWN, None, job.id, None, text, where)


def whereabouts(job: wire.Job, nodes: Mapping[str, wire.Node], country_label: str) -> tuple[offers.Whereabouts, ...]:
    """Return each node that has or had an execution, and the country that it says it is in."""
    found: dict[str, offers.Whereabouts] = {}
    for one in job.executions:
        known = nodes.get(one.node)
        country = known.country(country_label) if known is not None else None
        source = f"label {country_label} of the node, as it says itself" if country else ""
        if one.node and one.state not in wire.REJECTED:
            found[one.node] = offers.Whereabouts(0, one.node[:253], country=country, source=source[:200])
    return tuple(found.values())


def strays(job: wire.Job) -> list[str]:
    """Return the nodes that have an execution, and are not the one that was chosen."""
    return sorted({one.node for one in job.executions if one.node != job.node})


def _away(job: wire.Job, nodes: Mapping[str, wire.Node]) -> str | None:
    """Return why it may still run although it was given up: its node cannot be asked."""
    for one in job.executions:
        known = nodes.get(one.node)
        gone = known is None or not known.connected or (VANISHED in one.message and not known.settled)
        if gone and (VANISHED in one.message or not one.over or one.state == wire.CANCELLED):
            return f"node {one.node} is away, or just back: what began there may still run"
    return None


def _outcome(job: wire.Job) -> jobs.Outcome:
    kind, code, signal, text = _end(job)
    last = job.executions[-1] if job.executions else None
    return jobs.Outcome(
        kind,
        code,
        signal,
        errors.shown(text),
        _time(job.executions[0].created_ns) if last is not None else None,
        _time(last.modified_ns if last is not None else job.modified_ns),
    )


def _end(job: wire.Job) -> tuple[jobs.OutcomeKind, int | None, int | None, str]:
    """Return kind, exit code, signal and words of an end. Only an execution that completed makes a success."""
    kinds = jobs.OutcomeKind
    if others := strays(job):
        return kinds.LOST, None, None, f"it was run by {', '.join(others)}, and {job.node} was chosen"
    last = job.executions[-1] if job.executions else None
    if job.state == "Stopped":
        own = job.message.startswith(STOP_WORD)
        return (kinds.STOPPED if own else kinds.PREEMPTED), None, None, "" if own else f"Bacalhau: {job.message}"
    if last is None or last.state in wire.REJECTED:
        return kinds.NO_ROOM, None, None, f"node {job.node} did not take it: {last.message if last else job.message}"
    if job.state == "Completed" and last.state == wire.COMPLETED and not last.error:
        if last.exit_code == -1:
            return kinds.EXITED, 0, None, "returned without an exit code"
        if last.exit_code is not None and 0 <= last.exit_code <= 255:
            return kinds.EXITED, last.exit_code, None, f"exit code {last.exit_code}" if last.exit_code else ""
        return kinds.LOST, None, None, "it completed, and its exit code was not told"
    text = last.error or last.message or job.message
    if VANISHED in text:
        return kinds.LOST, None, None, text
    if "timeout" in text.lower() or "timed out" in text.lower():
        return kinds.TIMED_OUT, None, None, text
    if any(word in text for word in _NOT_BEGUN):
        return kinds.START_FAILED, None, None, text
    if "wasm error" in text:
        return kinds.SIGNALED, None, TRAP_SIGNAL, f"trap: {text}"
    return kinds.LOST, None, None, f"Bacalhau: {text}"


def _time(nanoseconds: int) -> dt.datetime | None:
    seconds = nanoseconds / 1e9
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if 0 < seconds < 2**34 else None
