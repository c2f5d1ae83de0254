"""Devices of DRA that nodes have, as their drivers publish them (``resource.k8s.io/v1``): two watches, where needed.

Counted are devices of a node's own ResourceSlices, of pools that are published whole, without a taint that keeps pods
away. A device that shares counters with others (a partition), or that belongs to no single node, is not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import classes, client, errors, quantities, views, watching
from backends.kubernetes import settings as schema

BASE = "/apis/resource.k8s.io/v1"
LOOK_EVERY_S = 60.0
DEVICES_MAX = 1024
_KEPT_AWAY = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Slice:
    """What is kept of a ResourceSlice: the devices of one node, or of none."""

    name: str
    version: int
    node: str
    pool: tuple[str, str]
    """Driver and name of its pool."""
    generation: int
    of: int
    """Slices that its pool has."""
    devices: tuple[classes.Device, ...]
    left_out: int
    """Devices of it that are not counted."""


@dataclass(frozen=True, slots=True)
class Class:
    """What is kept of a DeviceClass."""

    name: str
    version: int
    test: classes.Test


@dataclass(frozen=True, slots=True)
class Count:
    """Devices of one pool of the document, by node; ``note`` says what the count leaves open.

    ``alike``: of one class, which is what the devices of one pod are, by node.
    """

    by_node: Mapping[str, int]
    alike: Mapping[str, int]
    note: str = ""


def slice_of(found: Mapping[str, Any]) -> Slice | None:
    """Return what is kept of a ResourceSlice; None for what is none."""
    meta, spec = found.get("metadata"), found.get("spec")
    if not isinstance(meta, Mapping) or not isinstance(spec, Mapping) or not isinstance(meta.get("name"), str):
        return None
    driver, pool = spec.get("driver"), spec.get("pool")
    if not isinstance(driver, str) or not isinstance(pool, Mapping):
        return None
    listed = [one for one in _list(spec.get("devices"))[:DEVICES_MAX] if isinstance(one, Mapping)]
    counted = [one for one in listed if not one.get("consumesCounters") and not _tainted(one)]
    node = spec.get("nodeName")
    return Slice(
        name=meta["name"][:253],
        version=views.version(meta),
        node=node[:253] if isinstance(node, str) else "",
        pool=(driver[:253], str(pool.get("name"))[:253]),
        generation=_int(pool.get("generation")),
        of=_int(pool.get("resourceSliceCount")),
        devices=tuple(_device(driver[:253], one) for one in counted),
        left_out=len(listed) - len(counted),
    )


def class_of(found: Mapping[str, Any]) -> Class | None:
    """Return what is kept of a DeviceClass."""
    meta, spec = found.get("metadata"), found.get("spec")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("name"), str):
        return None
    selectors = _list(spec.get("selectors"))[:32] if isinstance(spec, Mapping) else []
    texts = [one["cel"]["expression"] for one in selectors if _is_cel(one)]
    test = classes.read(texts)
    if len(texts) < len(selectors):  # a selector of a kind that is not known
        test = classes.Test(test.driver, test.attributes, test.capacities, whole=False)
    return Class(meta["name"][:253], views.version(meta), test)


def count(found: Mapping[str, Slice], known: Mapping[str, Class], wanted: Sequence[schema.Device]) -> Count:
    """Return the devices that any of the wanted classes takes, each once, by node."""
    tests, missing, partly = [], [], []
    for one in wanted:
        name = one.device_class or ""
        if name not in known:
            missing.append(name)
            continue
        both = (known[name].test, classes.read(one.selectors))
        tests.append(both)
        if not all(test.whole for test in both):
            partly.append(name)
    whole = _whole(found)
    by_node: dict[str, int] = {}
    by_class: dict[str, list[int]] = {}
    for each in whole:
        if each.node:
            took = [[a.takes(one) and b.takes(one) for a, b in tests] for one in each.devices]
            by_node[each.node] = by_node.get(each.node, 0) + sum(map(any, took))
            known_of = by_class.setdefault(each.node, [0] * len(tests))
            by_class[each.node] = [old + sum(one[place] for one in took) for place, old in enumerate(known_of)]
    notes = [
        f"no DeviceClass {', '.join(missing)}" if missing else "",
        f"selectors of {', '.join(partly)} are not all read: counted by driver and what is read" if partly else "",
        "devices of no single node are not counted" if any(not each.node for each in whole) else "",
        "partitions and tainted devices are not counted" if any(each.left_out for each in whole) else "",
    ]
    alike = {node: max(amounts, default=0) for node, amounts in by_class.items()}
    return Count(by_node, alike, "; ".join(filter(None, notes)))


def _whole(found: Mapping[str, Slice]) -> list[Slice]:
    """Return the slices of the newest generation of each pool, where all of them are there."""
    pools: dict[tuple[str, str], list[Slice]] = {}
    for each in list(found.values()):
        pools.setdefault(each.pool, []).append(each)
    newest = [
        [each for each in group if each.generation == max(one.generation for one in group)] for group in pools.values()
    ]
    return [each for group in newest if len(group) >= group[0].of for each in group]


class Slices:
    """Does nothing where no accelerator has a device class. Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        wanted: schema.KubernetesSettings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = talk
        self._needed = uses_classes(wanted)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._slices = watching.Reflector(talk, f"{BASE}/resourceslices", slice_of, monotonic=monotonic)
        self._classes = watching.Reflector(talk, f"{BASE}/deviceclasses", class_of, monotonic=monotonic)
        self._there = False

    def ensure(self) -> None:
        """Begin to watch, once the cluster serves it. Raises BackendError."""
        if not self._needed:
            return
        with self._lock:
            if not self._there and self._monotonic() - self._looked_s > LOOK_EVERY_S:
                self._there = self._served()
                self._looked_s = self._monotonic()
        if self._there:
            self._slices.ensure()
            self._classes.ensure()

    def count(self, wanted: Sequence[schema.Device]) -> Count:
        """Return the devices that any of the wanted classes takes."""
        if not self._there:
            return Count({}, {}, "this cluster does not serve resource.k8s.io/v1")
        return count(self._slices.items, self._classes.items, wanted)

    def broken_s(self) -> float:
        """Return for how many seconds there was no watch."""
        return max(self._slices.broken_s(), self._classes.broken_s())

    @property
    def problem(self) -> str:
        """Return why there is no watch."""
        return self._slices.problem or self._classes.problem

    def close(self) -> None:
        """End the watches."""
        self._slices.close()
        self._classes.close()

    def _served(self) -> bool:
        try:
            self._client.get(BASE)
        except errors.StatusError as error:
            if error.status == 404:
                return False
            raise errors.of_status(error, "look for resource.k8s.io/v1", self._client.hint) from error
        return True


