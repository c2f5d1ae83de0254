"""Devices are counted as their drivers publish them; what cannot be read is said, never guessed."""

from collections.abc import Sequence
from typing import Any

import pytest

from backends.kubernetes import classes, settings, slices

DRIVER = "gpu.example.com"
BIG = 'device.capacity["gpu.example.com"].memory.compareTo(quantity("80Gi")) >= 0'
CLASS = slices.class_of({"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": "true"}}]}})


def device(**more: Any) -> dict[str, Any]:
    """Return a device as a driver publishes it."""
    attributes = {"productName": {"string": "H200"}, "rank": {"int": 3}, "other.example/on": {"bool": True}}
    return {"name": "d", "attributes": attributes, "capacity": {"memory": {"value": "80Gi"}}, **more}


def published(name: str, node: str | None, *devices: Any, generation: int = 1, of: int = 1, pool: str = "") -> Any:
    """Return a ResourceSlice as it is kept."""
    spec = {
        "driver": DRIVER,
        "pool": {"name": pool or name, "generation": generation, "resourceSliceCount": of},
        **({"nodeName": node} if node else {"allNodes": True}),
        "devices": list(devices),
    }
    return slices.slice_of({"metadata": {"name": name, "resourceVersion": "4"}, "spec": spec})


def counted(*found: Any, known: Any = CLASS, selectors: Sequence[str] = ()) -> slices.Count:
    """Return what is counted of some slices for one class."""
    chosen = settings.Device(device_class="gpu", selectors=tuple(selectors))
    return slices.count({one.name: one for one in found}, {known.name: known}, [chosen])


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ("true", True),
        ('device.driver == "gpu.example.com"', True),
        ("device.driver == 'other.example.com'", False),
        ('device.driver == "gpu.example.com" && device.driver == "other.example.com"', False),
        ('device.attributes["gpu.example.com"].productName == "H200"', True),
        ('device.attributes["gpu.example.com"]["productName"] == "H100"', False),
        ('device.attributes["gpu.example.com"].rank == 3', True),
        ('device.attributes["gpu.example.com"].rank == 4', False),
        ('device.attributes["other.example"].on == true', True),
        ('device.attributes["other.example"].on == false', False),
        ('device.attributes["other.example"].on == 1', False),
        ('device.attributes["gpu.example.com"].absent == "x"', False),
        (BIG, True),
        (BIG.replace("80Gi", "81Gi"), False),
        ('device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("80Gi"))', False),
        ('device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("79Gi"))', True),
        (f'device.driver == "gpu.example.com" && {BIG}', True),
    ],
)
def test_what_is_read_of_a_class_is_what_it_takes(expression: str, taken: bool) -> None:
    """The forms that can be read decide, alone and together."""
    found = counted(published("a", "n1", device()), selectors=[expression])
    assert (found.by_node["n1"], found.note) == (int(taken), "")


@pytest.mark.parametrize(
    "expression",
    [
        'device.attributes["gpu.example.com"].productName.startsWith("H")',
        '(device.driver == "other.example.com")',
        'device.driver == "other.example.com" || true',
        'device.driver == "gpu.example.com" ? true : false',
        'true && device.attributes["gpu.example.com"].productName == "a && b"',
        "",
    ],
)
def test_what_is_not_read_is_said(expression: str) -> None:
    """It neither takes nor leaves out a device, and stands in the note."""
    found = classes.read([expression])
    assert not found.whole
    assert found.takes(classes.Device(DRIVER, {}, {}))
    if expression:
        assert "not all read" in counted(published("a", "n1", device()), selectors=[expression]).note


def test_a_pool_counts_when_it_is_whole_and_as_it_is_now() -> None:
    """Slices of an older generation, and pools of which a part is missing, hold nothing."""
    half = published("a-1", "n1", device(), of=2, pool="a")
    assert counted(half).by_node == {}
    assert counted(half, published("a-2", "n1", device(), of=2, pool="a")).by_node == {"n1": 2}
    newer = published("a-3", "n1", device(), generation=2, of=1, pool="a")
    assert counted(half, newer).by_node == {"n1": 1}


def test_what_is_not_a_nodes_own_whole_device_is_left_out() -> None:
    """Partitions, tainted devices and those of no single node; each is said."""
    parts = device(consumesCounters=[{"counterSet": "x"}])
    ill = device(taints=[{"key": "k", "effect": "NoSchedule"}])
    found = counted(published("a", "n1", device(), parts, ill), published("b", None, device()))
    assert found.by_node == {"n1": 1}
    assert "partitions and tainted devices are not counted" in found.note
    assert "devices of no single node are not counted" in found.note


def test_devices_of_several_classes_count_once_and_a_pod_gets_one_kind() -> None:
    """Alternatives add up over a node; the most that one pod can have is of one class."""
    small, large = device(), device(capacity={"memory": {"value": "141Gi"}})
    wanted = [
        settings.Device(device_class="gpu", selectors=(BIG.replace("80Gi", "100Gi"),)),
        settings.Device(device_class="gpu"),
    ]
    assert CLASS is not None
    found = slices.count({"a": published("a", "n1", small, large)}, {"gpu": CLASS}, wanted)
    assert (found.by_node, found.alike) == ({"n1": 2}, {"n1": 2})
    found = slices.count({"a": published("a", "n1", small, large)}, {"gpu": CLASS}, wanted[:1])
    assert (found.by_node, found.alike) == ({"n1": 1}, {"n1": 1})


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"metadata": {"name": 3}, "spec": {}},
        {"metadata": {"name": "a"}, "spec": {"driver": "d", "pool": None}},
        {"metadata": {"name": "a"}, "spec": []},
    ],
)
def test_what_is_malformed_is_none(raw: Any) -> None:
    """Whatever a cluster sends."""
    assert slices.slice_of(raw) is None


def test_odd_devices_are_devices_of_which_nothing_is_known() -> None:
    """Attributes and capacities of the wrong kind count as absent; a class with an unknown selector is not read."""
    found = published("a", "n1", {"attributes": 3, "capacity": [1]}, {"attributes": {"x": None}}, None)
    assert [one.attributes for one in found.devices] == [{}, {}]
    odd = slices.class_of({"metadata": {"name": "gpu"}, "spec": {"selectors": [{"later": 1}]}})
    assert odd is not None
    assert not odd.test.whole
