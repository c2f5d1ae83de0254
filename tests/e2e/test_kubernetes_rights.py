"""The rights of the table are those that are used: stated rights held against what the API server wrote down.

``test_kubernetes_access`` shows that they are enough. Here each (group, resource, verb) is used by what the adapter
does, or stands in ``ELSEWHERE`` with where it is.

What holds everywhere and only by a setting (``CLUSTER_OPTIONAL``, ``SEE_OTHERS``) is counted in
``test_kubernetes_rooms``, and ``DECISIONS`` in ``test_placement_decisions``, each where it is used.
"""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from backends.kubernetes import adapter as adapters
from backends.kubernetes import permissions
from orchestrator.domain import errors, ids, jobs
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.conftest import ROOT
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes_access import account, built
from tests.e2e.test_kubernetes_faults import Site, State, until
from tests.e2e.test_kubernetes_outputs import kept, read

Used = tuple[str, str, str]
STATED = permissions.NAMESPACED + permissions.OPTIONAL + permissions.CLUSTER


class Elsewhere(NamedTuple):
    """Rights that this test does not use: when they are, the file of the test that does, and a word of it."""

    verbs: tuple[str, ...]
    when: str
    test: str
    word: str


ALL = ("create", "delete", "get", "list", "patch", "watch")
ELSEWHERE = {
    ("", "events"): Elsewhere(("list",), "where the cluster refuses pods", "test_kubernetes_access.py", "no_pods"),
    ("fence.comity.dev", "decidedjobs"): Elsewhere(
        ("create", "get", "patch"), "with the second fence", "test_second_fence.py", "fence"
    ),
    ("kueue.x-k8s.io", "workloads"): Elsewhere(
        ("list", "watch"), "with a queue of Kueue", "test_kubernetes_kueue.py", "queue"
    ),
    ("ray.io", "rayjobs"): Elsewhere(ALL, "with rayjobs", "test_kubernetes_rayjobs.py", "rayjobs"),
    ("resource.k8s.io", "resourceclaimtemplates"): Elsewhere(
        ("create", "get", "patch"), "with device classes", "test_kubernetes_access.py", "deviceClass"
    ),
    ("scheduling.k8s.io", "podgroups"): Elsewhere(
        ("create", "delete", "get", "list", "patch"), "with gang: workload", "test_kubernetes_gangs.py", "podgroups"
    ),
}
FENCE = backends.Fence(ids.Term(1), 1)


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace with a claim, of a cluster whose API server writes down who asked for what."""
    if not fr.own:
        pytest.skip("only a cluster of our own tells what was asked of it")
    found = Site(fr, tmp_path, _kubernetes.namespace(fr), kept() | {"networkPolicy": "unchecked"})
    _kubernetes.claim(fr, found.namespace)
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)
    _kubernetes.remove_claim(fr, found.namespace)


def stated() -> set[Used]:
    """Return every right of the table."""
    return {(group, resource, verb) for group, resource, verbs in STATED for verb in verbs}


def used(site: Site, name: str) -> set[Used]:
    """Return what an account was allowed to do and did; fails where anything was forbidden."""
    found = set()
    for event in site.cluster.calls_of(f"system:serviceaccount:{site.namespace}:{name}"):
        what = event.get("objectRef")
        if what is None or what["resource"].startswith("selfsubject"):
            continue
        resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
        right = (what.get("apiGroup", ""), resource, event["verb"])
        code = event.get("responseStatus", {}).get("code", 200)
        assert code != 403, (right, event["responseStatus"])
        found.add(right)
    return found


def left_behind(site: Site, adapter: adapters.KubernetesAdapter) -> None:
    """Leave what a killed launch leaves, two hours ago, for the next listing to sweep."""
    (mine, *_) = [one["metadata"]["labels"] for one in site.jobs()]
    lost = {"metadata": {"name": "01lost-1-0", "labels": mine}}
    site.cluster.api.create(f"/api/v1/namespaces/{site.namespace}/configmaps", lost)
    rule = {"metadata": {"name": "01lost-1", "labels": mine}, "spec": {"podSelector": {"matchLabels": {"no": "pod"}}}}
    site.cluster.api.create(f"/apis/networking.k8s.io/v1/namespaces/{site.namespace}/networkpolicies", rule)
    later = clocks.SystemClock().now() + dt.timedelta(hours=2)
    launches = adapter._launches
    launches._context = dataclasses.replace(launches._context, now=lambda: later)
    launches._swept_s = float("-inf")


def drive(site: Site, adapter: adapters.KubernetesAdapter) -> None:
    """Use each verb of the port on what it can be used on."""
    assert len(adapter.offers()) == 1
    ending = site.placement("echo hello > o; cat f", files=(("f", b"kept\n"),), outputs=(jobs.Output("o"),))
    again = site.placement("true", files=(("f", b"kept\n"),))
    ruled = site.placement("true", egress=jobs.Egress(enforcement=jobs.Enforcement.UNCHECKED))
    gang, staying, never = site.placement("true", nodes=2), site.placement(), site.placement()
    adapter.stop(backends.AttemptRef(never.key), FENCE, dt.timedelta(0))
    for placement in (ending, again, ruled, gang, staying):
        adapter.submit(placement)
    adapter.submit(dataclasses.replace(staying))
    taken = site.placement("true", egress=jobs.Egress(enforcement=jobs.Enforcement.UNCHECKED))
    rule = {"metadata": {"name": str(taken.key)}, "spec": {"podSelector": {"matchLabels": {"no": "pod"}}}}
    site.cluster.api.create(f"/apis/networking.k8s.io/v1/namespaces/{site.namespace}/networkpolicies", rule)
    with pytest.raises(errors.BackendError, match="conflict"):
        adapter.submit(taken)
    for placement in (ending, again, ruled, gang):
        until(adapter, placement, State.ENDED)
    ref = backends.AttemptRef(ending.key)
    adapter.read_logs(ref, cursor=None, node=None, limit=1000)
    assert read(adapter, ref, "o") == b"hello\n"
    adapter.stop(backends.AttemptRef(staying.key), FENCE, dt.timedelta(0))
    until(adapter, staying, State.ENDED)
    left_behind(site, adapter)
    wait_until(lambda: adapter.list_owned() == [], what="nothing that lives")
    for placement in (ending, again, ruled, gang, staying, never):
        adapter.forget(backends.AttemptRef(placement.key))
    until(adapter, ending, State.GONE)
    adapter.identity()


def test_each_right_is_used(site: Site) -> None:
    """None is asked for in vain, and nothing that is done was forbidden or is not in the table."""
    adapter = built(site, account(site, "counted", more=True), **site.more)
    drive(site, adapter)
    done = used(site, "counted")
    assert done <= stated(), sorted(done - stated())
    elsewhere = {(group, resource, verb) for (group, resource), one in ELSEWHERE.items() for verb in one.verbs}
    assert stated() - done == elsewhere, (sorted(stated() - done - elsewhere), sorted(elsewhere & done))


@pytest.mark.parametrize("right", sorted(ELSEWHERE), ids="-".join)
def test_what_is_used_elsewhere_is_there(right: tuple[str, str]) -> None:
    """The tests that are named exist, and speak of it."""
    one = ELSEWHERE[right]
    assert one.word in (ROOT / "tests" / "e2e" / one.test).read_text(), one
