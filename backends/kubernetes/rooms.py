"""What the pools of a cluster have and have left: what their nodes allocate, less what our own live Jobs ask for. Pure.

What pods of others take is not seen without a right that few give; a job that does not fit because of them waits in the
cluster, and says so.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from backends.kubernetes import devices, egress, names, views
from backends.kubernetes import settings as schema
from orchestrator.domain import ids, offers, sites

DEFAULT_POOL = "default"
_HOLDING = ("NoSchedule", "NoExecute")


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
    live: Sequence[views.Job],
    wanted: schema.KubernetesSettings,
    at: dt.datetime,
    *,
    declared: bool,
) -> offers.Offer:
    """Return the offer of one pool. What the document declares is an upper bound of what is there."""
    chosen = nodes_of(pool.name, nodes, wanted)
    device = devices.device(pool.accelerator, wanted.accelerators) if pool.accelerator else None
    each = [_room(node, device, pool) for node in chosen]
    total = offers.Room(
        cpu_milli=_least(sum(room.cpu_milli for room in each), pool.cpu_milli),
        memory_bytes=_least(sum(room.memory_bytes for room in each), pool.memory_bytes),
        accelerators=_least(sum(room.accelerators for room in each), pool.count),
        slots=sum(room.slots or 0 for room in each),
    )
    mine = [job for job in live if job.pool == names.label(pool.name)]
    free = _less(total, mine)
    largest = offers.Room(
        cpu_milli=max((room.cpu_milli for room in each), default=0),
        memory_bytes=max((room.memory_bytes for room in each), default=0),
        accelerators=max((room.accelerators for room in each), default=0),
        slots=max((room.slots or 0 for room in each), default=0),
    )
    queue = wanted.pool(pool.name).queue
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=at,
        counted=frozenset(ids.AttemptKey(job.key) for job in mine),
        largest_node=largest if each else None,
        queue=offers.QueueOffer(accepts=True) if queue else None,
        pool=None if declared else pool,
        detail=_detail(pool, chosen, device, total, wanted),
    )


def closed(found: offers.Offer, why: str) -> offers.Offer:
    """Return an offer that takes nothing, and says why."""
    return dataclasses.replace(found, free=offers.Room(), total=offers.Room(), queue=None, detail=why)


def _room(node: views.Node, device: schema.Device | None, pool: sites.Pool) -> offers.Room:
    accelerators = 0
    if device is not None and device.resource is not None:
        accelerators = node.room.get(device.resource, 0)
    elif device is not None:
        # A class of DRA says nothing of nodes: what the document declares is believed, and the scheduler decides.
        accelerators = pool.count or 0
    return offers.Room(
        cpu_milli=node.room.get("cpu", 0),
        memory_bytes=node.room.get("memory", 0),
        accelerators=accelerators,
        slots=node.room.get("pods", 0),
    )


def _less(total: offers.Room, live: Sequence[views.Job]) -> offers.Room:
    return offers.Room(
        cpu_milli=max(0, total.cpu_milli - sum(job.cpu_milli * job.nodes for job in live)),
        memory_bytes=max(0, total.memory_bytes - sum(job.memory_bytes * job.nodes for job in live)),
        accelerators=max(0, total.accelerators - sum(job.accelerators * job.nodes for job in live)),
        slots=max(0, (total.slots or 0) - sum(job.nodes for job in live)),
    )


def _least(found: int, declared: int | None) -> int:
    return found if declared is None else min(found, declared)


def _detail(
    pool: sites.Pool,
    chosen: Sequence[views.Node],
    device: schema.Device | None,
    total: offers.Room,
    wanted: schema.KubernetesSettings,
) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in wanted.selector(pool.name).items())
    if not chosen:
        return f"no ready node without taints has {labels}"
    if pool.accelerator and device is None:
        return f"nobody said what {pool.accelerator} is called here: name it in settings.accelerators"
    if device is not None and device.resource is not None and not total.accelerators:
        return f"none of {len(chosen)} nodes allocates {device.resource}"
    rules = egress.told(wanted.network_policy)
    return "; ".join(filter(None, (f"{len(chosen)} nodes", "what other namespaces take is not seen", rules)))