def uses_classes(wanted: schema.KubernetesSettings) -> bool:
    """Say whether an accelerator is called by a device class."""
    return any(one.device_class for one in wanted.accelerators.values())


def _device(driver: str, found: Mapping[str, Any]) -> classes.Device:
    attributes: dict[str, classes.Value] = {}
    for name, told in _named(driver, found.get("attributes")):
        for kind in ("string", "bool", "int", "version"):
            if isinstance(told, Mapping) and isinstance(value := told.get(kind), str | bool | int):
                attributes[name] = value[:253] if isinstance(value, str) else value
                break
    capacity = {
        name: quantities.whole(told.get("value", 0))
        for name, told in _named(driver, found.get("capacity"))
        if isinstance(told, Mapping)
    }
    return classes.Device(driver, attributes, capacity)


def _named(driver: str, found: object) -> list[tuple[str, object]]:
    """Return members with qualified names: one without a domain is of its driver's."""
    if not isinstance(found, Mapping):
        return []
    return [(name if "/" in (name := str(key)[:317]) else f"{driver}/{name}", told) for key, told in found.items()][:64]


def _tainted(found: Mapping[str, Any]) -> bool:
    return any(isinstance(one, Mapping) and one.get("effect") in _KEPT_AWAY for one in _list(found.get("taints")))


def _is_cel(found: object) -> bool:
    cel = found.get("cel") if isinstance(found, Mapping) else None
    return isinstance(cel, Mapping) and isinstance(cel.get("expression"), str)


def _list(found: object) -> Sequence[Any]:
    return found if isinstance(found, list) else ()


def _int(found: object) -> int:
    return found if type(found) is int and 0 <= found < 2**63 else 0
