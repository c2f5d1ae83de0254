"""Obligations to JSON and back, version 1. Job, code, tenant, state, day and version are columns of their own."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from orchestrator.domain import ids, obligations, reasons
from orchestrator.store import codec
from orchestrator.store.codec_specs import CodecError

VERSION = 1


def encode(one: obligations.Obligation) -> str:
    """Return what the columns do not hold, as stored text."""
    duty, done = one.duty, one.fulfilment
    value = {
        "v": VERSION,
        "duty": [duty.basis.value, duty.message, duty.source, duty.due_days],
        "placed": [one.site, one.attempt, codec.micros(one.placed_at)],
        "overdue": codec.micros_or_none(one.overdue_at),
        "ended": [one.reason, codec.micros_or_none(one.ended_at)],
        "done": None
        if done is None
        else [done.reference, done.digest, done.by, done.note, done.actor, codec.micros(done.at)],
    }
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def decode(
    text: str, *, job: str, code: str, tenant: str, state: str, due_at: dt.datetime | None, version: int
) -> obligations.Obligation:
    """Return the obligation. Raises CodecError for damage and for another version."""
    try:
        value: dict[str, Any] = json.loads(text)
        if value["v"] != VERSION:
            raise CodecError(f"version {value['v']!r} of stored obligations is not known here")
        basis, message, source, due_days = value["duty"]
        site, attempt, placed = value["placed"]
        reason, ended = value["ended"]
        return obligations.Obligation(
            job=ids.JobId(job),
            tenant=tenant,
            duty=obligations.Duty(code, reasons.Basis(basis), message, source, due_days),
            site=ids.SiteName(site),
            attempt=attempt,
            placed_at=codec.moment(placed),
            due_at=due_at,
            state=obligations.State(state),
            overdue_at=codec.moment_or_none(value["overdue"]),
            fulfilment=_fulfilment(value["done"]),
            reason=reason,
            ended_at=codec.moment_or_none(ended),
            version=version,
        )
    except CodecError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CodecError(f"a stored obligation cannot be read: {error!r}") from error


def _fulfilment(value: list[Any] | None) -> obligations.Fulfilment | None:
    if value is None:
        return None
    reference, digest, by, note, actor, at = value
    return obligations.Fulfilment(reference, digest, by, note, actor, codec.moment(at))
