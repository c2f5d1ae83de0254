"""From a RayJob and its pods to what the port is told of an attempt. Pure.

``jobDeploymentStatus`` says whether it is over, ``jobStatus`` and ``reason`` say how. The words are those of
``apis/ray/v1/rayjob_types.go`` in KubeRay 1.6.2, and a test holds the tables here against that file. A word that is
not among them is UNKNOWN: it is never taken for an end, and never for success.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from backends.kubernetes import names, observe, places, rayviews, views
from backends.kubernetes import settings as schema
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

STATUSES = frozenset({"", "PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"})
"""Of the command (JobStatus)."""
DEPLOYMENTS = frozenset(
    {
        "",
        "Initializing",
        "Running",
        "Complete",
        "Failed",
        "ValidationFailed",
        "Suspending",
        "Suspended",
        "Retrying",
        "Waiting",
    }
)
"""Of the whole (JobDeploymentStatus)."""
REASONS = frozenset(
    {
        "SubmissionFailed",
        "DeadlineExceeded",
        "PreRunningDeadlineExceeded",
        "AppFailed",
        "JobDeploymentStatusTransitionGracePeriodExceeded",
        "ValidationFailed",
    }
)
"""Why it is Failed (JobFailedReason)."""
_CODE = re.compile(r"Job entrypoint command failed with exit code (-?\d{1,3})\b", re.ASCII)
"""How Ray's job supervisor begins its message (2.60.0, job_supervisor.py)."""
_STARTED = frozenset({"RUNNING", "STOPPED", "SUCCEEDED", "FAILED"})
_kind = jobs.OutcomeKind
_state = offers.ObservedState
_ORDER = {rayviews.HEAD: 0, rayviews.WORKER: 1, rayviews.SUBMITTER: 2}
DETAIL_MAX = 500
HEAD_LOST = "lost: "
"""What the note of an attempt begins with that we ended because its head was gone."""


def handle_of(job: rayviews.RayJob) -> str:
    """Return the adapter's name for an attempt: the RayJob that stands for it, and no other of its name."""
    return f"rayjob:{job.job.uid}"


def observation(
    job: rayviews.RayJob,
    pods: Sequence[rayviews.Pod],
    nodes: Mapping[str, views.Node],
    wanted: schema.KubernetesSettings,
) -> backends.Observation:
    """Return what one attempt is now."""
    key, handle = ids.AttemptKey(job.name), handle_of(job)
    where = whereabouts(job, pods, nodes, wanted)
    if job.over:
        outcome = ending(job, pods)
        if outcome is None:
            text = f"it is {job.deployment}, and its command {_shown(job.status) or 'is not known'}: not an end we know"
            return backends.Observation(key, _state.UNKNOWN, None, handle, job.ran, text, where)
        return backends.Observation(key, _state.ENDED, outcome, handle, outcome.started_at, outcome.detail, where)
    there = [pod.pod for pod in pods if not pod.pod.gone]
    for pod in there:
        if pod.deleting and pod.node and not (pod.node in nodes and nodes[pod.node].ready):
            text = f"node {pod.node} does not answer: what runs there may still run"
            return backends.Observation(key, _state.UNKNOWN, None, handle, job.ran, text, where)
    state, reason, detail = _now(job, there)
    return backends.Observation(key, state, None, handle, job.ran, detail[:DETAIL_MAX], where, reason=reason)


def _now(job: rayviews.RayJob, pods: Sequence[views.Pod]) -> tuple[offers.ObservedState, str, str]:
    """Return the state of an attempt that is not over, and why it is no further: a word, and in words."""
    match job.deployment:
        case "":
            return _state.QUEUED, "WaitsForOperator", "KubeRay's operator has not looked at it yet"
        case "Initializing" | "Waiting":
            return _beginning(pods)
        case "Running":
            return _running(job)
        case "Suspending" | "Suspended":
            if job.ending:
                return _state.QUEUED, "", "is ending"
            text = "somebody in the cluster has suspended it; it goes on with spec.suspend: false"
            return _state.QUEUED, "Suspended", text
        case "Retrying":
            return _state.UNKNOWN, "", "the operator starts it again, which it was told not to"
        case other:
            return _state.UNKNOWN, "", f"jobDeploymentStatus {_shown(other)}, which this version does not know"


def headless(job: rayviews.RayJob, pods: Sequence[rayviews.Pod]) -> bool:
    """Say whether the command was handed to a head that is there no more. No other is made (ADR 0030).

    The operator learns of it from the submitter alone, and that may wait for ever on a connection to nobody.
    """
    heads = [one.pod for one in pods if one.role == rayviews.HEAD and not one.pod.gone]
    return job.deployment == "Running" and not any(pod.phase in ("Pending", "Running", "Unknown") for pod in heads)


def _beginning(pods: Sequence[views.Pod]) -> tuple[offers.ObservedState, str, str]:
    why = next((text for pod in pods if (text := observe.waits_for(pod))), "")
    waits = any(not pod.node for pod in pods)
    text = why or "waits for its Ray cluster"
    return (_state.QUEUED if waits else _state.STARTING), why.partition(":")[0] or "WaitsForCluster", text


