"""Jobs in a queue of Kueue: why they wait there, that it takes them back, and a stop while it holds them."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from backends.kubernetes import adapter as adapters
from orchestrator.ports import backends
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters, extras
from tests.e2e.test_kubernetes import Place, make_plane, shell
from tests.e2e.test_kubernetes_faults import LONG, Kind, Site, State, look, until

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
QUEUED = {"pools": {"p": {"queue": "small"}}}
HALF = {"cpus": "600m"}


@pytest.fixture(scope="module")
def kueue(lone: clusters.Cluster) -> clusters.Cluster:
    """Give a cluster in which Kueue runs."""
    extras.start_kueue(lone)
    return lone


@pytest.fixture
def site(kueue: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace with a queue of one CPU."""
    space = _kubernetes.namespace(kueue)
    extras.add_queue(kueue, space, "small", quota={"cpu": "1", "memory": "1Gi"})
    found = Site(kueue, tmp_path, space, dict(QUEUED))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(kueue, found.namespace)


def half(site: Site) -> backends.SealedPlacement:
    """Return a placement that asks for more than half of the queue."""
    made = site.placement(LONG)
    spec = dataclasses.replace(made.spec, resources=dataclasses.replace(made.spec.resources, cpu_milli=600))
    return dataclasses.replace(made, spec=spec)


def running(site: Site, adapter: adapters.KubernetesAdapter) -> backends.SealedPlacement:
    """Return a placement that runs."""
    made = half(site)
    adapter.submit(made)
    until(adapter, made, State.RUNNING)
    return made


def hold(cluster: clusters.Cluster, queue: str, policy: str | None) -> None:
    """Stop a queue of the whole cluster, or let it go on: ``HoldAndDrain`` takes back what it has admitted."""
    cluster.api.merge(f"{KUEUE}/clusterqueues/{queue}", {"spec": {"stopPolicy": policy}})


def test_a_queue_says_why_it_lets_a_job_wait(site: Site) -> None:
    """The second job is told to wait for quota in Kueue's words, and runs once the first is stopped."""
    adapter = site.adapter()
    first, second = running(site, adapter), half(site)
    adapter.submit(second)
    seen = wait_until(lambda: (one := look(adapter, second)).reason == "WaitsForQuota" and one, what="the reason")
    assert seen.state is State.QUEUED
    assert "queue small: " in seen.detail
    wait_until(lambda: "insufficient unused quota for cpu" in look(adapter, second).detail, what="Kueue's words")
    adapter.stop(backends.AttemptRef(first.key), first.fence, first.stop_grace)
    until(adapter, second, State.RUNNING)


def test_what_a_queue_takes_back_is_preempted(site: Site) -> None:
    """A queue that is drained ends the attempt as preempted, with Kueue's reason; it never starts a second time."""
    adapter = site.adapter()
    made = running(site, adapter)
    hold(site.cluster, f"{site.namespace}-small", "HoldAndDrain")
    seen = until(adapter, made, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.PREEMPTED
    assert "ClusterQueueStopped" in seen.outcome.detail
    hold(site.cluster, f"{site.namespace}-small", "None")
    other = running(site, adapter)
    assert [pod["metadata"]["labels"]["comity.dev/job"] for pod in site.named("pods")] == [str(other.job).lower()]
    again = look(site.adapter(), made)
    assert again.outcome is not None
    assert again.outcome.kind is Kind.PREEMPTED


def test_one_of_higher_priority_preempts(site: Site) -> None:
    """Kueue preempts the weaker of two for a job of more weight: its own outcome, with Kueue's word for it."""
    name, base = f"{site.namespace}-small", f"{KUEUE}/clusterqueues"
    site.cluster.api.merge(f"{base}/{name}", {"spec": {"preemption": {"withinClusterQueue": "LowerPriority"}}})
    adapter = site.adapter()
    made = running(site, adapter)
    priority = f"{site.namespace}-high"
    site.cluster.api.create(
        f"{KUEUE}/workloadpriorityclasses",
        {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "WorkloadPriorityClass",
            "metadata": {"name": priority},
            "value": 1000,
        },
    )
    strong = {
        "metadata": {
            "name": "strong",
            "labels": {"kueue.x-k8s.io/queue-name": "small", "kueue.x-k8s.io/priority-class": priority},
        },
        "spec": {
            "suspend": True,
            "template": site.jobs()[0]["spec"]["template"] | {"metadata": {}},
        },
    }
    site.cluster.api.create(f"/apis/batch/v1/namespaces/{site.namespace}/jobs", strong)
    seen = until(adapter, made, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, "Preempted" in seen.outcome.detail) == (Kind.PREEMPTED, True), seen.outcome


def test_a_stop_while_a_queue_holds_it(site: Site) -> None:
    """A job that waits in a queue is over as soon as it is stopped; that it is admitted later starts nothing."""
    adapter = site.adapter()
    first, second = running(site, adapter), half(site)
    adapter.submit(second)
    wait_until(lambda: look(adapter, second).reason == "WaitsForQuota", what="the reason")
    adapter.stop(backends.AttemptRef(second.key), second.fence, second.stop_grace)
    seen = until(adapter, second, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED
    adapter.stop(backends.AttemptRef(first.key), first.fence, first.stop_grace)
    until(adapter, first, State.ENDED)
    third = running(site, adapter)
    held = {pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] for pod in site.named("pods")}
    assert str(second.key) not in held
    assert str(third.key) in held
    found = look(site.adapter(), second)
    assert found.outcome is not None
    assert found.outcome.kind is Kind.STOPPED


def test_a_job_in_a_queue_through_a_server(kueue: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """Whoever submitted it reads why it waits, in Kueue's words; what Kueue takes back is tried again where wished."""
    place = Place(kueue)
    extras.add_queue(kueue, place.namespace, "small", quota={"cpu": "1", "memory": "1Gi"})
    plane = make_plane(tmp_path, place)
    try:
        assert plane.put(place.declared(settings=QUEUED)).status in (200, 201)
        hold(kueue, f"{place.namespace}-small", "Hold")
        retry = {"attempts": 2, "on": ["preempted"]}
        id = plane.submit(shell("queued", "sleep 10", resources=HALF, retry=retry)).json["metadata"]["id"]

        def condition() -> Any:
            told = plane.job(id)["status"].get("conditions") or []
            return next((one for one in told if one["type"] == "SiteWaiting" and one["status"]), None)

        found = wait_until(lambda: (one := condition()) and one["reason"] == "WaitsForQuota" and one, what="the wait")
        assert "queue small" in found["message"]
        hold(kueue, f"{place.namespace}-small", "None")
        wait_until(lambda: plane.job(id)["status"]["phase"] == "RUNNING", what="running")
        assert condition() is None
        hold(kueue, f"{place.namespace}-small", "HoldAndDrain")
        wait_until(lambda: plane.job(id)["status"]["attempts"][0].get("reason") == "Preempted", what="preempted")
        hold(kueue, f"{place.namespace}-small", "None")
        ended = plane.ended(id)["status"]
        assert (ended["phase"], len(ended["attempts"])) == ("SUCCEEDED", 2), ended
    finally:
        plane.close()
        _kubernetes.remove(kueue, place.namespace)
