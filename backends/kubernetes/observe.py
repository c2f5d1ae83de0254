"""From a Job, its pods and their nodes to what the port is told of an attempt. Pure.

The Job's own conditions say whether it is over; its pods say how. A pod that is gone says nothing, so an end without
one is told as what the Job says of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from backends.kubernetes import keeping, names, payloads, places, queues, views
from backends.kubernetes import settings as schema
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

NEVER_STARTS = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
"""Why a container waits that will wait for ever."""
NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
"""Why a container waits that may yet start: a registry comes back."""
_NODE_LOST = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_KILLED, _TERMINATED = 9, 15
_BY_SHELL = 128
_kind = jobs.OutcomeKind
_state = offers.ObservedState


def handle_of(job: views.Job) -> str:
    """Return the adapter's name for an attempt: the Job that stands for it, and no other of its name."""
    return f"job:{job.uid}"


def observation(
    job: views.Job,
    pods: Sequence[views.Pod],
    nodes: Mapping[str, views.Node],
    wanted: schema.KubernetesSettings,
    workload: queues.Workload | None = None,
) -> backends.Observation:
    """Return what one attempt is now. ``pods`` are those of this Job, ``workload`` is what its queue says of it."""
    key, handle = ids.AttemptKey(job.key), handle_of(job)
    ranks = newest(pods)
    started = min((at for pod in ranks.values() if (at := pod.running_since or pod.began)), default=None)
    where = tuple(
        seen
        for rank, pod in sorted(ranks.items())
        if (seen := places.whereabouts(rank, pod, nodes.get(pod.node), wanted))
    )
    if job.over:
        outcome = ending(job, ranks, nodes)
        return backends.Observation(key, _state.ENDED, outcome, handle, started, outcome.detail, where)
    state, reason, detail = _now(job, {rank: pod for rank, pod in ranks.items() if not pod.gone}, nodes, workload)
    return backends.Observation(key, state, None, handle, started, detail, where, reason=reason)


def newest(pods: Sequence[views.Pod]) -> dict[int, views.Pod]:
    """Return the newest pod of each rank. There is one a rank, unless somebody else has made another."""
    found: dict[int, views.Pod] = {}
    for pod in sorted(pods, key=lambda one: (one.created or dt.datetime.min.replace(tzinfo=dt.UTC), one.name)):
        found[pod.rank] = pod
    return found


def _now(
    job: views.Job,
    ranks: Mapping[int, views.Pod],
    nodes: Mapping[str, views.Node],
    workload: queues.Workload | None,
) -> tuple[offers.ObservedState, str, str]:
    """Return the state of an attempt that is not over, and why it is no further: a word, and in words."""
    for pod in ranks.values():
        if pod.deleting and pod.node and not _answers(nodes.get(pod.node)):
            return _state.UNKNOWN, "", f"node {pod.node} does not answer: what runs there may still run"
    if job.suspended:
        return _state.QUEUED, *_suspended(job, workload)
    begun = [pod for pod in ranks.values() if pod.running_since is not None or pod.exit_code is not None]
    whole = len(begun) >= job.nodes and (job.nodes == 1 or all(pod.released for pod in ranks.values()))
    if whole:
        return _state.RUNNING, "", ""
    why = next((text for pod in ranks.values() if (text := waits_for(pod))), "")
    unbound = [pod for pod in ranks.values() if not pod.node]
    reason = why.partition(":")[0]
    if unbound or not ranks:
        return (_state.QUEUED if unbound else _state.STARTING), reason, why
    if not why and job.nodes > 1:
        return _state.STARTING, "WaitsForNodes", "waits for the other nodes"
    return _state.STARTING, reason, why


def _suspended(job: views.Job, workload: queues.Workload | None) -> tuple[str, str]:
    """Return why a Job makes no pods: its queue, or somebody in the cluster."""
    if job.stopped or job.gave_up:
        return "", "is ending"
    if job.queue:
        return queues.waits(job.queue, workload)
    return "Suspended", f"somebody in the cluster has suspended Job {job.name}; it goes on with spec.suspend: false"


def waits_for(pod: views.Pod) -> str:
    """Return why a pod does not run yet; "" where nothing holds it up."""
    if pod.waiting and pod.waiting not in ("ContainerCreating", "PodInitializing"):
        return f"{pod.waiting}: {pod.waiting_message}" if pod.waiting_message else pod.waiting
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return f"{scheduled.reason}: {scheduled.message}"
    return ""


def hopeless(pod: views.Pod, now: dt.datetime, patience: dt.timedelta) -> str:
    """Return why a pod will never start; "" while it may."""
    syncs = pod.waiting == "CreateContainerConfigError" and "failed to sync" in pod.waiting_message
    if pod.waiting in NEVER_STARTS and not syncs:
        return waits_for(pod)
    if (syncs or pod.waiting in NO_IMAGE) and pod.created is not None and now - pod.created > patience:
        return waits_for(pod)
    return ""


def _answers(node: views.Node | None) -> bool:
    return node is not None and node.ready


# --- how it ended -------------------------------------------------------------------------------------------------


