"""What KubeRay says of a RayJob is told as one observation of the port; each of its words is known, and no other."""

import dataclasses
import datetime as dt
import itertools
from typing import Any

import pytest

from backends.kubernetes import names, rayjobs, raystates, rayviews
from orchestrator.domain import facts, jobs, offers
from tests.unit.backends.kubernetes import objects

State, Kind = offers.ObservedState, jobs.OutcomeKind
WANTED = objects.wanted(rayjobs={"version": "2.60.0"})
# Constants of apis/ray/v1/rayjob_types.go in github.com/ray-project/kuberay/ray-operator v1.6.2, by their names there.
JOB_STATUS = {
    "JobStatusNew": "",
    "JobStatusPending": "PENDING",
    "JobStatusRunning": "RUNNING",
    "JobStatusStopped": "STOPPED",
    "JobStatusSucceeded": "SUCCEEDED",
    "JobStatusFailed": "FAILED",
}
JOB_DEPLOYMENT_STATUS = {
    "JobDeploymentStatusNew": "",
    "JobDeploymentStatusInitializing": "Initializing",
    "JobDeploymentStatusRunning": "Running",
    "JobDeploymentStatusComplete": "Complete",
    "JobDeploymentStatusFailed": "Failed",
    "JobDeploymentStatusValidationFailed": "ValidationFailed",
    "JobDeploymentStatusSuspending": "Suspending",
    "JobDeploymentStatusSuspended": "Suspended",
    "JobDeploymentStatusRetrying": "Retrying",
    "JobDeploymentStatusWaiting": "Waiting",
}
JOB_FAILED_REASON = {
    "SubmissionFailed": "SubmissionFailed",
    "DeadlineExceeded": "DeadlineExceeded",
    "PreRunningDeadlineExceeded": "PreRunningDeadlineExceeded",
    "AppFailed": "AppFailed",
    "JobDeploymentStatusTransitionGracePeriodExceeded": "JobDeploymentStatusTransitionGracePeriodExceeded",
    "ValidationFailed": "ValidationFailed",
}
FAILED_WITH_3 = "Job entrypoint command failed with exit code 3, last available logs (truncated to 20,000 chars):\nx"


def raw(**more: Any) -> dict[str, Any]:
    """Return a RayJob as the API server sends it. ``status`` and ``notes`` may be said."""
    made = rayjobs.objects(placement(), objects.grant(rayjobs={"version": "2.60.0", "workers": more.get("workers", 0)}))
    meta = {**made.job["metadata"], "uid": "u1", "resourceVersion": "7", "creationTimestamp": "2026-11-22T12:00:00Z"}
    meta["annotations"] = {**meta["annotations"], **more.get("notes", {})}
    spec = {**made.job["spec"], "suspend": more.get("suspend", False)}
    return {"metadata": meta, "spec": spec, "status": more.get("status", {})}


def placement(**spec: Any) -> Any:
    """Return a placement that may become a RayJob."""
    return objects.placement(**{"resources": jobs.Resources(cpu_milli=2000, memory_bytes=2**30), **spec})


def job(deployment: Any = "", status: Any = "", reason: str = "", message: str = "", **more: Any) -> rayviews.RayJob:
    """Return a RayJob as it is kept."""
    told = {"jobDeploymentStatus": deployment, "jobStatus": status, "reason": reason, "message": message}
    began = {"rayJobInfo": {"startTime": "2026-11-22T12:00:05Z"}} if more.pop("ran", False) else {}
    found = rayviews.rayjob(raw(status={**told, **began}, **more))
    assert found is not None
    return found


def pod(role: str = rayviews.HEAD, **more: Any) -> rayviews.Pod:
    """Return a pod of the RayJob."""
    return rayviews.Pod(objects.pod(name=more.pop("name", role), **more), role, str(objects.KEY))


def look(found: rayviews.RayJob, *pods: rayviews.Pod, **nodes: Any) -> Any:
    return raystates.observation(found, pods, nodes or {"n1": objects.node()}, WANTED)


def test_every_word_of_the_operator_is_known() -> None:
    """The tables hold the constants of the version they were read in, and no more."""
    assert frozenset(JOB_STATUS.values()) == raystates.STATUSES
    assert frozenset(JOB_DEPLOYMENT_STATUS.values()) == raystates.DEPLOYMENTS
    assert frozenset(JOB_FAILED_REASON.values()) == raystates.REASONS


