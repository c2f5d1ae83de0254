"""What nodes, devices and foreign pods leave is what is offered; the API server is real, the nodes are fake."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.kubernetes import adapter as adapters
from backends.kubernetes import permissions
from orchestrator.domain import errors, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters, kwok
from tests.e2e.test_kubernetes_access import RBAC, account, granted, rules
from tests.e2e.test_kubernetes_faults import Site

DRIVER = "gpu.rooms.test"
CLASS = "gpu-rooms-test"
BIG = f'device.capacity["{DRIVER}"].memory.compareTo(quantity("80Gi")) >= 0'
Look = Callable[..., offers.Offer]


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


@pytest.fixture
def pool(site: Site) -> Iterator[str]:
    """Give a pool of two fake nodes, named as its namespace is."""
    for number in (1, 2):
        kwok.add_node(site.cluster, f"steady-{site.namespace}-{number}", labels={"pool": site.namespace}, tainted=True)
    yield site.namespace
    for number in (1, 2):
        node = f"steady-{site.namespace}-{number}"
        site.cluster.kubectl("delete", "node", node, "--wait=false")
        site.cluster.kubectl("delete", "resourceslice", f"{node}-gpu-rooms-test", "--ignore-not-found")


def settings(pool: str, **more: Any) -> dict[str, Any]:
    """Return settings that choose the fake nodes."""
    tolerated = {"key": kwok.ANNOTATION, "effect": "NoSchedule"}
    return {"pools": {"p": {"nodeSelector": {"pool": pool}, "tolerations": [tolerated]}}, **more}


def built(site: Site, accelerator: str | None = None, **more: Any) -> adapters.KubernetesAdapter:
    """Return an adapter for one pool."""
    pools = [sites.Pool("p", accelerator=accelerator)]
    context = backends.AdapterContext("b", pools, str(site.folder), "here", clocks.SystemClock().now)
    found = adapters.build(_kubernetes.settings(site.cluster, site.namespace, **more), context)
    site.made.append(found)
    return found


def offer(adapter: adapters.KubernetesAdapter) -> offers.Offer:
    """Return its only offer."""
    (found,) = adapter.offers()
    return found


def foreign(site: Site, node: str, cpu: str) -> None:
    """Let somebody else run a pod on a node."""
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
    body = {
        "metadata": {"name": f"other-{node}"},
        "spec": {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]},
    }
    site.cluster.api.create("/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", **body})


def test_devices_of_a_class_are_counted_where_their_driver_publishes_them(site: Site, pool: str) -> None:
    """Devices that the class and its selectors take, of the nodes of the pool; less what our own live jobs ask for."""
    first = f"steady-{pool}-1"
    attributes = {"productName": {"string": "H200"}}
    kwok.add_devices(site.cluster, first, driver=DRIVER, count=4, attributes=attributes, memory="141Gi")
    kwok.add_devices(site.cluster, f"steady-{pool}-2", driver=DRIVER, count=2, attributes=attributes, memory="40Gi")
    kwok.add_device_class(site.cluster, CLASS, driver=DRIVER)

    def seen(*selectors: str) -> offers.Offer:
        device = {"deviceClass": CLASS, **({"selectors": list(selectors)} if selectors else {})}
        return offer(built(site, "nvidia-h200", **settings(pool, accelerators={"nvidia-h200": device})))

    found = seen()
    assert found.largest_node is not None
    assert (found.total.accelerators, found.free.accelerators, found.largest_node.accelerators) == (6, 6, 4)
    assert "devices that others hold are not seen" in found.detail
    assert seen(BIG).total.accelerators == 4
    unread = seen("device.attributes['gpu.rooms.test'].productName.startsWith('H')")
    assert unread.total.accelerators == 6
    assert f"selectors of {CLASS} are not all read" in unread.detail
    adapter = built(site, "nvidia-h200", **settings(pool, accelerators={"nvidia-h200": {"deviceClass": CLASS}}))
    assert offer(adapter).free.accelerators == 6
    site.cluster.kubectl("delete", "resourceslice", f"{first}-gpu-rooms-test")
    wait_until(lambda: offer(adapter).total.accelerators == 2, what="what is gone is not offered")


def test_a_class_that_is_not_there_offers_nothing(site: Site, pool: str) -> None:
    """Nobody has declared it: no device, and the offer says which class."""
    device = {"nvidia-h200": {"deviceClass": "nobody-knows-it"}}
    found = offer(built(site, "nvidia-h200", **settings(pool, accelerators=device)))
    assert found.total.accelerators == 0
    assert "no DeviceClass nobody-knows-it" in found.detail


def test_what_pods_of_others_take_is_not_offered(site: Site, pool: str) -> None:
    """With ``seeOthers`` a foreign pod on a node takes from its room, and gives it back; without, it is not seen."""
    blind, seeing = built(site, **settings(pool)), built(site, **settings(pool, seeOthers=True))
    node = f"steady-{pool}-1"
    wait_until(lambda: offer(seeing).free.cpu_milli == 128_000, what="both nodes")
    before = offer(seeing)
    assert before.total.cpu_milli == 128_000
    foreign(site, node, "60")
    try:
        wait_until(lambda: offer(seeing).free.cpu_milli == 68_000, what="what is taken")
        found = offer(seeing)
        assert (found.total.cpu_milli, before.free.memory_bytes - found.free.memory_bytes) == (128_000, 2**30)
        assert "is subtracted" in found.detail
        assert offer(blind).free.cpu_milli == 128_000
        assert "is not seen" in offer(blind).detail
    finally:
        site.cluster.kubectl("delete", "pod", f"other-{node}", "--wait=false", "--force")
    wait_until(lambda: offer(seeing).free.cpu_milli == 128_000, what="what is given back")


def test_our_own_jobs_are_counted_once(site: Site, pool: str) -> None:
    """A pod of ours is no pod of others: its Job is counted already."""
    seeing = built(site, **settings(pool, seeOthers=True))
    placement = site.placement("true")
    seeing.submit(placement)
    wait_until(lambda: [one for one in site.named("pods") if one["spec"].get("nodeName")], what="it has a node")
    found = offer(seeing)
    assert placement.key in found.counted
    assert found.total.slots is not None
    assert found.free.slots == found.total.slots - 1


def test_who_may_not_see_others_is_told(site: Site) -> None:
    """The right is named before anything is offered."""
    kubeconfig = account(site, "narrow")
    settings_ = _kubernetes.settings(site.cluster, site.namespace, seeOthers=True) | {"kubeconfig": kubeconfig}
    context = backends.AdapterContext("b", [sites.Pool("p")], str(site.folder), "here", clocks.SystemClock().now)
    adapter = adapters.build(settings_, context)
    site.made.append(adapter)
    with pytest.raises(errors.BackendError, match="list pods"):
        adapter.offers()


def test_the_stated_rights_are_enough_for_all_that_is_optional(site: Site, pool: str) -> None:
    """An account with the table's rights and no more does all that settings can wish."""
    kubeconfig = account(site, "wide")
    api, space, unique = site.cluster.api, site.namespace, f"{site.namespace}-more"
    subject = {"kind": "ServiceAccount", "name": "wide", "namespace": space}
    wide = (*permissions.CLUSTER_OPTIONAL, *permissions.SEE_OTHERS)
    for where, kind, given in (
        (f"{RBAC}/namespaces/{space}/", "Role", permissions.OPTIONAL),
        (f"{RBAC}/", "ClusterRole", wide),
    ):
        api.create(f"{where}{kind.lower()}s", {"metadata": {"name": unique}, "rules": rules(given)})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": unique}
        binding = {"metadata": {"name": unique}, "roleRef": reference, "subjects": [subject]}
        api.create(f"{where}{kind.lower()}bindings", binding)
        granted(site, "wide", rules(given), everywhere=kind == "ClusterRole")
    more = settings(
        pool,
        seeOthers=True,
        networkPolicy="enforced",
        gang="workload",
        accelerators={"nvidia-h200": {"deviceClass": CLASS}},
        kubeconfig=kubeconfig,
    )
    adapter = built(site, "nvidia-h200", **more)
    assert offer(adapter).free.cpu_milli == 128_000
    placement = site.placement("true", egress=jobs.Egress(("192.0.2.0/24",)))
    adapter.submit(placement)
    adapter._launches._swept_s = float("-inf")
    assert [ref.key for ref in adapter.list_owned()] == [placement.key]
    (policy,) = site.named("networkpolicies", "/apis/networking.k8s.io/v1")
    assert policy["metadata"]["ownerReferences"][0]["name"] == placement.key
    if site.cluster.own:  # only a cluster of our own tells what was asked of it
        # The namespace itself is read too, and counts as in a namespace: its own.
        stated = _kubernetes.single((*permissions.CLUSTER, *wide)) - {("", "namespaces", "get")}
        done: set[tuple[str, str, str]] = set()

        def all_used() -> bool:
            done.update(_kubernetes.called(site.cluster, space, "wide", everywhere=True))
            return done >= stated

        wait_until(all_used, seconds=120, what="each right that holds everywhere is used")
        assert done == stated
