"""From the files of an attempt to what the port is told of it. Pure: the files were read before."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence

from backends.local import attempts
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

_KILLED = 9
_KILLED_BY_SHELL = 128 + _KILLED
_BY_OTHERS = ("stopped", "called-off")
"""Reasons of a rank's end that lie with another rank, or with whoever stopped it."""


def observation(
    attempt: attempts.Attempt,
    ranks: Sequence[attempts.Rank],
    *,
    stopped: bool,
    submitting: bool,
    boot: str,
    node: str = "",
) -> backends.Observation:
    """Return what one attempt is now. Outputs are not looked for: that is left to whoever sees it succeed.

    ``node`` is the name of this machine, on which every rank that began runs or ran.

    A folder in which nothing was ever started is GONE: nothing runs and nothing will, unless it is submitted again.
    """
    key, handle = ids.AttemptKey(attempt.key), handle_of(attempt.key)
    state = attempts.RankState
    begun = [rank for rank in ranks if rank.state is not state.FRESH]
    if not begun and submitting:
        return backends.Observation(key, offers.ObservedState.STARTING, handle=handle)
    if not begun and not stopped:
        return backends.Observation(key, offers.ObservedState.GONE, detail="prepared, and never started")
    started = started_at(ranks)
    fresh = any(rank.state is state.FRESH for rank in ranks)
    if any(rank.state is state.LIVE for rank in ranks) or (fresh and not stopped):
        running = all(rank.started for rank in ranks)
        now = offers.ObservedState.RUNNING if running else offers.ObservedState.STARTING
        return backends.Observation(key, now, handle=handle, started_at=started, whereabouts=whereabouts(ranks, node))
    outcome = joint_outcome(attempt, ranks, stopped=stopped, boot=boot)
    return backends.Observation(
        key, offers.ObservedState.ENDED, outcome, handle, started, outcome.detail, whereabouts(ranks, node)
    )


def whereabouts(ranks: Sequence[attempts.Rank], node: str) -> tuple[offers.Whereabouts, ...]:
    """Return this machine for each rank that was started. In which country it stands, a machine does not know."""
    if not node:
        return ()
    return tuple(
        offers.Whereabouts(at, node, source="name of the machine") for at, rank in enumerate(ranks) if rank.started
    )


def handle_of(key: str) -> str:
    """Return the adapter's name for an attempt."""
    return f"local:{key}"


def failed_first(ranks: Sequence[attempts.Rank]) -> int | None:
    """Return the rank that failed first, not because others had; None where none has."""
    failed = [
        (_number(rank.exit, "ended_ns"), at)
        for at, rank in enumerate(ranks)
        if rank.state is attempts.RankState.LOST
        or (
            rank.state is attempts.RankState.ENDED
            and not _succeeded(rank)
            and rank.exit.get("reason") not in _BY_OTHERS
        )
    ]
    return min(failed)[1] if failed else None


def joint_outcome(
    attempt: attempts.Attempt, ranks: Sequence[attempts.Rank], *, stopped: bool, boot: str
) -> jobs.Outcome:
    """Return how an attempt ended of which every rank is over: as the rank did that failed first."""
    if not ranks:
        return jobs.Outcome(jobs.OutcomeKind.STOPPED, detail="stopped before it began")
    first = None if stopped and len(ranks) > 1 else failed_first(ranks)
    if first is None:
        first = next((at for at, rank in enumerate(ranks) if not _succeeded(rank)), len(ranks) - 1)
    outcome = rank_outcome(attempt, ranks[first], boot=boot)
    detail = f"node {first}: {outcome.detail or outcome.kind.value}" if len(ranks) > 1 else outcome.detail
    if outcome.succeeded:
        detail = ""
    ends = [end for rank in ranks if (end := _time(rank.exit, "ended_ns")) is not None]
    return jobs.Outcome(
        outcome.kind, outcome.exit_code, outcome.signal, detail, started_at(ranks), max(ends) if ends else None
    )