@pytest.mark.parametrize(
    ("deployment", "status", "state", "reason"),
    [
        ("", "", State.QUEUED, "WaitsForOperator"),
        ("Initializing", "", State.STARTING, "WaitsForCluster"),
        ("Waiting", "", State.STARTING, "WaitsForCluster"),
        ("Running", "", State.STARTING, "WaitsForDriver"),
        ("Running", "PENDING", State.STARTING, "WaitsForDriver"),
        ("Running", "RUNNING", State.RUNNING, ""),
        ("Running", "SUCCEEDED", State.RUNNING, ""),
        ("Running", "FAILED", State.RUNNING, ""),
        ("Running", "STOPPED", State.RUNNING, ""),
        ("Suspending", "RUNNING", State.QUEUED, "Suspended"),
        ("Suspended", "", State.QUEUED, "Suspended"),
        ("Retrying", "FAILED", State.UNKNOWN, ""),
        ("Exploding", "SUCCEEDED", State.UNKNOWN, ""),
        ("complete", "SUCCEEDED", State.UNKNOWN, ""),
        ("Running", "DONE", State.UNKNOWN, ""),
        (7, "SUCCEEDED", State.QUEUED, "WaitsForOperator"),
    ],
)
def test_what_is_not_over(deployment: Any, status: str, state: offers.ObservedState, reason: str) -> None:
    """Only the operator's own last words end an attempt; a word nobody knows is UNKNOWN."""
    seen = look(job(deployment, status))
    assert (seen.state, seen.reason, seen.outcome) == (state, reason, None)


@pytest.mark.parametrize(
    ("deployment", "status", "reason", "message", "kind", "code", "signal"),
    [
        ("Complete", "SUCCEEDED", "", "", Kind.EXITED, 0, None),
        ("Complete", "STOPPED", "", "", Kind.PREEMPTED, None, None),
        ("Complete", "FAILED", "", FAILED_WITH_3, Kind.EXITED, 3, None),
        ("Failed", "FAILED", "AppFailed", FAILED_WITH_3, Kind.EXITED, 3, None),
        ("Failed", "FAILED", "AppFailed", FAILED_WITH_3.replace("3,", "-9,"), Kind.SIGNALED, None, 9),
        ("Failed", "FAILED", "AppFailed", FAILED_WITH_3.replace("3,", "137,"), Kind.SIGNALED, None, 9),
        ("Failed", "FAILED", "AppFailed", FAILED_WITH_3.replace("3,", "0,"), Kind.LOST, None, None),
        ("Failed", "FAILED", "AppFailed", "prints: " + FAILED_WITH_3, Kind.LOST, None, None),
        ("Failed", "FAILED", "AppFailed", "The actor died unexpectedly.", Kind.LOST, None, None),
        ("Failed", "", "AppFailed", "Ray head pod not found.", Kind.LOST, None, None),
        ("Failed", "SUCCEEDED", "AppFailed", FAILED_WITH_3, Kind.LOST, None, None),
        ("Failed", "", "SubmissionFailed", "BackoffLimitExceeded", Kind.START_FAILED, None, None),
        ("Failed", "RUNNING", "SubmissionFailed", "BackoffLimitExceeded", Kind.LOST, None, None),
        ("Failed", "RUNNING", "DeadlineExceeded", "", Kind.TIMED_OUT, None, None),
        ("Failed", "", "PreRunningDeadlineExceeded", "", Kind.NO_ROOM, None, None),
        ("Failed", "FAILED", "JobDeploymentStatusTransitionGracePeriodExceeded", "", Kind.LOST, None, None),
        ("Complete", "SUCCEEDED", "JobDeploymentStatusTransitionGracePeriodExceeded", "", Kind.EXITED, 0, None),
        ("Failed", "", "ValidationFailed", "bad", Kind.START_FAILED, None, None),
        ("ValidationFailed", "", "ValidationFailed", "bad", Kind.START_FAILED, None, None),
        ("Failed", "SUCCEEDED", "NobodyKnowsThis", "", Kind.LOST, None, None),
    ],
)
def test_how_it_ended(
    deployment: str, status: str, reason: str, message: str, kind: jobs.OutcomeKind, code: Any, signal: Any
) -> None:
    """Status, reason and message of an end become one outcome."""
    seen = look(job(deployment, status, reason, message))
    assert seen.state is State.ENDED
    assert (seen.outcome.kind, seen.outcome.exit_code, seen.outcome.signal) == (kind, code, signal)
    assert len(seen.detail) <= raystates.DETAIL_MAX


