"""What changes about a job, to JSON and back, version 1. The spec has its own codec (``codec_specs``).

A row's columns hold what is asked for or counted (id, tenant, phase, version ...); ``state`` holds the rest. A job
that just waits has no rest, so its state is the empty text and nothing is parsed: a million of them load quickly.
Moments are whole microseconds since 1970 UTC; lengths of time are whole microseconds.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from orchestrator.domain import executions, ids, jobs
from orchestrator.evidence import encoders
from orchestrator.store import codec_executions
from orchestrator.store.codec_specs import CodecError

VERSION = 1
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_encode = encoders.compact()
_PHASES = {phase.value: phase for phase in jobs.Phase}


def micros(at: dt.datetime) -> int:
    """Return a moment as stored. Raises TypeError for one without a time zone."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def micros_or_none(at: dt.datetime | None) -> int | None:
    """Return an optional moment as stored."""
    return None if at is None else micros(at)


def moment(stored: int) -> dt.datetime:
    """Return the moment, UTC."""
    return EPOCH + dt.timedelta(microseconds=stored)


def moment_or_none(stored: int | None) -> dt.datetime | None:
    """Return the optional moment, UTC."""
    return None if stored is None else EPOCH + dt.timedelta(microseconds=stored)


def phase(stored: str) -> jobs.Phase:
    """Return the phase of a stored word. Raises CodecError."""
    try:
        return _PHASES[stored]
    except KeyError:
        raise CodecError(f"phase {stored!r} is not known here") from None


State = tuple[
    tuple[jobs.Attempt, ...],
    tuple[jobs.Condition, ...],
    jobs.Stop | None,
    dt.datetime | None,
    str,
    dt.datetime | None,
    jobs.ArrayState | None,
]
"""attempts, conditions, stop, not_before, reason, ended_at, array_state."""

_EMPTY: State = ((), (), None, None, "", None, None)


def encode_state(job: jobs.Job) -> str:
    """Return what the columns do not hold, as stored text; empty where there is nothing."""
    out: dict[str, Any] = {}
    if job.attempts:
        out["a"] = [_attempt_to_json(attempt) for attempt in job.attempts]
    if job.conditions:
        out["c"] = [(c.type, c.status, c.reason, c.message, micros(c.since)) for c in job.conditions]
    if job.stop is not None:
        stop = job.stop
        out["s"] = (stop.cause.value, micros(stop.requested_at), stop.by, stop.message)
    if job.not_before is not None:
        out["n"] = micros(job.not_before)
    if job.reason:
        out["r"] = job.reason
    if job.ended_at is not None:
        out["e"] = micros(job.ended_at)
    if job.array_state is not None:
        state = job.array_state
        out["y"] = (state.untouched, [(kind.value, count) for kind, count in state.counts])
        if state.held or state.referees or state.accepted is not None:
            held = [(hand.number, hand.site, hand.operator, hand.country) for hand in state.held]
            out["yv"] = (held, state.referees, state.accepted)
    if not out:
        return ""
    out["v"] = VERSION
    return _encode(out)


def decode_state(text: str) -> State:
    """Return what ``encode_state`` wrote. Raises CodecError."""
    if not text:
        return _EMPTY
    try:
        value = json.loads(text)
        if value["v"] != VERSION:
            raise CodecError(f"version {value['v']!r} of stored job states is not known here")
        get = value.get
        stop, array = get("s"), get("y")
        return (
            tuple(_attempt_from_json(item) for item in get("a", ())),
            tuple(jobs.Condition(t, s, r, m, moment(at)) for t, s, r, m, at in get("c", ())),
            None if stop is None else jobs.Stop(jobs.StopCause(stop[0]), moment(stop[1]), stop[2], stop[3]),
            moment_or_none(get("n")),
            get("r", ""),
            moment_or_none(get("e")),
            None if array is None else _array_from_json(array, get("yv", ((), 0, None))),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        raise CodecError(f"a stored job state cannot be read: {error}") from error


def _attempt_to_json(attempt: jobs.Attempt) -> dict[str, Any]:
    out: dict[str, Any] = {
        "n": attempt.number,
        "k": attempt.key,
        "s": attempt.site,
        "p": attempt.phase.value,
        "d": attempt.decision,
        "t": micros(attempt.placed_at),
    }
    if attempt.handle is not None:
        out["h"] = attempt.handle
    if attempt.submitted_at is not None:
        out["u"] = micros(attempt.submitted_at)
    if attempt.submit_tries:
        out["ut"] = attempt.submit_tries
    if attempt.started_at is not None:
        out["b"] = micros(attempt.started_at)
    if attempt.ended_at is not None:
        out["e"] = micros(attempt.ended_at)
    if attempt.outcome is not None:
        out["o"] = _outcome_to_json(attempt.outcome)
    if attempt.reason:
        out["r"] = attempt.reason
    if attempt.gone_reads:
        out["g"] = attempt.gone_reads
    if attempt.execution != executions.NOTHING:
        out["x"] = codec_executions.encode(attempt.execution)
    return out


def _attempt_from_json(value: dict[str, Any]) -> jobs.Attempt:
    get = value.get
    outcome, execution = get("o"), get("x")
    return jobs.Attempt(
        number=value["n"],
        key=ids.AttemptKey(value["k"]),
        site=ids.SiteName(value["s"]),
        phase=_PHASES[value["p"]],
        decision=ids.Digest(value["d"]),
        placed_at=moment(value["t"]),
        handle=get("h"),
        submitted_at=moment_or_none(get("u")),
        submit_tries=get("ut", 0),
        started_at=moment_or_none(get("b")),
        ended_at=moment_or_none(get("e")),
        outcome=None if outcome is None else _outcome_from_json(outcome),
        reason=get("r", ""),
        gone_reads=get("g", 0),
        execution=executions.NOTHING if execution is None else codec_executions.decode(execution),
    )


def _outcome_to_json(outcome: jobs.Outcome) -> list[Any]:
    return [
        outcome.kind.value,
        outcome.exit_code,
        outcome.signal,
        outcome.detail,
        micros_or_none(outcome.started_at),
        micros_or_none(outcome.ended_at),
    ]


def _outcome_from_json(value: list[Any]) -> jobs.Outcome:
    kind, exit_code, signal, detail, started_at, ended_at = value
    return jobs.Outcome(
        kind=jobs.OutcomeKind(kind),
        exit_code=exit_code,
        signal=signal,
        detail=detail,
        started_at=moment_or_none(started_at),
        ended_at=moment_or_none(ended_at),
    )


def _array_from_json(value: list[Any], verified: Sequence[Any]) -> jobs.ArrayState:
    untouched, counts = value
    held, referees, accepted = verified
    return jobs.ArrayState(
        untouched=tuple((low, high) for low, high in untouched),
        counts=tuple((_PHASES[kind], count) for kind, count in counts),
        held=tuple(jobs.Hand(number, ids.SiteName(site), operator, land) for number, site, operator, land in held),
        referees=referees,
        accepted=accepted,
    )
