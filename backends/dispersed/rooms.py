"""What a region has and has left: what its operator hopes for, less our own jobs. Pure.

The network tells nobody what is free in a region. So an offer is a queue with as many places as the settings let jobs
be in flight; a job that finds no node within five minutes ends as one for which there was no room.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from backends.dispersed import settings, wire
from orchestrator.domain import ids, offers, sites


def discovered(wanted: settings.DispersedSettings) -> list[sites.Pool]:
    """Return a pool a region of the settings, for a document that declares none. Its country nobody has stated: the
    code of a region is a name, and no address.
    """
    return [
        sites.Pool(pool, location=sites.Location(region=code), accelerator=None)
        for pool, code in sorted(wanted.regions.items())
    ]


def offer(
    backend: str,
    pool: sites.Pool,
    wanted: settings.DispersedSettings,
    here: Sequence[tuple[str, wire.Job]],
    in_flight: int,
    now: dt.datetime,
    problem: str = "",
) -> offers.Offer:
    """Return the offer of a region.

    :param here: keys and jobs of ours in it that are not over.
    :param in_flight: jobs of ours that are not over, in all regions.
    :param problem: why nothing can be had there.
    """
    if problem:
        none = offers.Room(slots=0)
        site = ids.SiteName(f"{backend}/{pool.name}")
        return offers.Offer(site, none, none, now, queue=offers.QueueOffer(accepts=False), detail=problem)
    cpu, memory = wanted.node_cpus * 1000, wanted.node_memory_gb * wire.GB
    chips = (pool.count or 0) if pool.accelerator is not None else 0
    places = wanted.jobs_max if pool.accelerator is not None or pool.count is None else min(pool.count, wanted.jobs_max)
    total = offers.Room(pool.cpu_milli or cpu * places, pool.memory_bytes or memory * places, chips, places)
    left = max(0, min(places - len(here), wanted.jobs_max - in_flight))
    free = offers.Room(
        max(0, total.cpu_milli - sum(job.cpu_count * 1000 for _, job in here)),
        max(0, total.memory_bytes - sum(job.ram_gb * wire.GB for _, job in here)),
        max(0, chips - sum(job.gpu_count for _, job in here)),
        left,
    )
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=now,
        counted=frozenset(ids.AttemptKey(key) for key, _ in here),
        largest_node=offers.Room(min(cpu, total.cpu_milli), min(memory, total.memory_bytes), chips),
        queue=offers.QueueOffer(accepts=left > 0),
        detail="" if left else f"{in_flight} jobs of this backend are in flight, which is all that it may have",
    )
