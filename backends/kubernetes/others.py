"""What pods of others ask of each node, in all namespaces: one watch, where settings wish it (``seeOthers``).

Kept of a pod are its node and what it asks for. Pods of this backend's own Jobs are left out: those Jobs are counted
whole, from the moment they are there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import client, names, quantities, views, watching
from backends.kubernetes import settings as schema

PATH = "/api/v1/pods"
HOLDING = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
"""Pods that have a node and are not over: the others hold nothing."""
CONTAINERS_MAX = 64
RESOURCES_MAX = 64
Amounts = Mapping[str, int]
"""Resource -> whole units (cpu: thousandths), as of a node."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one pod asks of its node."""

    name: str
    """Namespace and name."""
    version: int
    node: str
    mine: bool
    asks: Amounts


def use(found: Mapping[str, Any], backend: str, installation: str, namespace: str) -> Use | None:
    """Return what is kept of a pod; None for what is none, or has no node."""
    meta, spec = found.get("metadata"), found.get("spec")
    if not isinstance(meta, Mapping) or not isinstance(spec, Mapping):
        return None
    space, name, node = meta.get("namespace"), meta.get("name"), spec.get("nodeName")
    if not isinstance(name, str) or not isinstance(node, str) or not node:
        return None
    labels = meta.get("labels")
    labels = labels if isinstance(labels, Mapping) else {}
    mine = (
        space == namespace
        and labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        and labels.get(names.BACKEND_LABEL) == backend
        and labels.get(names.INSTALLATION_LABEL) == installation
    )
    return Use(f"{space}/{name}"[:320], views.version(meta), node[:253], mine, asks(spec))


def asks(spec: Mapping[str, Any]) -> Amounts:
    """Return what a pod asks for, as the scheduler adds it up.

    All containers, with those that begin before and stay (restartPolicy Always), or the largest of those that begin
    before and end; what the pod as a whole asks for where that is said; and its overhead.
    """
    stay: dict[str, int] = {}
    most: dict[str, int] = {}
    for one in _maps(spec.get("initContainers")):
        wanted = _requests(one)
        if one.get("restartPolicy") == "Always":
            _add(stay, wanted)
            wanted = {}
        for resource, amount in wanted.items():
            most[resource] = max(most.get(resource, 0), amount + stay.get(resource, 0))
    for one in _maps(spec.get("containers")):
        _add(stay, _requests(one))
    found = {resource: max(stay.get(resource, 0), most.get(resource, 0)) for resource in {*stay, *most}}
    found |= _requests(spec)
    _add(found, _amounts(spec.get("overhead")))
    return found


class Others:
    """Does nothing where settings do not wish it. Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        wanted: schema.KubernetesSettings,
        backend: str,
        installation: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wished = wanted.see_others
        self._lock = threading.Lock()
        self._counted: dict[str, Use] = {}
        self._by_node: dict[str, dict[str, int]] = {}
        self._watch = watching.Reflector(
            talk,
            PATH,
            lambda found: use(found, backend, installation, wanted.namespace),
            fields=HOLDING,
            changed=self._changed,
            monotonic=monotonic,
        )

    def ensure(self) -> None:
        """Begin to watch. Raises BackendError."""
        if self._wished:
            self._watch.ensure()

    def on(self, node: str) -> Amounts:
        """Return what others ask of a node; ``pods`` is their number."""
        with self._lock:
            return dict(self._by_node.get(node, {}))

    def broken_s(self) -> float:
        """Return for how many seconds there was no watch."""
        return self._watch.broken_s()

    @property
    def problem(self) -> str:
        """Return why there is no watch."""
        return self._watch.problem

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _changed(self, thing: Use) -> None:
        with self._lock:
            # Asked for under the lock: of two changes at once the later one counts.
            now = self._watch.items.get(thing.name)
            before = self._counted.pop(thing.name, None)
            if before is not None:
                self._move(before, -1)
            if now is not None and not now.mine:
                self._counted[now.name] = now
                self._move(now, 1)

    def _move(self, one: Use, sign: int) -> None:
        held = self._by_node.setdefault(one.node, {})
        for resource, amount in {**one.asks, "pods": 1}.items():
            held[resource] = held.get(resource, 0) + sign * amount
        if not held.get("pods"):
            del self._by_node[one.node]


def _requests(found: Mapping[str, Any]) -> dict[str, int]:
    """Return requests; where none stands, a limit is one."""
    resources = found.get("resources")
    if not isinstance(resources, Mapping):
        return {}
    return {**_amounts(resources.get("limits")), **_amounts(resources.get("requests"))}


def _amounts(found: object) -> dict[str, int]:
    if not isinstance(found, Mapping):
        return {}
    return {
        str(resource)[:317]: quantities.milli(amount) if resource == "cpu" else quantities.whole(amount)
        for resource, amount in list(found.items())[:RESOURCES_MAX]
    }


def _add(to: dict[str, int], more: Amounts) -> None:
    for resource, amount in more.items():
        to[resource] = to.get(resource, 0) + amount


def _maps(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)][:CONTAINERS_MAX] if isinstance(found, list) else []
