"""What a Job, its pods and their nodes say is told as one observation of the port."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from backends.kubernetes import names, observe, payloads
from orchestrator.domain import facts, jobs, offers
from tests.unit.backends.kubernetes import objects

State, Kind = offers.ObservedState, jobs.OutcomeKind
FAILED = (("Failed", "BackoffLimitExceeded"),)


def look(job: Any, *pods: Any, nodes: Any = None, **more: Any) -> Any:
    return observe.observation(job, pods, nodes or {"n1": objects.node()}, objects.wanted(**more))


@pytest.mark.parametrize(
    ("job", "pods", "state"),
    [
        (objects.job(), [], State.STARTING),
        (objects.job(suspend=True), [], State.QUEUED),
        (objects.job(active=1), [objects.pod(node="", state={"waiting": {}})], State.QUEUED),
        (objects.job(active=1), [objects.pod(state={"waiting": {"reason": "ContainerCreating"}})], State.STARTING),
        (objects.job(active=1), [objects.pod()], State.RUNNING),
        (objects.job(active=1), [objects.pod(state=objects.ended(0), phase="Succeeded")], State.RUNNING),
        (objects.job(conditions=(("SuccessCriteriaMet", ""),)), [objects.pod()], State.RUNNING),
        (objects.job(conditions=(("FailureTarget", ""),)), [objects.pod()], State.RUNNING),
        (objects.job(conditions=(("NobodyKnowsThis", ""),)), [objects.pod()], State.RUNNING),
    ],
)
def test_what_is_not_over_is_told_by_its_pods(job: Any, pods: list[Any], state: offers.ObservedState) -> None:
    """Interim and unknown conditions end nothing; a pod without a node waits."""
    seen = look(job, *pods)
    assert (seen.state, seen.outcome) == (state, None)


def test_why_it_waits_is_said_in_the_clusters_words() -> None:
    """A pod that no node takes, and an image that does not come, each say so."""
    unfit = objects.pod(
        node="",
        state={"waiting": {}},
        conditions=[("PodScheduled", "False", "Unschedulable", "0/2 nodes are available")],
    )
    assert look(objects.job(active=1), unfit).detail == "Unschedulable: 0/2 nodes are available"
    pulled = objects.pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}})
    assert look(objects.job(active=1), pulled).detail == "ImagePullBackOff: no such host"


def test_a_gang_runs_when_every_node_was_released() -> None:
    """Nodes that wait for each other are not running yet."""
    job = objects.job(nodes=2, active=2)
    released = {names.GANG_ANNOTATION: "10.0.0.1,10.0.0.2"}
    assert look(job, objects.pod(0)).state is State.STARTING
    assert look(job, objects.pod(0), objects.pod(1)).state is State.STARTING
    assert look(job, objects.pod(0, notes=released)).state is State.STARTING
    assert look(job, objects.pod(0, notes=released), objects.pod(1)).state is State.STARTING
    assert look(job, objects.pod(0, notes=released), objects.pod(1, notes=released)).state is State.RUNNING


@pytest.mark.parametrize(
    ("pod", "kind", "code", "signal", "word"),
    [
        ({"state": objects.ended(3)}, Kind.EXITED, 3, None, "exit code 3"),
        ({"state": objects.ended(42)}, Kind.EXITED, 42, None, "no use"),
        ({"state": objects.ended(137, reason="OOMKilled")}, Kind.OUT_OF_MEMORY, 137, None, "memory"),
        ({"state": objects.ended(137)}, Kind.SIGNALED, None, 9, "not by us"),
        ({"state": objects.ended(139, signal=11)}, Kind.SIGNALED, None, 11, "signal 11"),
        (
            {"state": objects.ended(128, reason="StartError", message="not found")},
            Kind.START_FAILED,
            None,
            None,
            "found",
        ),
        ({"state": objects.ended(1, message=payloads.GANG_TIMEOUT_TEXT)}, Kind.START_FAILED, None, None, "in time"),
        (
            {"reason": "Evicted", "message": "low on memory", "state": {"waiting": {}}},
            Kind.PREEMPTED,
            None,
            None,
            "low on",
        ),
        ({"reason": "NodeAffinity", "state": {"waiting": {}}}, Kind.START_FAILED, None, None, "NodeAffinity"),
    ],
)
def test_each_end_has_its_name(
    pod: dict[str, Any], kind: jobs.OutcomeKind, code: int | None, signal: int | None, word: str
) -> None:
    """Exit, signal, memory, eviction and a failed start are told apart."""
    found = look(objects.job(conditions=FAILED), objects.pod(phase="Failed", **pod)).outcome
    assert (found.kind, found.exit_code, found.signal) == (kind, code, signal)
    assert word in found.detail


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("PreemptionByScheduler", Kind.PREEMPTED),
        ("EvictionByEvictionAPI", Kind.PREEMPTED),
        ("TerminationByKubelet", Kind.PREEMPTED),
        ("DeletionByTaintManager", Kind.LOST),
        ("DeletionByPodGC", Kind.LOST),
    ],
)
def test_a_disruption_is_no_failure_of_the_job(reason: str, kind: jobs.OutcomeKind) -> None:
    """Whoever disturbed a pod is named; its exit code, that of being killed, is not the job's."""
    pod = objects.pod(
        phase="Failed", state=objects.ended(137), conditions=[("DisruptionTarget", "True", reason, "because")]
    )
    found = look(objects.job(conditions=(("Failed", "PodFailurePolicy"),)), pod).outcome
    assert (found.kind, found.exit_code, found.detail) == (kind, None, f"{reason}: because")


