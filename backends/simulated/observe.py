"""What the pretended machine knows of an attempt, as the port says it. Pure."""

from __future__ import annotations

import datetime as dt

from backends.simulated import client
from orchestrator.domain import jobs, offers
from orchestrator.ports import backends


def observation(ref: backends.AttemptRef, record: client.Record | None, now: dt.datetime) -> backends.Observation:
    """Return the observation of one attempt."""
    state = offers.ObservedState
    if record is None or record.order is None:
        return backends.Observation(ref.key, state.GONE)
    handle = record.key
    if record.ends_at <= now:
        started = record.starts_at if record.starts_at <= record.ends_at else None
        return backends.Observation(ref.key, state.ENDED, outcome(record), handle, started)
    if record.starts_at <= now:
        return backends.Observation(ref.key, state.RUNNING, None, handle, record.starts_at)
    return backends.Observation(ref.key, state.STARTING, None, handle)


def outcome(record: client.Record) -> jobs.Outcome:
    """Return how an attempt that is over ended."""
    order = record.order
    if order is None:
        raise ValueError("a key that must not start has no outcome")
    kind = jobs.OutcomeKind
    started = record.starts_at if record.starts_at <= record.ends_at else None
    natural = record.starts_at + dt.timedelta(seconds=order.run_time_s)
    if record.stopped_at is not None and record.ends_at >= record.stopped_at:
        return jobs.Outcome(kind.STOPPED, started_at=started, ended_at=record.ends_at)
    if record.ends_at < natural:
        word = kind.PREEMPTED if order.preempted else kind.TIMED_OUT
        return jobs.Outcome(word, started_at=started, ended_at=record.ends_at)
    if order.exit_code == 137:
        return jobs.Outcome(kind.OUT_OF_MEMORY, exit_code=137, started_at=started, ended_at=record.ends_at)
    return jobs.Outcome(kind.EXITED, exit_code=order.exit_code, started_at=started, ended_at=record.ends_at)
