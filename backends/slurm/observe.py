"""From what an attempt left in its folder, and what Slurm says of its job, to an observation. Pure.

The folder is believed first: Slurm forgets jobs after minutes, and gives their numbers to others after a crash.
"""

from __future__ import annotations

import datetime as dt

from backends.slurm import folders, reservations, wire
from orchestrator.domain import jobs, offers
from orchestrator.ports import backends

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
STARTING = frozenset({"CONFIGURING", "STAGE_OUT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "POWER_UP_NODE"})
ENDS = frozenset(
    [
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMEOUT",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "BOOT_FAIL",
        "DEADLINE",
        "PREEMPTED",
        "REVOKED",
        "LAUNCH_FAILED",
    ]
)
SETTLE_S = 5.0
"""So long after Slurm says that a job is over its last word may still be on its way through the file system."""
_LATE_S = 120.0
_NOT_LAUNCHED = "launchfailed"
"""What Slurm says of a job that it holds after a node did not confirm its start: `launch failed requeued held`."""
_NOT_BEGUN = {
    "folder": "its working folder could not be made on the node",
    "unpack": "its files could not be unpacked on the node",
    "gang": "not all of its nodes could be started by srun",
    "begin": "the node could not start a process for it: are setsid, env and stdbuf there?",
}


def is_over(job: wire.Job) -> bool:
    """Say whether Slurm is done with a job."""
    return bool(job.states & ENDS) and not job.states & (WAITING | {"COMPLETING"})


def is_again(left: folders.Left, job: wire.Job) -> bool:
    """Say whether Slurm queued an attempt again that had begun, as it does where its node failed, whatever was asked.

    It does not begin again, for its claim is taken; and Slurm took the first run for over.
    """
    return left.claimed and bool(job.states & WAITING)


def is_not_launched(left: folders.Left, job: wire.Job) -> bool:
    """Say whether Slurm holds an attempt for good because its start was not confirmed, whatever was asked.

    So it is where the controller goes while a node confirms: the node begins nothing, and nobody lets the job go.
    """
    said = "".join(filter(str.isalpha, job.said.lower()))
    return not left.claimed and bool(job.states & WAITING) and said.startswith(_NOT_LAUNCHED)


def handle_of(job: wire.Job) -> str:
    """Return the adapter's name for an attempt."""
    return f"slurm:{job.number}:{job.name}"


def ended(key: backends.AttemptRef, left: folders.Left, job: wire.Job | None) -> backends.Observation:
    """Return the observation of an attempt that wrote its last word."""
    kind, code, said = jobs.OutcomeKind, left.code, ""
    found: tuple[jobs.OutcomeKind, int | None, str]
    states = job.states if job is not None else frozenset()
    match left.end:
        case "stopped":
            found = (kind.STOPPED, None, "stopped before it began")
        case word if word in _NOT_BEGUN:
            found = (kind.START_FAILED, None, ": ".join(filter(None, (_NOT_BEGUN[word], left.said))))
        case "lost":
            found = (kind.LOST, None, ": ".join(filter(None, ("a node of it ended without a word", left.said))))
        case "lacking":
            found = (kind.OUTPUT_MISSING, code, f"it ended well and left no {left.lacking or 'declared output'}")
        case "late":
            found = (kind.TIMED_OUT, None, "its time was up")
        case "told" if left.stopped:
            found = (kind.STOPPED, None, "")
        case "told" if states & {"TIMEOUT", "DEADLINE"}:
            found = (kind.TIMED_OUT, None, "the time that Slurm gave it was up")
        case "told" if "OUT_OF_MEMORY" in states:
            found = (kind.OUT_OF_MEMORY, None, "")
        case "told":
            said = f": {job.reason}" if job is not None and job.reason not in ("", "None") else ""
            found = (kind.PREEMPTED, None, f"ended at the cluster, and nobody here asked{said}")
        case _:
            found = (kind.EXITED, code, f"exit code {code}" if code else "")
    outcome = jobs.Outcome(
        found[0], found[1], detail=found[2], started_at=_time(left.began_s), ended_at=_time(left.ended_s)
    )
    return backends.Observation(
        key.key,
        offers.ObservedState.ENDED,
        outcome,
        handle_of(job) if job is not None else key.handle,
        started_at=_time(left.began_s),
        detail=outcome.detail,
        whereabouts=whereabouts(job),
    )


def without_word(ref: backends.AttemptRef, left: folders.Left, job: wire.Job) -> backends.Observation:
    """Return the observation of an attempt that Slurm is done with, and that never wrote how it ended."""
    kind, states = jobs.OutcomeKind, job.states
    said = f"Slurm: {', '.join(sorted(states))} {job.reason if job.reason != 'None' else ''}".strip()
    if states & {"TIMEOUT", "DEADLINE"}:
        found = kind.TIMED_OUT
    elif "OUT_OF_MEMORY" in states:
        found = kind.OUT_OF_MEMORY
    elif states & {"NODE_FAIL"}:
        found = kind.LOST
    elif left.stopped:
        found = kind.STOPPED
    elif states & {"CANCELLED", "PREEMPTED", "REVOKED"}:
        found = kind.PREEMPTED
    elif not left.claimed:
        found = kind.START_FAILED
        said = f"{said}; it made no folder: do its nodes see settings.folder, and may its user write there?"
    else:
        found = kind.LOST
        said = f"{said}; how it ended was not written"
    outcome = jobs.Outcome(found, detail=said, started_at=_time(left.began_s), ended_at=_time(job.end_s or None))
    return backends.Observation(
        ref.key,
        offers.ObservedState.ENDED,
        outcome,
        handle_of(job),
        started_at=_time(left.began_s),
        detail=outcome.detail,
        whereabouts=whereabouts(job),
    )


def not_launched(ref: backends.AttemptRef, job: wire.Job) -> backends.Observation:
    """Return the observation of an attempt that a node did not begin, and that finds its mark if it ever did."""
    detail = f"Slurm: {job.said[: wire.TEXT_MAX]}"
    outcome = jobs.Outcome(jobs.OutcomeKind.START_FAILED, detail=detail)
    return backends.Observation(ref.key, offers.ObservedState.ENDED, outcome, handle_of(job), detail=detail)


def unknown_to_slurm(ref: backends.AttemptRef, left: folders.Left, now_s: float) -> backends.Observation:
    """Return the observation of an attempt that wrote no last word, and of which Slurm knows nothing."""
    state = offers.ObservedState
    if not left.claimed:
        if left.stopped:  # what finds the mark does not begin
            outcome = jobs.Outcome(jobs.OutcomeKind.STOPPED, detail="stopped before it began")
            return backends.Observation(ref.key, state.ENDED, outcome, detail=outcome.detail)
        return backends.Observation(ref.key, state.GONE, detail="Slurm knows no job of this key, and none began")
    if left.over_by_s is not None and now_s > left.over_by_s + _LATE_S:
        text = "Slurm forgot it, its time is over, and how it ended was not written"
        outcome = jobs.Outcome(jobs.OutcomeKind.LOST, detail=text, started_at=_time(left.began_s))
        return backends.Observation(ref.key, state.ENDED, outcome, ref.handle, detail=text)
    text = "it began, Slurm knows it no more, and it has not written how it ended: it may still run"
    return backends.Observation(ref.key, state.UNKNOWN, handle=ref.handle, detail=text)


def live(
    ref: backends.AttemptRef, left: folders.Left, job: wire.Job, window: reservations.Window | None = None
) -> backends.Observation:
    """Return the observation of an attempt whose job is not over. ``window``: the maintenance that it waits for."""
    states, seen = offers.ObservedState, offers.ObservedState.UNKNOWN
    detail = reason = ""
    if job.states & RUNNING:
        seen = states.RUNNING if left.claimed else states.STARTING
    elif job.states & STARTING:
        seen = states.STARTING
    elif job.states & WAITING:
        seen = states.QUEUED
    else:
        detail = f"state {', '.join(sorted(job.states))[:100] or 'none'}, which this version does not know"
    if seen is states.QUEUED and job.reason not in ("", "None"):
        reason = "".join(letter for letter in job.reason if letter.isascii() and letter.isalnum())[:63]
        more = f" ({job.said[: wire.TEXT_MAX]})" if job.said else ""
        detail = f"Slurm: {job.reason[: wire.TEXT_MAX]}{more}"
    if seen is states.QUEUED and window is not None:
        reason, detail = reservations.REASON, f"{window.text} comes first; {detail or 'it waits'}"
    began = _time(left.began_s) if seen is states.RUNNING else None
    where = whereabouts(job) if seen is states.RUNNING else ()
    return backends.Observation(ref.key, seen, None, handle_of(job), began, detail, where, reason=reason)


def whereabouts(job: wire.Job | None) -> tuple[offers.Whereabouts, ...]:
    """Return the nodes that Slurm gave an attempt, in the order of its ranks; it says nothing of a country."""
    found = reservations.hosts(job.nodes) if job is not None else []
    if job is None or len(found) != job.node_count:
        return ()
    source = "nodes of the job, as slurmctld has them"
    return tuple(offers.Whereabouts(rank, name[:253], source=source) for rank, name in enumerate(found))


def _time(seconds: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds and 0 < seconds < 2**34 else None
