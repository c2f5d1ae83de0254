"""From what a document declares and what the machine has to pools, and from what is held to offers. Pure.

A declared figure counts where it is the smaller one: several backends may share a machine, each with its part. More
than there is counts only where the settings say ``overcommit``. Jobs are held to what they asked for by
:mod:`backends.local.limits`, where that can be.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.local import attempts, discovery, isolation
from backends.local import settings as schema
from orchestrator.domain import ids, offers, sites

WHOLE = "host"
"""Name of the pool of a backend that declares none, on a machine with one kind of accelerator or none."""
_UNSEEN = ("intel-", "google-", "aws-", "meta-", "huawei-", "cambricon-", "groq-", "cerebras-")
"""Accelerators that nothing here can discover: those are as many as the pool declares."""
_MODEL = re.compile(r"[a-z]+[0-9]+[a-z]*")


@dataclass(frozen=True, slots=True)
class Share:
    """One pool as it is here: its size, its devices, and what about it should be said."""

    name: str
    total: offers.Room
    devices: tuple[discovery.Device, ...]
    found: sites.Pool
    notes: tuple[str, ...] = ()


def shares(
    declared: Sequence[sites.Pool], machine: discovery.Machine, settings: schema.LocalSettings
) -> tuple[Share, ...]:
    """Return the pools of a backend."""
    left = [device for at, device in enumerate(machine.devices) if settings.devices is None or at in settings.devices]
    if not declared:
        slugs = list(dict.fromkeys(device.slug for device in left))
        declared = [sites.Pool(slug, accelerator=slug) for slug in slugs] if len(slugs) > 1 else [sites.Pool(WHOLE)]
    made = []
    for pool in declared:
        notes: list[str] = []
        whole = len(declared) == 1 and pool.accelerator is None and pool.count is None
        own = _one_model(left, notes) if whole else _devices(pool, left, settings.overcommit, notes)
        left = [device for device in left if device not in own]
        made.append(_share(pool, own, machine, settings.overcommit, notes))
    return tuple(made)


def offer(
    share: Share,
    backend: str,
    live: Mapping[ids.AttemptKey, attempts.Attempt],
    machine: discovery.Machine,
    settings: schema.LocalSettings,
    ground: isolation.Ground,
    now: dt.datetime,
    limited: str = "",
) -> offers.Offer:
    """Return what one pool could take. CPUs and memory are also bounded by what the other pools hold."""
    mine = {key: attempt for key, attempt in live.items() if attempt.pool == share.name}
    cpu = share.total.cpu_milli - sum(attempt.cpu_milli for attempt in mine.values())
    memory = share.total.memory_bytes - sum(attempt.memory_bytes for attempt in mine.values())
    if not settings.overcommit:
        cpu = min(cpu, machine.cpu_milli - sum(attempt.cpu_milli for attempt in live.values()))
        memory = min(memory, machine.memory_bytes - sum(attempt.memory_bytes for attempt in live.values()))
    free = offers.Room(
        cpu_milli=max(cpu, 0),
        memory_bytes=max(memory, 0),
        accelerators=max(share.total.accelerators - sum(attempt.accelerators for attempt in mine.values()), 0),
        slots=None if share.total.slots is None else max(share.total.slots - len(mine), 0),
    )
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{share.name}"),
        free=free,
        total=share.total,
        observed_at=now,
        counted=frozenset(mine),
        largest_node=share.total,
        pool=share.found,
        isolation_none=ground.level is isolation.Level.NONE,
        detail="; ".join([ground.detail, *([limited] if limited else []), *share.notes]),
    )


def _share(
    pool: sites.Pool, own: tuple[discovery.Device, ...], machine: discovery.Machine, overcommit: bool, notes: list[str]
) -> Share:
    total = offers.Room(
        cpu_milli=_lesser("CPUs (in thousandths)", pool.cpu_milli, machine.cpu_milli, overcommit, notes),
        memory_bytes=_lesser("bytes of memory", pool.memory_bytes, machine.memory_bytes, overcommit, notes),
        accelerators=len(own),
        slots=pool.count if pool.accelerator is None else None,
    )
    found = sites.Pool(
        pool.name,
        accelerator=own[0].slug if own else None,
        count=len(own) if own else None,
        cpu_milli=total.cpu_milli,
        memory_bytes=total.memory_bytes,
    )
    return Share(pool.name, total, own, found, tuple(notes))


def _lesser(what: str, declared: int | None, found: int, overcommit: bool, notes: list[str]) -> int:
    if declared is None or declared <= found:
        return found if declared is None else declared
    if overcommit:
        notes.append(f"{declared} {what} declared, {found} found: overcommitted")
        return declared
    notes.append(f"{declared} {what} declared, {found} found: the smaller figure counts (settings.overcommit)")
    return found


def _one_model(left: Sequence[discovery.Device], notes: list[str]) -> tuple[discovery.Device, ...]:
    """Return the devices of a pool that names none: all of the first model, because a site has one."""
    own = tuple(device for device in left if device.slug == left[0].slug)
    if others := _names(device.slug for device in left if device not in own):
        notes.append(f"also found: {others}; declare a pool for each model")
    return own


def _devices(
    pool: sites.Pool, left: Sequence[discovery.Device], overcommit: bool, notes: list[str]
) -> tuple[discovery.Device, ...]:
    """Return the devices of a pool: the found ones of its model, as many as it declares."""
    if pool.accelerator is None:
        return ()
    fitting = [device for device in left if _same_model(pool.accelerator, device.slug)]
    wanted = len(fitting) if pool.count is None else pool.count
    if wanted <= len(fitting):
        return tuple(fitting[:wanted])
    unseen = pool.accelerator.lower().startswith(_UNSEEN)
    text = f"{wanted} {pool.accelerator} declared, {len(fitting)} found"
    if not unseen and not overcommit:
        others = _names(device.slug for device in left if device not in fitting)
        notes.append(
            f"{text}: only what is found counts (settings.overcommit)" + (f"; found: {others}" if others else "")
        )
        return tuple(fitting)
    notes.append(f"{text}: as declared")
    vendor = pool.accelerator.lower().partition("-")[0]
    more = (
        discovery.Device(f"{pool.name}-{index}", index, vendor, pool.accelerator)
        for index in range(len(fitting), wanted)
    )
    return (*fitting, *more)


def _same_model(written: str, slug: str) -> bool:
    """Say whether a declared name, slug or alias, means the model of a slug."""
    name = written.lower()
    if name == slug:
        return True
    return bool(set(_MODEL.findall(name)) & set(_MODEL.findall(slug))) and not name.startswith(("nvidia-", "amd-"))


def _names(slugs: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(slugs))


def visible(given: Sequence[discovery.Device], machine: discovery.Machine, only_own_nodes: bool) -> dict[str, str]:
    """Return the variables that leave a rank its own devices, and none of the others.

    NVIDIA's are named by UUID, which means the same whether or not the others can be seen; AMD's by position among
    those that can be.
    """
    vendors = {device.vendor for device in (*machine.devices, *given)}
    found = {}
    if "nvidia" in vendors:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(
            device.id if device.id.startswith("GPU-") else str(device.index)
            for device in given
            if device.vendor == "nvidia"
        )
    if "amd" in vendors:
        own = [device for device in given if device.vendor == "amd"]
        places = [str(at if only_own_nodes else device.index) for at, device in enumerate(own)]
        found["HIP_VISIBLE_DEVICES"] = ",".join(places) or "-1"
    return found