def test_the_first_to_fail_speaks_for_the_gang() -> None:
    """Of two nodes the one that failed by itself counts, not the one that was told to end because of it."""
    told = objects.pod(0, phase="Failed", deleting=True, state=objects.ended(143, at="2026-11-22T12:00:08Z"))
    own = objects.pod(1, phase="Failed", state=objects.ended(7, at="2026-11-22T12:00:09Z"))
    found = look(objects.job(nodes=2, conditions=FAILED), told, own).outcome
    assert (found.exit_code, found.detail) == (7, "node 1: exit code 7")


def test_a_mark_came_before_the_end() -> None:
    """A stop is set only on what is not over: what it ended with then, also 0, is no success of its own."""
    stopped = {names.STOPPED_ANNOTATION: "2026-11-22T12:00:00Z"}
    for conditions in ((("Complete", ""),), FAILED):
        found = look(
            objects.job(conditions=conditions, notes=stopped), objects.pod(phase="Failed", state=objects.ended(5))
        ).outcome
        assert (found.kind, found.exit_code) == (Kind.STOPPED, None)
    assert look(objects.job(conditions=(("Complete", ""),))).outcome.succeeded


def test_ending_well_because_it_was_evicted_is_no_success() -> None:
    """A program that says 0 when it is told to end has not done its work; one that was done before has."""
    evicted = [("DisruptionTarget", "True", "EvictionByEvictionAPI", "because")]
    job = objects.job(conditions=(("Complete", ""),))
    told = objects.pod(phase="Succeeded", state=objects.ended(0), conditions=evicted, since="2026-11-22T12:00:08Z")
    assert look(job, dataclasses.replace(told, gone=True)).outcome.kind is Kind.PREEMPTED
    after = objects.pod(phase="Succeeded", state=objects.ended(0), conditions=evicted, since="2026-11-22T12:00:10Z")
    assert look(job, after).outcome.succeeded


def test_a_pod_that_is_gone_runs_no_more() -> None:
    """The last that was seen of a pod tells how it ended, and where it was, never that it runs."""
    last = dataclasses.replace(objects.pod(), gone=True)
    seen = look(objects.job(active=1), last)
    assert (seen.state, seen.whereabouts[0].node) == (State.STARTING, "n1")


@pytest.mark.parametrize(
    ("notes", "kind"),
    [
        ({}, Kind.TIMED_OUT),
        ({names.STOPPED_ANNOTATION: "x"}, Kind.STOPPED),
        ({names.GAVE_UP_ANNOTATION: "ImagePullBackOff"}, Kind.START_FAILED),
        ({names.GAVE_UP_ANNOTATION: "no room: Unschedulable"}, Kind.NO_ROOM),
    ],
)
def test_a_deadline_is_told_by_who_set_it(notes: dict[str, str], kind: jobs.OutcomeKind) -> None:
    """Time that ran out, a stop, and an attempt that could not begin all end by a deadline."""
    job = objects.job(conditions=(("Failed", "DeadlineExceeded"),), notes=notes)
    assert look(job, objects.pod(phase="Failed", state=objects.ended(143))).outcome.kind is kind


