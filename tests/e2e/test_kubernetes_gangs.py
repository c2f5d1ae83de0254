"""All nodes of a gang or none, by the scheduler of a real cluster in which that is switched on."""

import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from backends.kubernetes import adapter as adapters
from orchestrator.domain import errors, ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters, fixtures, kwok, runs
from tests.e2e.test_kubernetes_faults import Site, State, look, until

GATES = ("--gate", "GenericWorkload=true", "--gate", "GangScheduling=true", "--api", "scheduling.k8s.io/v1alpha2=true")
GROUPS = "/apis/scheduling.k8s.io/v1alpha2"
full = pytest.mark.skipif(
    os.environ.get("COMITY_TEST_SIZE") != "full", reason="a cluster of its own: at full size only"
)


@pytest.fixture(scope="module")
def gated() -> Iterator[clusters.Cluster]:
    """Give a cluster whose scheduler knows gangs."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("the cluster that KUBECONFIG names is as it is")
    fixtures._prepare()
    joined = runs.join(f"g{secrets.token_hex(5)}", ("--name", "fr", "--nodes", "1", "--kwok", *GATES))
    try:
        yield joined.clusters["fr"]
    finally:
        joined.close_and_wait()


def at(cluster: clusters.Cluster, folder: pathlib.Path, **more: Any) -> Iterator[Site]:
    """Give a namespace whose pool is one fake node of 64 CPUs."""
    found = Site(cluster, folder, _kubernetes.namespace(cluster))
    first = f"steady-{found.namespace}-1"
    kwok.add_node(cluster, first, labels={"pool": found.namespace}, tainted=True)
    tolerated = {"key": kwok.ANNOTATION, "effect": "NoSchedule"}
    found.more = {"pools": {"p": {"nodeSelector": {"pool": found.namespace}, "tolerations": [tolerated]}}, **more}
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(cluster, found.namespace)
    cluster.kubectl("delete", "node", "--selector", f"pool={found.namespace}", "--wait=false")


@pytest.fixture
def site(gated: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace of the cluster whose scheduler knows gangs."""
    yield from at(gated, tmp_path, gang="workload")


def pair(site: Site) -> backends.SealedPlacement:
    """Return a gang of two nodes, of which one fills more than half of a fake one."""
    return site.placement(nodes=2, resources=jobs.Resources(cpu_milli=40_000))


def bound(site: Site) -> list[str]:
    """Return the nodes that pods of the namespace have."""
    return sorted(pod["spec"]["nodeName"] for pod in site.named("pods") if pod["spec"].get("nodeName"))


def unscheduled(site: Site) -> list[dict[str, Any]]:
    """Return pods of which the scheduler has said that it cannot place them."""
    return [
        pod
        for pod in site.named("pods")
        for one in pod["status"].get("conditions", ())
        if (one["type"], one["status"]) == ("PodScheduled", "False")
    ]


@full
def test_none_has_a_node_before_all_have(site: Site) -> None:
    """With room for one of two, neither is bound and the reason is told; with room for both, both run and meet."""
    adapter, placement = site.adapter(), pair(site)
    adapter.submit(placement)
    wait_until(lambda: len(unscheduled(site)) == 2, what="the scheduler has looked at both")
    assert bound(site) == []
    seen = look(adapter, placement)
    assert (seen.state, seen.reason) == (State.QUEUED, "Unschedulable"), seen
    second = f"steady-{site.namespace}-2"
    kwok.add_node(site.cluster, second, labels={"pool": site.namespace}, tainted=True)
    until(adapter, placement, State.RUNNING)
    assert bound(site) == [f"steady-{site.namespace}-1", second]


@full
def test_the_group_goes_with_its_job(site: Site) -> None:
    """One PodGroup an attempt, of as many as it has nodes; removed with the Job. One node needs none."""
    adapter, placement, single = site.adapter(), pair(site), site.placement()
    adapter.submit(placement)
    adapter.submit(single)
    (group,) = site.named("podgroups", GROUPS)
    assert group["metadata"]["name"] == placement.key
    assert group["spec"]["schedulingPolicy"] == {"gang": {"minCount": 2}}
    (owner,) = group["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Job", placement.key)
    site.cluster.kubectl("delete", "job", str(placement.key), "--namespace", site.namespace)
    wait_until(lambda: site.named("podgroups", GROUPS) == [], what="the group goes with its Job")


@full
def test_without_it_one_node_holds_its_room(gated: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """The difference: by the barrier alone, the one that fits has its node while the other waits."""
    places = at(gated, tmp_path)
    site = next(places)
    adapter, placement = site.adapter(), pair(site)
    adapter.submit(placement)
    wait_until(lambda: len(unscheduled(site)) == 1, what="one of them does not fit")
    assert bound(site) == [f"steady-{site.namespace}-1"]
    assert list(places) == []


def test_a_cluster_without_it_takes_no_gang(fr: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """Where the settings want it and the cluster has none, a gang is refused before anything is made; one node runs."""
    site = Site(fr, tmp_path, _kubernetes.namespace(fr), {"gang": "workload"})
    context = backends.AdapterContext("b", [sites.Pool("p")], str(tmp_path), "here", clocks.SystemClock().now)
    adapter = adapters.build(_kubernetes.settings(fr, site.namespace, gang="workload"), context)
    try:
        with pytest.raises(errors.PermanentError, match="podgroups") as raised:
            adapter.submit(site.placement(nodes=2))
        assert raised.value.retry is errors.RetryWhere.ELSEWHERE
        assert site.jobs() == []
        single = site.placement("true")
        adapter.submit(single)
        assert until(adapter, single, State.ENDED).key == ids.AttemptKey(single.key)
    finally:
        adapter.close()
        _kubernetes.remove(fr, site.namespace)