def _running(job: rayviews.RayJob) -> tuple[offers.ObservedState, str, str]:
    match job.status:
        case "" | "PENDING":
            return _state.STARTING, "WaitsForDriver", "its Ray cluster is there; the command has not begun"
        case "RUNNING":
            return _state.RUNNING, "", ""
        case status if status in STATUSES:
            return _state.RUNNING, "", f"its command is {status}; the operator has not said that all is over"
        case other:
            return _state.UNKNOWN, "", f"jobStatus {_shown(other)}, which this version does not know"


# --- how it ended -----------------------------------------------------------------------------------------------------


def ending(job: rayviews.RayJob, pods: Sequence[rayviews.Pod] = ()) -> jobs.Outcome | None:
    """Return how an attempt ended that is over; None where the words do not fit together."""
    kind, code, signal, detail = _UNTOLD
    if job.job.gave_up:
        kinds = {names.NO_ROOM: _kind.NO_ROOM, HEAD_LOST: _kind.LOST}
        start = next((start for start in kinds if job.job.gave_up.startswith(start)), "")
        kind, detail = kinds.get(start, _kind.START_FAILED), job.job.gave_up.removeprefix(start)
    elif job.job.stopped:
        kind, detail = _kind.STOPPED, ("" if job.ran is not None else "stopped before it began")
    elif job.deployment == "Complete":
        if job.status == "SUCCEEDED":
            kind, code, detail = _kind.EXITED, 0, ""
        elif job.status == "STOPPED":
            kind, detail = _kind.PREEMPTED, "stopped at its Ray cluster: nobody here asked"
        elif job.status == "FAILED":
            kind, code, signal, detail = _failed(job, pods)
        else:
            return None
    elif job.deployment == "ValidationFailed":
        kind, detail = _kind.START_FAILED, f"KubeRay does not take it: {job.message}"
    else:
        kind, code, signal, detail = _failed(job, pods)
    return jobs.Outcome(kind, code, signal, detail[:DETAIL_MAX], job.ran, job.ended)


_UNTOLD: tuple[jobs.OutcomeKind, int | None, int | None, str] = (_kind.LOST, None, None, "")


def _failed(job: rayviews.RayJob, pods: Sequence[rayviews.Pod]) -> tuple[jobs.OutcomeKind, int | None, int | None, str]:
    """Return how one ended that failed: kind, exit code, signal, and in words."""
    begun = job.ran is not None or job.status in _STARTED
    match job.reason:
        case "DeadlineExceeded":
            return _kind.TIMED_OUT, None, None, "its time was up"
        case "PreRunningDeadlineExceeded":
            why = next((text for pod in pods if (text := observe.waits_for(pod.pod))), "")
            return _kind.NO_ROOM, None, None, f"its Ray cluster was not there in time{f': {why}' if why else ''}"
        case "ValidationFailed":
            return _kind.START_FAILED, None, None, f"KubeRay does not take it: {job.message}"
    if job.status == "FAILED" and (found := _CODE.match(job.message)) is not None:
        return _coded(int(found[1]))
    if any(pod.role == rayviews.HEAD and pod.pod.exit_reason == "OOMKilled" for pod in pods):
        text = "its head needed more memory than it asked for, and was killed; ask for more, or use less"
        return _kind.OUT_OF_MEMORY, None, None, text
    said = f"{_shown(job.reason) or 'Failed'}: {job.message}"
    if job.reason == "SubmissionFailed" and not begun:
        return _kind.START_FAILED, None, None, f"it could not be handed to Ray: {said}"
    return _kind.LOST, None, None, f"how it ended is not known: {said}"


def _coded(code: int) -> tuple[jobs.OutcomeKind, int | None, int | None, str]:
    """Return what Ray's exit code of the driver means; a shell between says 128 and the signal."""
    signal = -code if -64 <= code < 0 else (code - 128 if code == 137 else 0)
    if signal:
        return _kind.SIGNALED, None, signal, f"ended by signal {signal}, not by us"
    if not 0 < code <= 255:
        return _kind.LOST, None, None, f"it failed, with code {code}"
    again = ": another try is of no use, it says" if code == names.NOT_AGAIN else ""
    return _kind.EXITED, code, None, f"exit code {code}{again}"


# --- where ------------------------------------------------------------------------------------------------------------


def whereabouts(
    job: rayviews.RayJob,
    pods: Sequence[rayviews.Pod],
    nodes: Mapping[str, views.Node],
    wanted: schema.KubernetesSettings,
) -> tuple[offers.Whereabouts, ...]:
    """Return where it runs: the head, unless another of its pods is in another country than the pool's.

    One attempt of one node has one place; of several, the one that must not be is told.
    """
    expected = wanted.selector(job.job.pool)[wanted.jurisdiction_label]
    newest = sorted(pods, key=lambda one: one.pod.created or dt.datetime.min.replace(tzinfo=dt.UTC), reverse=True)
    ordered = sorted(newest, key=lambda one: _ORDER[one.role])
    seen = [
        found
        for one in ordered
        if (found := places.whereabouts(0, one.pod, nodes.get(one.pod.node), wanted)) is not None
    ]
    wrong = next((one for one in seen if one.country is not None and one.country != expected), None)
    return (wrong,) if wrong is not None else tuple(seen[:1])


def _shown(word: str) -> str:
    return repr(word[:64]) if word else ""
