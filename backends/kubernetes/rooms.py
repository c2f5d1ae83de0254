"""What the pools of a cluster have and have left: what their nodes allocate, less what our own live Jobs ask for. Pure.

What pods of others take is subtracted where settings wish it (a right that few give); else a job that does not fit
because of them waits in the cluster, and says so. What others hold of devices with a class is never seen.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from backends.kubernetes import devices, egress, holdings, others, slices, views
from backends.kubernetes import settings as schema
from orchestrator.domain import ids, offers, sites

DEFAULT_POOL = "default"
_HOLDING = ("NoSchedule", "NoExecute")


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What is known beside nodes and Jobs: what others ask of a node, and the devices of DRA that fit the pool."""

    others: Callable[[str], Mapping[str, int]] | None = None
    devices: slices.Count | None = None


NOTHING = Seen()


def pools(declared: Sequence[sites.Pool], wanted: schema.KubernetesSettings) -> list[sites.Pool]:
    """Return the pools of the document; without any, one with every node of the jurisdiction."""
    return list(declared) or [sites.Pool(DEFAULT_POOL)]


def nodes_of(pool: str, nodes: Mapping[str, views.Node], wanted: schema.KubernetesSettings) -> list[views.Node]:
    """Return the nodes of a pool that take pods now: ready, labelled as the settings say, no taint in the way."""
    labels, tolerated = wanted.selector(pool), wanted.pool(pool).tolerations
    return [
        node
        for node in list(nodes.values())
        if node.ready
        and all(node.labels.get(key) == value for key, value in labels.items())
        and all(_tolerates(taint, tolerated) for taint in node.taints if taint[2] in _HOLDING)
    ]


def _tolerates(taint: tuple[str, str, str], tolerated: Sequence[schema.Toleration]) -> bool:
    key, value, effect = taint
    return any(one.key == key and one.value in (None, value) and one.effect in (None, effect) for one in tolerated)


def offer(
    backend: str,
    pool: sites.Pool,
    nodes: Mapping[str, views.Node],
    held: holdings.Held,
    wanted: schema.KubernetesSettings,
    at: dt.datetime,
    *,
    declared: bool,
    seen: Seen = NOTHING,
) -> offers.Offer:
    """Return the offer of one pool: what it has, less what our live Jobs of it hold (``held``).

    What the document declares is an upper bound of what is there.
    """
    chosen = nodes_of(pool.name, nodes, wanted)
    device = devices.device(pool.accelerator, wanted.accelerators) if pool.accelerator else None
    by_node = seen.devices.by_node if seen.devices is not None else {}
    each = [_room(node, device, by_node) for node in chosen]
    total = _sum(each, pool)
    left = total
    if seen.others is not None:
        used = [seen.others(node.name) for node in chosen]
        left = _sum([_without(room, one, device) for room, one in zip(each, used, strict=True)], pool)
    free = _less(left, held)
    alike = seen.devices.alike if seen.devices is not None else {}
    largest = offers.Room(
        cpu_milli=max((room.cpu_milli for room in each), default=0),
        memory_bytes=max((room.memory_bytes for room in each), default=0),
        accelerators=max((_room(node, device, alike).accelerators for node in chosen), default=0),
        slots=max((room.slots or 0 for room in each), default=0),
    )
    queue = wanted.pool(pool.name).queue
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=at,
        counted=held.keys,
        largest_node=largest if each else None,
        queue=offers.QueueOffer(accepts=True) if queue else None,
        pool=None if declared else pool,
        detail=_detail(pool, chosen, device, total, wanted, seen),
    )


def closed(found: offers.Offer, why: str) -> offers.Offer:
    """Return an offer that takes nothing, and says why."""
    return dataclasses.replace(found, free=offers.Room(), total=offers.Room(), queue=None, detail=why)


def _sum(each: Sequence[offers.Room], pool: sites.Pool) -> offers.Room:
    return offers.Room(
        cpu_milli=_least(sum(room.cpu_milli for room in each), pool.cpu_milli),
        memory_bytes=_least(sum(room.memory_bytes for room in each), pool.memory_bytes),
        accelerators=_least(sum(room.accelerators for room in each), pool.count),
        slots=sum(room.slots or 0 for room in each),
    )


def _without(room: offers.Room, used: others.Amounts, device: schema.Device | None) -> offers.Room:
    """Return what others leave of a node."""
    held = used.get(device.resource, 0) if device is not None and device.resource is not None else 0
    return offers.Room(
        cpu_milli=max(0, room.cpu_milli - used.get("cpu", 0)),
        memory_bytes=max(0, room.memory_bytes - used.get("memory", 0)),
        accelerators=max(0, room.accelerators - held),
        slots=max(0, (room.slots or 0) - used.get("pods", 0)),
    )


def _room(node: views.Node, device: schema.Device | None, by_node: Mapping[str, int]) -> offers.Room:
    accelerators = 0
    if device is not None and device.resource is not None:
        accelerators = node.room.get(device.resource, 0)
    elif device is not None:
        accelerators = by_node.get(node.name, 0)
    return offers.Room(
        cpu_milli=node.room.get("cpu", 0),
        memory_bytes=node.room.get("memory", 0),
        accelerators=accelerators,
        slots=node.room.get("pods", 0),
    )


def _less(total: offers.Room, held: holdings.Held) -> offers.Room:
    return offers.Room(
        cpu_milli=max(0, total.cpu_milli - held.cpu_milli),
        memory_bytes=max(0, total.memory_bytes - held.memory_bytes),
        accelerators=max(0, total.accelerators - held.accelerators),
        slots=max(0, (total.slots or 0) - held.pods),
    )


def _least(found: int, declared: int | None) -> int:
    return found if declared is None else min(found, declared)


def _detail(
    pool: sites.Pool,
    chosen: Sequence[views.Node],
    device: schema.Device | None,
    total: offers.Room,
    wanted: schema.KubernetesSettings,
    seen: Seen,
) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in wanted.selector(pool.name).items())
    if not chosen:
        return f"no ready node without taints has {labels}"
    if pool.accelerator and device is None:
        return f"nobody said what {pool.accelerator} is called here: name it in settings.accelerators"
    if device is not None and device.resource is not None and not total.accelerators:
        return f"none of {len(chosen)} nodes allocates {device.resource}"
    classed = device is not None and device.device_class is not None
    note = seen.devices.note if classed and seen.devices is not None else ""
    if classed and device is not None and not total.accelerators:
        return f"none of {len(chosen)} nodes has devices of class {device.device_class}{f'; {note}' if note else ''}"
    taken = (
        "what other namespaces take is not seen" if seen.others is None else "what other namespaces take is subtracted"
    )
    claims = "devices that others hold are not seen" if classed else ""
    rules = egress.told(wanted.network_policy)
    return "; ".join(filter(None, (f"{len(chosen)} nodes", taken, claims, note, rules)))
