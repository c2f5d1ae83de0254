"""What partitions have and have left, and how long one waits there. Pure.

What is left is reckoned from one list of jobs, so that it is counted exactly when it is subtracted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
from collections.abc import Callable, Mapping, Sequence

from backends.slurm import observe, settings, wire
from orchestrator.domain import ids, offers, sites

MIB = 2**20
HISTORY_S = 24 * 3600
"""Waits of jobs that began within so many seconds are what is expected of the next."""


def offer(
    pool: sites.Pool,
    share: settings.Share,
    gres: str,
    backend: str,
    seen: tuple[Sequence[wire.Node], Mapping[str, bool], Sequence[wire.Job]],
    now: dt.datetime,
    own: Callable[[wire.Job], bool],
    *,
    isolated: bool,
) -> offers.Offer:
    """Return the offer of a pool.

    :param gres: of its accelerators.
    :param seen: nodes; whether each partition is up; all jobs that Slurm knows.
    :param own: whether a job is an attempt of this backend.
    """
    nodes, up, jobs = seen
    partition = share.partition or pool.name
    ready = [node for node in nodes if partition in node.partitions and node.ready]
    running = [job for job in jobs if job.partition == partition and job.states & observe.RUNNING]
    cpus = sum(node.cpus for node in ready)
    memory = sum(node.memory_mib for node in ready)
    gpus = sum(wire.count(node.gres, gres) for node in ready)
    total = offers.Room(cpus * 1000, memory * MIB, gpus)
    free = offers.Room(
        max(0, cpus - sum(job.cpus for job in running)) * 1000,
        max(0, memory - sum(job.memory_mib for job in running)) * MIB,
        max(0, gpus - sum(wire.count(job.gres, gres) for job in running)),
    )
    largest = max(ready, key=lambda node: (wire.count(node.gres, gres), node.cpus, node.memory_mib), default=None)
    problem = "" if partition in up else f"the cluster has no partition {partition}"
    if not problem and not (up[partition] and ready):
        problem = f"partition {partition} is down, or none of its nodes takes jobs"
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=now,
        counted=frozenset(ids.AttemptKey(job.name) for job in running if own(job)),
        largest_node=_room(largest, gres) if largest is not None else None,
        queue=offers.QueueOffer(not problem, wait(partition, jobs, free, now) if not problem else None),
        isolation_none=not isolated,
        detail=problem,
    )


def bounded(offer: offers.Offer, left: int | None, most: int | None) -> offers.Offer:
    """Return an offer under a bound of jobs in flight: with none left nothing is taken, and it says why."""
    if left is None:
        return offer
    free = max(0, most - len(offer.counted)) if most is not None and left else 0
    made = dataclasses.replace(
        offer, free=dataclasses.replace(offer.free, slots=free), total=dataclasses.replace(offer.total, slots=most)
    )
    if left:
        return made
    text = f"{most} jobs of this backend are in flight, which is its jobsMax"
    return dataclasses.replace(made, queue=offers.QueueOffer(accepts=False), detail=offer.detail or text)


def wait(partition: str, jobs: Sequence[wire.Job], free: offers.Room, now: dt.datetime) -> dt.timedelta | None:
    """Return how long one waits in a partition: nothing where there is room and nobody waits; else what Slurm expects
    of those who wait, else what those who began lately waited; None where nothing tells.
    """
    now_s = now.timestamp()
    here = [job for job in jobs if job.partition == partition]
    pending = [job for job in here if job.states & observe.WAITING]
    if not pending and free.cpu_milli > 0:
        return dt.timedelta(0)
    if expected := [job.start_s - now_s for job in pending if job.start_s > now_s]:
        return dt.timedelta(seconds=round(max(expected)))
    began = [job for job in here if 0 < job.submit_s <= job.start_s <= now_s and now_s - job.start_s <= HISTORY_S]
    if not began:
        return None
    return dt.timedelta(seconds=round(statistics.median(job.start_s - job.submit_s for job in began)))


def _room(node: wire.Node, gres: str) -> offers.Room:
    return offers.Room(node.cpus * 1000, node.memory_mib * MIB, wire.count(node.gres, gres))