@pytest.mark.parametrize("status", ["", "PENDING", "RUNNING", "DONE"])
def test_words_that_do_not_fit_together_are_no_end(status: str) -> None:
    """Complete, with a command that is not: nobody knows what happened."""
    seen = look(job("Complete", status))
    assert (seen.state, seen.outcome) == (State.UNKNOWN, None)


def test_success_is_both_words_and_nothing_else() -> None:
    """Of all pairs of words, known and unknown, exactly one succeeds; nothing that any of them says raises."""
    words = [*raystates.DEPLOYMENTS, "Succeeded", "COMPLETE", None, 3], [*raystates.STATUSES, "succeeded", None, []]
    reasons = ["", *raystates.REASONS, "Other"]
    good = {
        (deployment, status)
        for deployment, status, reason in itertools.product(*words, reasons)
        if (outcome := look(job(deployment, status, reason)).outcome) is not None and outcome.succeeded
    }
    assert good == {("Complete", "SUCCEEDED")}


def test_a_stop_is_told_as_one() -> None:
    """What was marked before it was over ended because of the mark, whatever it says."""
    mark = {names.STOPPED_ANNOTATION: "2026-11-22T12:00:00Z"}
    for words in (("Failed", "RUNNING", "DeadlineExceeded"), ("Complete", "SUCCEEDED"), ("Failed", "", "AppFailed")):
        seen = look(job(*words, notes=mark))
        assert (seen.state, seen.outcome.kind) == (State.ENDED, Kind.STOPPED)
    assert look(job("Running", "RUNNING", notes=mark)).state is State.RUNNING
    suspended = look(job("Suspended", notes=mark, suspend=True))
    assert (suspended.state, suspended.outcome.kind) == (State.ENDED, Kind.STOPPED)
    assert look(job("Suspending", "RUNNING", notes=mark, suspend=True)).outcome is None


def test_one_that_was_stopped_before_it_came_is_over_from_the_start() -> None:
    """The name that was only taken never runs, in whatever state its operator has it."""
    made = dict(rayjobs.tombstone(str(objects.KEY), "gra", "here", WANTED, "2026-11-22T12:00:00Z"))
    for deployment in ("", "Initializing", "Suspending", "Suspended"):
        meta = {**made["metadata"], "uid": "u", "resourceVersion": "1"}
        found = rayviews.rayjob({**made, "metadata": meta, "status": {"jobDeploymentStatus": deployment}})
        assert found is not None
        seen = look(found)
        assert (seen.state, seen.outcome.kind, seen.detail) == (State.ENDED, Kind.STOPPED, "stopped before it began")


def test_one_that_was_given_up_says_why() -> None:
    """An image that is not there is a failed start; no room is no room."""
    kinds = {"ErrImageNeverPull: ": Kind.START_FAILED, names.NO_ROOM: Kind.NO_ROOM, raystates.HEAD_LOST: Kind.LOST}
    for text, kind in ((f"{start}x", kind) for start, kind in kinds.items()):
        seen = look(job("Failed", "", "DeadlineExceeded", notes={names.GAVE_UP_ANNOTATION: text}))
        assert (seen.outcome.kind, seen.detail.endswith("x")) == (kind, True)


def test_a_head_that_is_gone_is_seen_as_long_as_nothing_is_over() -> None:
    """Only where the command was handed over: before that another head may come, after it nothing is left to end."""
    gone = dataclasses.replace(pod(), pod=dataclasses.replace(pod().pod, gone=True))
    submitter = pod(rayviews.SUBMITTER)
    for pods in ((), (gone,), (pod(phase="Failed"),), (submitter, gone)):
        assert raystates.headless(job("Running", "RUNNING"), pods)
        assert not raystates.headless(job("Initializing"), pods)
        assert not raystates.headless(job("Failed", "RUNNING"), pods)
    assert not raystates.headless(job("Running", "RUNNING"), (gone, pod(phase="Pending")))


