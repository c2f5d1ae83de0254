"""What a pod asks of its node is added up as the scheduler does it; pods of our own Jobs are told apart."""

from typing import Any

import pytest

from backends.kubernetes import client, holdings, names, others, rooms
from orchestrator.domain import sites
from tests.unit.backends.kubernetes import objects


def container(cpu: str | None = None, limit: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a container that asks for CPUs."""
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    limits = {"limits": {"cpu": limit}} if limit else {}
    return {"name": "c", "resources": {**requests, **limits}, **more}


@pytest.mark.parametrize(
    ("spec", "milli"),
    [
        ({"containers": [container("1"), container("500m")]}, 1500),
        ({"containers": [container(limit="2")]}, 2000),
        ({"containers": [container("1", limit="2")]}, 1000),
        ({"containers": [container("1")], "initContainers": [container("3")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, 2000),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1", restartPolicy="Always"), container("3")],
            },
            4000,
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "3"}}}, 3000),
        ({"containers": [None, 3, {"resources": 4}]}, 0),
        ({"containers": "x", "initContainers": {}}, 0),
    ],
)
def test_requests_are_added_as_the_scheduler_does(spec: Any, milli: int) -> None:
    """Containers together, or the largest that begins before; sidecars stay; overhead comes on top."""
    assert others.asks(spec).get("cpu", 0) == milli


def pod(space: str = "jobs", node: str | None = "n1", **labels: str) -> dict[str, Any]:
    """Return a pod."""
    named = {"nodeName": node} if node else {}
    return {
        "metadata": {"name": "x", "namespace": space, "labels": labels, "resourceVersion": "3"},
        "spec": {"containers": [], **named},
    }


OURS = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.BACKEND_LABEL: "gra", names.INSTALLATION_LABEL: "here"}


@pytest.mark.parametrize(
    ("raw", "mine"),
    [
        (pod(**OURS), True),
        (pod("elsewhere", **OURS), False),
        (pod(**{**OURS, names.BACKEND_LABEL: "other"}), False),
        (pod(**{**OURS, names.INSTALLATION_LABEL: "other"}), False),
        (pod(), False),
    ],
)
def test_only_pods_of_this_backend_are_ours(raw: Any, mine: bool) -> None:
    """Another namespace, backend or installation is somebody else."""
    found = others.use(raw, "gra", "here", "jobs")
    assert found is not None
    assert found.mine is mine


def test_a_pod_without_a_node_holds_nothing() -> None:
    """So does what is no pod."""
    assert others.use(pod(node=None), "gra", "here", "jobs") is None
    assert others.use({}, "gra", "here", "jobs") is None


def test_what_others_hold_is_taken_from_each_node_and_never_more() -> None:
    """Over-committed nodes do not take from others; what the pool declares bounds what is left."""
    nodes = {name: objects.node(name) for name in ("n1", "n2")}
    held = {"n1": {"cpu": 9_000, "memory": 2**30, "pods": 3}}

    def offered(**declared: Any) -> Any:
        seen = rooms.Seen(lambda node: held.get(node, {}))
        pool = sites.Pool("p", **declared)
        return rooms.offer(
            "gra", pool, nodes, holdings.NOTHING, objects.wanted(), objects.NOW, declared=True, seen=seen
        )

    found = offered()
    assert (found.total.cpu_milli, found.free.cpu_milli, found.free.slots) == (7800, 3900, 217)
    assert found.total.memory_bytes - found.free.memory_bytes == 2**30
    assert offered(cpu_milli=1000).free.cpu_milli == 1000


def test_a_node_is_held_by_those_that_are_there_now() -> None:
    """What comes, changes and goes moves the sum; our own pods are never in it."""
    talk = client.Client(None, "")
    held = others.Others(talk, objects.wanted(seeOthers=True), "gra", "here")

    def seen(name: str, version: int, milli: int, *, mine: bool = False) -> others.Use:
        return others.Use(f"x/{name}", version, "n1", mine, {"cpu": milli})

    held._watch.put(seen("a", 1, 500))
    held._watch.put(seen("b", 2, 300))
    held._watch.put(seen("ours", 3, 7_000, mine=True))
    assert held.on("n1") == {"cpu": 800, "pods": 2}
    held._watch.put(seen("b", 4, 100))
    assert held.on("n1") == {"cpu": 600, "pods": 2}
    held._watch.drop(seen("a", 5, 500))
    held._watch.drop(seen("b", 6, 100))
    assert held.on("n1") == {}
