"""What lies in an attempt's folder, and what its server says, as observations. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from comity_hyperqueue import attempts
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

QUIET_S = 5.0
"""A task that beats each second is believed for so long."""
_STATE = offers.ObservedState
_KIND = jobs.OutcomeKind


def settled(key: ids.AttemptKey, record: attempts.Record | None) -> backends.Observation | None:
    """Return what the folder alone says for certain; None: the server must be asked."""
    if record is None or (record.claim == attempts.NEVER and record.spec is None):
        return backends.Observation(key, _STATE.GONE)
    if record.end is not None:
        return backends.Observation(key, _STATE.ENDED, _outcome(record.end), handle=key)
    if record.claim == attempts.NEVER:
        outcome = jobs.Outcome(_KIND.STOPPED, detail="stopped before it began")
        return backends.Observation(key, _STATE.ENDED, outcome, handle=key)
    if record.claim == attempts.RUN and record.silent_s < QUIET_S:
        return backends.Observation(key, _STATE.RUNNING, handle=key)
    return None


def asked(
    key: ids.AttemptKey, record: attempts.Record, server: str, failure: str | None, lost_after_s: float
) -> backends.Observation:
    """Return what folder and server say together.

    :param server: the one that serves now.
    :param failure: why the task failed, as the server of the record says; None: it did not, or is another server.
    """
    claimed = record.claim == attempts.RUN
    if failure is not None and claimed:
        return _lost(key, f"HyperQueue says that its task ended ({failure}), and it wrote no end")
    if failure is not None:
        return _ended(key, jobs.Outcome(_KIND.START_FAILED, detail=f"HyperQueue could not start the task: {failure}"))
    if record.server == server and not claimed:
        return backends.Observation(key, _STATE.QUEUED, handle=key)
    if not claimed:
        why = "the HyperQueue server it was queued at is gone, and its queue with it"
        return _lost(key, why if record.server else "it was never queued: the control plane ended before that")
    if record.server != server and record.silent_s >= lost_after_s:
        return _lost(key, f"no sign of life for {record.silent_s:.0f} s, and its HyperQueue server is gone")
    detail = f"no sign of life for {record.silent_s:.0f} s"
    return backends.Observation(key, _STATE.UNKNOWN, handle=key, detail=detail)


def _lost(key: ids.AttemptKey, why: str) -> backends.Observation:
    return _ended(key, jobs.Outcome(_KIND.LOST, detail=why))


def _ended(key: ids.AttemptKey, outcome: jobs.Outcome) -> backends.Observation:
    return backends.Observation(key, _STATE.ENDED, outcome, handle=key)


_TOLD = {
    "stopped": (_KIND.STOPPED, ""),
    "late": (_KIND.TIMED_OUT, ""),
    "dropped": (_KIND.PREEMPTED, "its worker ended it: its time is up, or its server is gone"),
    "alone": (_KIND.LOST, "it could not give a sign of life, and ended itself"),
}
"""Why ``task.py`` ended a command, as outcome and detail."""


def _outcome(end: Mapping[str, Any]) -> jobs.Outcome:
    kind, code, signal = str(end["kind"]), end.get("exitCode"), end.get("signal")
    started, ended = _time(end.get("startedAt")), _time(end.get("endedAt"))
    if kind in (_KIND.START_FAILED.value, _KIND.LOST.value):
        return jobs.Outcome(_KIND(kind), detail=str(end.get("detail", "")), started_at=started, ended_at=ended)
    if kind in _TOLD:
        told, detail = _TOLD[kind]
        return jobs.Outcome(told, detail=detail, started_at=started, ended_at=ended)
    if kind != "ended":
        raise ValueError(f"an attempt never ends as {kind!r}")
    if isinstance(signal, int):
        return jobs.Outcome(_KIND.SIGNALED, signal=signal, started_at=started, ended_at=ended)
    if not isinstance(code, int):
        raise ValueError("an end without exit code or signal")
    return jobs.Outcome(_KIND.EXITED, exit_code=code, started_at=started, ended_at=ended)


def _time(seconds: object) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if isinstance(seconds, (int, float)) else None