def test_a_pod_on_a_node_that_does_not_answer_may_still_run() -> None:
    """Nothing is said of it until the node is back or removed."""
    silent = {"n1": objects.node(ready=False)}
    assert look(job("Running", "RUNNING"), pod(deleting=True), **silent).state is State.UNKNOWN
    assert look(job("Running", "RUNNING"), pod(), **silent).state is State.RUNNING
    assert look(job("Running", "RUNNING"), pod(deleting=True)).state is State.RUNNING


def test_a_head_that_was_killed_for_its_memory() -> None:
    """Its pod is gone by then; the last that was seen of it says so."""
    dead = pod(state=objects.ended(137, reason="OOMKilled"), phase="Failed")
    assert look(job("Failed", "RUNNING", "SubmissionFailed"), dead).outcome.kind is Kind.OUT_OF_MEMORY


def test_pods_without_a_node_wait_in_words() -> None:
    """Why a head has no node yet is told as the reason."""
    waiting = pod(node="", state={"waiting": {}}, conditions=(("PodScheduled", "False", "Unschedulable", "no cpu"),))
    seen = look(job("Initializing"), waiting)
    assert (seen.state, seen.reason, seen.detail) == (State.QUEUED, "Unschedulable", "Unschedulable: no cpu")


def test_the_head_is_where_it_runs_unless_another_pod_is_abroad() -> None:
    """Of head, worker and submitter the one in another country is told, so that it is stopped."""
    abroad = objects.node("n2", labels={names.JURISDICTION_LABEL: "DE"})
    home = objects.node()
    (seen,) = look(job("Running", "RUNNING"), pod(), pod(rayviews.SUBMITTER), n1=home, n2=abroad).whereabouts
    assert (seen.rank, seen.node, seen.country, seen.assurance) == (0, "n1", "FR", facts.Assurance.DECLARED)
    for role in (rayviews.WORKER, rayviews.SUBMITTER):
        pods = (pod(), pod(role, node="n2"))
        (seen,) = look(job("Running", "RUNNING"), *pods, n1=home, n2=abroad).whereabouts
        assert (seen.node, seen.country) == ("n2", "DE")


def test_a_rayjob_holds_what_all_its_pods_ask_for() -> None:
    """Head, workers and submitter count; marks and times are kept."""
    found = job("Complete", "SUCCEEDED", workers=2, ran=True, notes={names.ACCELERATORS_ANNOTATION: "4"})
    assert found.job.accelerators == 3 * 4
    assert found.job.cpu_milli == 3 * 2000 + rayjobs.SUBMITTER_CPU_MILLI
    assert found.job.memory_bytes == 3 * 2**30 + rayjobs.SUBMITTER_MEMORY_BYTES
    assert (found.name, found.version, found.job.pool, found.job.backend) == (str(objects.KEY), 7, "p", "gra")
    assert found.ran == dt.datetime(2026, 11, 22, 12, 0, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {}},
        {"metadata": None},
        {"spec": None},
        {"spec": {"rayClusterSpec": []}},
        {"status": "x"},
        {"status": {"message": 7, "rayJobInfo": "x", "jobStatus": {}}},
        {"spec": {"rayClusterSpec": {"workerGroupSpecs": [{"replicas": "many"}, 3]}}},
    ],
)
def test_what_a_cluster_sends_is_read_with_distrust(change: dict[str, Any]) -> None:
    """Malformed objects are none, or are kept without what cannot be read; none succeeds."""
    found = rayviews.rayjob({**raw(), **change})
    if found is not None:
        seen = look(found)
        assert seen.outcome is None or not seen.outcome.succeeded


def test_pods_are_known_by_what_they_are_there_for() -> None:
    """A pod of Ray has its role from the operator, one without is the submitter; others are nobody's."""
    labels = {names.JOB_LABEL: objects.JOB.lower(), names.ATTEMPT_LABEL: "1"}
    for extra, role in (({}, "submitter"), ({"ray.io/node-type": "head"}, "head")):
        found = rayviews.pod({"metadata": {"name": "a", "uid": "u", "labels": {**labels, **extra}}})
        assert found is not None
        assert (found.key, found.role, found.pod.job) == (str(objects.KEY), role, str(objects.KEY))
    assert rayviews.pod({"metadata": {"name": "a", "uid": "u", "labels": {}}}) is None
    assert rayviews.pod({"metadata": {"name": "a", "uid": "u", "labels": {**labels, "ray.io/node-type": "x"}}}) is None