def ending(
    job: views.Job, ranks: Mapping[int, views.Pod], nodes: Mapping[str, views.Node] | None = None
) -> jobs.Outcome:
    """Return how an attempt ended that is over."""
    started = min((at for pod in ranks.values() if (at := pod.running_since or pod.began)), default=None)
    failed = job.condition("Failed")
    ended = _ended_at(job, ranks, failed)
    # These marks are only ever set on a Job that is not over, so they came first, whatever it ended with then.
    if job.gave_up:
        kinds = {names.NO_ROOM: _kind.NO_ROOM, names.TAKEN_BACK: _kind.PREEMPTED}
        start = next((start for start in kinds if job.gave_up.startswith(start)), "")
        kind, text = kinds.get(start, _kind.START_FAILED), job.gave_up.removeprefix(start)
        return jobs.Outcome(kind, detail=text, started_at=started, ended_at=ended)
    if job.stopped:
        text = "" if started is not None else "stopped before it began"
        return jobs.Outcome(_kind.STOPPED, detail=text, started_at=started, ended_at=ended)
    if job.condition("Complete") is not None:
        told = next((pod for pod in ranks.values() if _was_disrupted(pod)), None)
        if told is None and job.kept and (lacking := keeping.lacking(ranks[0].kept if 0 in ranks else "")):
            return jobs.Outcome(_kind.OUTPUT_MISSING, 0, detail=lacking, started_at=started, ended_at=ended)
        if told is None:
            return jobs.Outcome(_kind.EXITED, 0, started_at=started, ended_at=ended)
        # It was told to end, and said 0: for Kubernetes that is success, for whoever waits for its work it is none.
        kind, _, _, detail = _of_pod(told)
        return jobs.Outcome(kind, detail=detail[:500], started_at=started, ended_at=ended)
    if failed is not None and failed.reason == "DeadlineExceeded":
        return jobs.Outcome(_kind.TIMED_OUT, detail="its time was up", started_at=started, ended_at=ended)
    first = _failed_first(ranks)
    if first is None:
        said = f"{failed.reason}: {failed.message}" if failed is not None else "its Job has failed"
        return jobs.Outcome(_kind.LOST, detail=f"no pod of it is left; {said}", started_at=started, ended_at=ended)
    kind, code, signal, detail = _of_pod(first)
    if job.nodes > 1:
        detail = f"node {first.rank}: {detail or kind.value}"
    return jobs.Outcome(kind, code, signal, detail[:500], started, ended)


def _ended_at(job: views.Job, ranks: Mapping[int, views.Pod], failed: views.Condition | None) -> dt.datetime | None:
    ends = [pod.ended for pod in ranks.values() if pod.ended is not None]
    if ends:
        return max(ends)
    return job.completed or (failed.since if failed is not None else None)


def _failed_first(ranks: Mapping[int, views.Pod]) -> views.Pod | None:
    """Return the pod that failed, and of several the first: the others ended because of it.

    One that was told to end (terminated by signal 15, while others failed by themselves) comes after those.
    """
    latest = dt.datetime.max.replace(tzinfo=dt.UTC)
    bad = [
        pod for pod in ranks.values() if pod.phase == "Failed" or pod.exit_code not in (0, None) or _was_disrupted(pod)
    ]
    return min(bad, key=lambda pod: (_was_told(pod), pod.ended or latest, pod.rank), default=None)


def _was_disrupted(pod: views.Pod) -> bool:
    """Say whether something in the cluster ended a pod before it ended by itself."""
    found = pod.condition("DisruptionTarget")
    if found is None or found.status != "True":
        return False
    return pod.ended is None or found.since is None or found.since <= pod.ended


def _was_told(pod: views.Pod) -> bool:
    told = pod.exit_code in (_BY_SHELL + _TERMINATED, _BY_SHELL + _KILLED) and pod.exit_reason != "OOMKilled"
    return told and pod.condition("DisruptionTarget") is None and pod.deleting


def _of_pod(pod: views.Pod) -> tuple[jobs.OutcomeKind, int | None, int | None, str]:
    """Return how one pod ended: kind, exit code, signal, and in words."""
    disrupted = pod.condition("DisruptionTarget")
    if disrupted is not None and _was_disrupted(pod):
        lost = disrupted.reason in _NODE_LOST
        text = f"{disrupted.reason}: {disrupted.message}" if disrupted.message else disrupted.reason
        return (_kind.LOST if lost else _kind.PREEMPTED), None, None, text
    if pod.exit_reason == "OOMKilled":
        text = "it needed more memory than it asked for, and was killed; ask for more, or use less"
        return _kind.OUT_OF_MEMORY, pod.exit_code, None, text
    if pod.reason == "Evicted":
        return _kind.PREEMPTED, None, None, f"Evicted: {pod.message}"
    if pod.reason in ("NodeLost", "NodeShutdown", "Terminated"):
        return _kind.PREEMPTED, None, None, f"{pod.reason}: {pod.message}"
    if pod.exit_code is None:
        text = f"{pod.reason}: {pod.message}".strip(": ") or "its pod failed before it began"
        return _kind.START_FAILED, None, None, text
    if pod.exit_message == payloads.CHANGED_TEXT:
        return _kind.START_FAILED, None, None, "its files and working folder did not arrive as they were sent"
    if pod.exit_message == payloads.GANG_TIMEOUT_TEXT:
        return _kind.START_FAILED, None, None, "no node ran, because not every one could start in time"
    if pod.exit_reason in ("ContainerCannotRun", "StartError"):
        return _kind.START_FAILED, None, None, pod.exit_message or pod.exit_reason
    if pod.exit_signal is not None:
        return _kind.SIGNALED, None, pod.exit_signal, f"ended by signal {pod.exit_signal}"
    if pod.exit_code == _BY_SHELL + _KILLED:
        return _kind.SIGNALED, None, _KILLED, "ended by signal 9, not by us"
    again = ": another try is of no use, it says" if pod.exit_code == names.NOT_AGAIN else ""
    return _kind.EXITED, pod.exit_code, None, f"exit code {pod.exit_code}{again}" if pod.exit_code else ""