def test_a_fence_is_over_at_once() -> None:
    """A Job that was made only to keep a name from being used has ended, stopped before it began."""
    found = look(objects.job(suspend=True, notes={names.STOPPED_ANNOTATION: "x"}))
    assert (found.state, found.outcome.kind) == (State.ENDED, Kind.STOPPED)
    busy = look(objects.job(suspend=True, active=1, notes={names.STOPPED_ANNOTATION: "x"}), objects.pod())
    assert busy.outcome is None


def test_an_end_without_pods_is_lost() -> None:
    """A Job that failed and has no pod left says what it knows, and is no failure of the program."""
    found = look(objects.job(conditions=FAILED)).outcome
    assert found.kind is Kind.LOST
    assert "BackoffLimitExceeded" in found.detail


def test_a_node_that_does_not_answer_is_unknown() -> None:
    """A pod that is being deleted on a silent node may still run: nobody says that it ended."""
    silent = {"n1": objects.node(ready=False)}
    assert look(objects.job(active=1), objects.pod(deleting=True), nodes=silent).state is State.UNKNOWN
    assert look(objects.job(active=1), objects.pod(), nodes=silent).state is State.RUNNING


def test_the_newest_pod_of_a_rank_counts() -> None:
    """Where somebody made another pod of the same rank, the older one is history."""
    old = objects.pod(0, name="a", phase="Failed", state=objects.ended(9), created="2026-11-22T12:00:00Z")
    assert look(objects.job(active=1), objects.pod(0, name="b"), old).state is State.RUNNING


def test_where_it_runs_is_told_with_its_source() -> None:
    """A label is declared; an agreeing provider id documents it; a differing one is what is reported."""
    second = {"secondSource": {"providerIds": {"cloud://FR/": "FR", "cloud://FR/de-": "DE"}}}
    (alone,) = look(objects.job(), objects.pod()).whereabouts
    assert (alone.node, alone.country, alone.assurance) == ("n1", "FR", facts.Assurance.DECLARED)
    assert alone.image_digest == "sha256:" + "a" * 64
    agreeing = {"n1": objects.node(provider="cloud://FR/a")}
    (both,) = look(objects.job(), objects.pod(), nodes=agreeing, **second).whereabouts
    assert (both.country, both.assurance) == ("FR", facts.Assurance.DOCUMENTED)
    lying = {"n1": objects.node(provider="cloud://FR/de-7")}
    (other,) = look(objects.job(), objects.pod(), nodes=lying, **second).whereabouts
    assert (other.country, other.source) == ("DE", f"providerID; label {names.JURISDICTION_LABEL} says FR")


def test_where_it_runs_is_told_by_address_and_zone_too() -> None:
    """The longest network counts; a zone, which a kubelet may set, is no more than declared."""
    networks = {"secondSource": {"addresses": {"192.0.2.0/24": "FR", "192.0.2.0/29": "DE"}}}
    (found,) = look(objects.job(), objects.pod(), **networks).whereabouts
    assert (found.country, found.assurance) == ("DE", facts.Assurance.DOCUMENTED)
    zones = {"secondSource": {"zones": {"par-1": "FR"}}}
    nodes = {"n1": objects.node(labels={"topology.kubernetes.io/zone": "par-1"})}
    (zone,) = look(objects.job(), objects.pod(), nodes=nodes, **zones).whereabouts
    assert (zone.country, zone.assurance) == ("FR", facts.Assurance.DECLARED)


def test_what_is_hopeless_is_given_up_in_its_time() -> None:
    """A name that is no image never comes; one that a registry does not give now may come later."""
    patience = dt.timedelta(seconds=300)
    never = objects.pod(state={"waiting": {"reason": "ErrImageNeverPull"}})
    later = objects.pod(state={"waiting": {"reason": "ImagePullBackOff"}})
    assert observe.hopeless(never, objects.NOW, patience)
    assert not observe.hopeless(later, objects.NOW + patience, patience)
    assert observe.hopeless(later, objects.NOW + 2 * patience, patience)
    assert not observe.hopeless(objects.pod(), objects.NOW + 2 * patience, patience)