def rank_outcome(attempt: attempts.Attempt, rank: attempts.Rank, *, boot: str) -> jobs.Outcome:
    """Return how one rank ended."""
    kind = jobs.OutcomeKind
    if rank.state is attempts.RankState.FENCED or rank.state is attempts.RankState.FRESH:
        return jobs.Outcome(kind.STOPPED, detail="stopped before it began")
    if rank.state is attempts.RankState.LOST:
        rebooted = rank.started.get("boot_id", boot) != boot
        return jobs.Outcome(
            kind.LOST, detail="the machine was started again meanwhile" if rebooted else "its supervisor was killed"
        )
    code, signal = _optional(rank.exit, "code"), _optional(rank.exit, "signal")
    match rank.exit.get("reason", ""):
        case "exited" | "signaled":
            return _own_end(rank, code, signal)
        case "timeout":
            return jobs.Outcome(kind.TIMED_OUT, code, signal, "its time was up")
        case "stopped":
            return jobs.Outcome(kind.STOPPED, code, signal)
        case "terminated":
            return jobs.Outcome(kind.PREEMPTED, code, signal, "ended with the machine, or by hand: nobody here asked")
        case "lost":
            return jobs.Outcome(kind.LOST, detail="its first process was killed from outside; how it ended is unknown")
        case "exec-failed":
            return jobs.Outcome(kind.START_FAILED, code, detail=_not_executed(attempt, rank.exit))
        case "isolation-failed":
            return jobs.Outcome(kind.START_FAILED, detail=f"cannot be isolated as asked: {_step(rank.exit)}")
        case "setup-failed":
            return jobs.Outcome(kind.START_FAILED, detail=f"cannot be set up: {_step(rank.exit)}")
        case "called-off":
            return jobs.Outcome(kind.START_FAILED, detail="no rank ran, because not every one could start in time")
        case other:
            return jobs.Outcome(kind.LOST, detail=f"its record says {other!r}, which this version does not know")


def started_at(ranks: Sequence[attempts.Rank]) -> dt.datetime | None:
    """Return when the first rank was started."""
    found = [at for rank in ranks if (at := _time(rank.started, "started_ns")) is not None]
    return min(found) if found else None


def _own_end(rank: attempts.Rank, code: int | None, signal: int | None) -> jobs.Outcome:
    if code != 0 and _number(rank.exit, "cgroup_oom_kills") > 0:
        text = "it needed more memory than it asked for, and was killed; ask for more, or use less"
        return jobs.Outcome(jobs.OutcomeKind.OUT_OF_MEMORY, code, signal, text)
    killed = signal == _KILLED or code == _KILLED_BY_SHELL
    if killed and _number(rank.exit, "oom_kills") > 0:
        text = "killed while the machine was out of memory; ask for more, or use less"
        return jobs.Outcome(jobs.OutcomeKind.OUT_OF_MEMORY, code, signal, text)
    if signal is not None:
        return jobs.Outcome(jobs.OutcomeKind.SIGNALED, signal=signal, detail=f"ended by signal {signal}")
    return jobs.Outcome(jobs.OutcomeKind.EXITED, code, detail=f"exit code {code}" if code else "")


def _not_executed(attempt: attempts.Attempt, record: Mapping[str, str]) -> str:
    program = record.get("detail") or attempt.command
    where = "" if "/" in program else f" on PATH={attempt.path}"
    if record.get("code") == "127":
        hint = " (or the interpreter in its first line)" if "/" in program else ""
        return f"command {program!r} was not found{where}{hint}"
    return f"command {program!r} cannot be run: {_error(record)}{where}"


def _step(record: Mapping[str, str]) -> str:
    return " ".join(word for word in (record.get("step", ""), record.get("detail", "")) if word) + f": {_error(record)}"


def _error(record: Mapping[str, str]) -> str:
    return os.strerror(_number(record, "errno"))


def _succeeded(rank: attempts.Rank) -> bool:
    return rank.exit.get("reason") == "exited" and rank.exit.get("code") == "0"


def _number(record: Mapping[str, str], name: str) -> int:
    try:
        return int(record.get(name, "0"))
    except ValueError:
        return 0


def _optional(record: Mapping[str, str], name: str) -> int | None:
    return _number(record, name) if name in record else None


def _time(record: Mapping[str, str], name: str) -> dt.datetime | None:
    nanoseconds = _number(record, name)
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC) if nanoseconds > 0 else None
