"""Whatever a cluster sends is read without raising, and bounded."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.kubernetes import holdings, names, observe, quantities, rooms, views
from orchestrator.domain import sites
from tests.unit.backends.kubernetes import objects

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("conditions", "containerStatuses", "initContainerStatuses", "addresses", "allocatable", "runtimeHandlers")


@st.composite
def malformed(draw: st.DrawFn) -> dict[str, Any]:
    """An object that has a name and marks, and anything else in every other place."""
    meta = {
        "name": objects.KEY,
        "uid": "u",
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.JOB_NAME_LABEL: objects.KEY},
        "resourceVersion": draw(ANYTHING),
        "annotations": draw(ANYTHING),
    }
    status = {field: draw(ANYTHING) for field in FIELDS}
    status["containerStatuses"] = [{"name": "main", "state": draw(ANYTHING), "imageID": draw(ANYTHING)}]
    status["conditions"] = [{"type": draw(ANYTHING), "status": "True", "message": draw(ANYTHING)}]
    return {"metadata": meta, "spec": draw(ANYTHING), "status": {**status, "active": draw(ANYTHING)}}


@settings(max_examples=40, deadline=None)
@given(malformed(), malformed(), malformed())
def test_nothing_that_is_malformed_stops_anything(job: Any, pod: Any, node: Any) -> None:
    """Jobs, pods and nodes of any shape give an observation and an offer."""
    kept_job, kept_pod, kept_node = views.job(job), views.pod(pod), views.node(node)
    assert kept_job is not None
    assert kept_pod is not None
    assert kept_node is not None
    seen = observe.observation(kept_job, [kept_pod], {"n1": kept_node}, objects.wanted())
    assert seen.key == objects.KEY
    rooms.offer(
        "gra",
        sites.Pool("p"),
        {"n1": kept_node},
        holdings.held([kept_job]),
        objects.wanted(),
        objects.NOW,
        declared=True,
    )


@given(ANYTHING)
def test_what_is_no_object_of_ours_is_none(found: Any) -> None:
    """Anything at all may be sent; without a name it is nothing."""
    given_ = found if isinstance(found, dict) else {}
    assert views.job(given_) is views.pod(given_) is views.node(given_) is None


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("100m", 100),
        ("2", 2000),
        ("1.5", 1500),
        ("1k", 10**6),
        ("2Ki", 2048 * 1000),
        ("1e3", 10**6),
        ("-1", 0),
        ("x", 0),
        ("1Zi", 0),
        (None, 0),
    ],
)
def test_amounts_are_read_as_kubernetes_writes_them(text: Any, milli: int) -> None:
    """Suffixes are decimal, binary or exponents; what is none counts as nothing."""
    assert quantities.milli(text) == milli


def test_an_offer_is_what_nodes_allocate_less_what_runs() -> None:
    """Nodes that are not ready, not of the jurisdiction, cordoned or tainted are not counted; live Jobs are."""
    gpus = {"room": {"nvidia.com/gpu": "8"}}
    nodes = {
        "a": objects.node("a", **gpus),
        "b": objects.node("b", **gpus),
        "off": objects.node("off", ready=False, **gpus),
        "de": objects.node("de", labels={names.JURISDICTION_LABEL: "DE"}, **gpus),
        "cordoned": objects.node("cordoned", cordoned=True, **gpus),
        "taint": objects.node("taint", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}], **gpus),
    }
    live = [objects.job(notes={names.ACCELERATORS_ANNOTATION: "3"}, nodes=2)]
    pool = sites.Pool("p", accelerator="nvidia-h100-sxm", count=100)
    found = rooms.offer("gra", pool, nodes, holdings.held(live), objects.wanted(), objects.NOW, declared=True)
    assert (found.total.accelerators, found.free.accelerators, found.total.cpu_milli) == (16, 10, 7800)
    assert (found.free.slots, found.counted) == (218, frozenset({objects.KEY}))
    assert found.largest_node is not None
    assert found.largest_node.accelerators == 8
    tolerant = objects.wanted(pools={"p": {"tolerations": [{"key": "k", "effect": "NoSchedule"}]}})
    assert (
        rooms.offer("gra", pool, nodes, holdings.NOTHING, tolerant, objects.NOW, declared=True).total.accelerators == 24
    )
    less = sites.Pool("p", accelerator="nvidia-h100-sxm", count=4)
    assert (
        rooms.offer(
            "gra", less, nodes, holdings.NOTHING, objects.wanted(), objects.NOW, declared=True
        ).total.accelerators
        == 4
    )


def test_an_offer_of_nothing_says_why() -> None:
    """No node of the label, no such resource, or an accelerator that nobody named here."""
    pool = sites.Pool("p", accelerator="nvidia-h100-sxm")

    def detail(pool: sites.Pool, *nodes: views.Node) -> str:
        known = {node.name: node for node in nodes}
        return rooms.offer("gra", pool, known, holdings.NOTHING, objects.wanted(), objects.NOW, declared=True).detail

    assert "no ready node" in detail(pool)
    assert "none of 1 nodes allocates nvidia.com/gpu" in detail(pool, objects.node())
    assert "settings.accelerators" in detail(sites.Pool("p", accelerator="acme"), objects.node())
