"""From what Ray says of a submission to an observation. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from backends.ray import marks, parsing, pools
from backends.ray.runner import words
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

_DETAIL_MAX = 500
_WORD = re.compile(r"^comity: (?P<word>[a-z-]{1,32}): (?P<detail>.*)$")
_OUT_OF_MEMORY = re.compile(r"out of memory|OOM|running low on memory", re.IGNORECASE)
TERMINAL = frozenset({"STOPPED", "SUCCEEDED", "FAILED"})
_NEVER_BEGAN = frozenset({"JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"})
LOST_SUPERVISOR = "failed to get job supervisor"


def handle_of(session: str, key: str) -> str:
    """Return the adapter's name for an attempt: the session it was accepted in stands in it."""
    return f"ray:{session}:{key}"


def session_of(handle: str | None) -> str | None:
    """Return the session of a handle; None where it is none of ours."""
    parts = (handle or "").split(":")
    return parts[1] if len(parts) == 3 and parts[0] == "ray" else None


def is_live(job: parsing.Job, stopped: bool) -> bool:
    """Say whether an attempt runs or may yet. One that was stopped while it waited never begins."""
    if marks.is_fence(job):
        return False
    return job.status not in TERMINAL and not (job.status == "PENDING" and stopped)


def gone(ref: backends.AttemptRef, session: str) -> backends.Observation:
    """Return the observation of an attempt that the head does not know, and why where that is known."""
    before = session_of(ref.handle)
    detail = ""
    if before is not None and before != session:
        detail = f"the head was started again ({before} before, {session} now), and its jobs are lost with it"
    return backends.Observation(ref.key, offers.ObservedState.GONE, detail=detail)


def observation(
    ref: backends.AttemptRef,
    job: parsing.Job,
    session: str,
    nodes: Mapping[str, pools.Node],
    *,
    stopped: bool,
    places: pools.Places,
) -> backends.Observation:
    """Return what one attempt is. ``stopped``: the record that we asked for its end is there."""
    state = offers.ObservedState
    if marks.is_fence(job):
        outcome = jobs.Outcome(jobs.OutcomeKind.STOPPED, detail="stopped before it began", ended_at=_time(job.end_ms))
        return backends.Observation(ref.key, state.ENDED, outcome, detail=outcome.detail)
    handle, seen = handle_of(session, job.id), whereabouts(job, nodes, places)
    if job.status == "PENDING":
        if stopped:
            outcome = jobs.Outcome(jobs.OutcomeKind.STOPPED, detail="stopped while it waited, before it began")
            return backends.Observation(ref.key, state.ENDED, outcome, handle, detail=outcome.detail)
        return backends.Observation(ref.key, state.QUEUED, handle=handle)
    if job.status == "RUNNING":
        return backends.Observation(ref.key, state.RUNNING, handle=handle, whereabouts=seen)
    if job.status not in TERMINAL:
        text = f"status {job.status[:100]!r}, which this version does not know"
        return backends.Observation(ref.key, state.UNKNOWN, handle=handle, detail=text)
    outcome = outcome_of(job, stopped=stopped)
    return backends.Observation(ref.key, state.ENDED, outcome, handle, detail=outcome.detail, whereabouts=seen)


def outcome_of(job: parsing.Job, *, stopped: bool) -> jobs.Outcome:
    """Return how an attempt ended that is over."""
    kind, at = jobs.OutcomeKind, _time(job.end_ms)
    if job.status == "STOPPED" or (stopped and job.error_type in _NEVER_BEGAN):
        if stopped:
            return jobs.Outcome(kind.STOPPED, ended_at=at)
        return jobs.Outcome(kind.PREEMPTED, detail="stopped at the Ray cluster: nobody here asked", ended_at=at)
    if job.status == "SUCCEEDED":
        return jobs.Outcome(kind.EXITED, 0, ended_at=at)
    said = _shown(job.message)
    match job.error_type:
        case "JOB_ENTRYPOINT_COMMAND_ERROR":
            return _own_end(job, at)
        case waiting if waiting in _NEVER_BEGAN:
            text = "Ray gave up waiting for room before it began (RAY_JOB_START_TIMEOUT_SECONDS of the head)"
            return jobs.Outcome(kind.NO_ROOM, detail=text, ended_at=at)
        case "JOB_SUPERVISOR_ACTOR_START_FAILURE" if LOST_SUPERVISOR in job.message:
            return jobs.Outcome(kind.LOST, detail="its supervisor is gone, and how it ended is unknown", ended_at=at)
        case "JOB_SUPERVISOR_ACTOR_DIED" if _OUT_OF_MEMORY.search(job.message):
            return jobs.Outcome(kind.OUT_OF_MEMORY, detail=said, ended_at=at)
        case "JOB_SUPERVISOR_ACTOR_DIED" | "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE":
            return jobs.Outcome(kind.LOST, detail=f"its node, or what watched it there, is gone: {said}", ended_at=at)
        case "RUNTIME_ENV_SETUP_FAILURE" | "JOB_SUPERVISOR_ACTOR_START_FAILURE" | "JOB_ENTRYPOINT_COMMAND_START_ERROR":
            return jobs.Outcome(kind.START_FAILED, detail=said, ended_at=at)
        case _:
            if job.exit_code is not None:
                return _own_end(job, at)
            return jobs.Outcome(kind.LOST, detail=f"how it ended is not known: {said}", ended_at=at)


def _own_end(job: parsing.Job, at: dt.datetime | None) -> jobs.Outcome:
    """Return the end of a command that ran, or that the runner could not run."""
    kind, code = jobs.OutcomeKind, job.exit_code
    word, detail = _told(job.message)
    if code is not None and words.WORDS.get(word) == code:
        match word:
            case "timed-out":
                return jobs.Outcome(kind.TIMED_OUT, detail=detail, ended_at=at)
            case "output-missing":
                return jobs.Outcome(kind.OUTPUT_MISSING, 0, detail=detail, ended_at=at)
            case _:
                return jobs.Outcome(kind.START_FAILED, code, detail=f"{word}: {detail}", ended_at=at)
    if code is None or not -64 <= code <= 255:
        return jobs.Outcome(kind.LOST, detail=f"it failed, with code {code}", ended_at=at)
    if code < 0:
        return jobs.Outcome(kind.SIGNALED, signal=-code, detail=f"ended by signal {-code}", ended_at=at)
    return jobs.Outcome(kind.EXITED, code, detail=f"exit code {code}" if code else "", ended_at=at)


def _told(message: str) -> tuple[str, str]:
    """Return the runner's last line in a message, as (word, detail); Ray puts the end of the log into it."""
    lines = message.rstrip("\n").rsplit("\n", 1)
    found = _WORD.match(lines[-1])
    return (found["word"], _shown(found["detail"])) if found else ("", "")


def whereabouts(
    job: parsing.Job, nodes: Mapping[str, pools.Node], places: pools.Places
) -> tuple[offers.Whereabouts, ...]:
    """Return the node that ran the driver, and the country that its labels say; none where no node did."""
    if job.node is None:
        return ()
    node = nodes.get(job.node)
    country, source = places.country_of(node) if node is not None else (None, "")
    text = source or "driver_node_id of the job"
    return (offers.Whereabouts(0, job.node[:253], country=country, source=text[:200]),)


def key_of(job: parsing.Job) -> ids.AttemptKey:
    """Return the key that a submission stands for."""
    return ids.AttemptKey(job.id)


def _time(ms: int) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC) if 0 < ms < 2**42 else None


def _shown(text: str) -> str:
    """Return the end of a text in one line that may be shown."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(lines[-2:]))[-_DETAIL_MAX:]
