"""What the pretended machine knows of an attempt, as the port says it. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib

from backends.simulated import client, render, settings
from orchestrator.domain import facts, jobs, offers
from orchestrator.ports import backends


def observation(
    ref: backends.AttemptRef, record: client.Record | None, now: dt.datetime, lies: settings.Whereabouts
) -> backends.Observation:
    """Return the observation of one attempt, with the whereabouts that the settings want."""
    state = offers.ObservedState
    if record is None or record.order is None:
        return backends.Observation(ref.key, state.GONE)
    handle = record.key
    if record.ends_at <= now:
        started = record.starts_at if record.starts_at <= record.ends_at else None
        seen = whereabouts(record, now, lies) if started is not None else ()
        left = outputs(record)
        return backends.Observation(
            ref.key, state.ENDED, outcome(record), handle, started, whereabouts=seen, outputs=left
        )
    if record.starts_at <= now:
        seen = whereabouts(record, now, lies)
        return backends.Observation(ref.key, state.RUNNING, None, handle, record.starts_at, whereabouts=seen)
    return backends.Observation(ref.key, state.STARTING, None, handle)


def whereabouts(record: client.Record, now: dt.datetime, lies: settings.Whereabouts) -> tuple[offers.Whereabouts, ...]:
    """Return one pretended machine a node, named after pool and rank."""
    order = record.order
    if order is None:
        return ()
    moved = lies.later is not None and now >= record.starts_at + dt.timedelta(seconds=lies.later_after)
    country = lies.later if moved else lies.country
    level = facts.Assurance[lies.assurance.upper()]
    return tuple(
        offers.Whereabouts(
            rank,
            f"{order.pool}-{rank}",
            order.image_digest,
            country if lies.rank in (None, rank) else None,
            "settings of the pretended machine",
            level,
        )
        for rank in range(order.nodes)
    )


def outputs(record: client.Record) -> tuple[offers.OutputFile, ...]:
    """Return the files that an attempt pretends to have left."""
    found: list[offers.OutputFile] = []
    if record.order is None:
        return ()
    for path in record.order.outputs:
        data = render.content(record.order, path)
        found.append(offers.OutputFile(path, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}"))
    return tuple(found)


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
