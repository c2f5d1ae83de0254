"""What partitions have and have left, and how long one waits there. Pure.

What is left is reckoned from one list of jobs, so that it is counted exactly when it is subtracted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
from collections.abc import Callable, Mapping, Sequence

from backends.slurm import observe, reservations, settings, wire
from orchestrator.domain import ids, offers, sites

MIB = 2**20
HISTORY_S = 24 * 3600
"""Waits of jobs that began within so many seconds are what is expected of the next."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What was read of a cluster: its nodes, whether each partition is up, all jobs, and maintenance windows."""

    nodes: Sequence[wire.Node]
    up: Mapping[str, bool]
    jobs: Sequence[wire.Job]
    windows: Sequence[reservations.Window] = ()
    given_minutes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Partition -> time limit of a job that names none; 0: none."""

    def window(
        self, partition: str, share: settings.Share, now_s: float, until_s: float | None
    ) -> reservations.Window | None:
        """Return the window that keeps whoever would run until then (None: for ever) off all nodes of a partition."""
        names = frozenset(
            one.name for one in self.nodes if partition in one.partitions and (one.ready or one.maintained)
        )
        return reservations.ahead(self.windows, share, names, until_s, now_s)


def offer(
    pool: sites.Pool,
    share: settings.Share,
    gres: str,
    backend: str,
    seen: Seen,
    now: dt.datetime,
    own: Callable[[wire.Job], bool],
    *,
    isolated: bool,
) -> offers.Offer:
    """Return the offer of a pool.

    :param gres: of its accelerators.
    :param own: whether a job is an attempt of this backend.
    """
    up, jobs = seen.up, seen.jobs
    partition = share.partition or pool.name
    ready = [node for node in seen.nodes if partition in node.partitions and node.ready]
    rests = [node for node in seen.nodes if partition in node.partitions and node.maintained]
    running = [job for job in jobs if job.partition == partition and job.states & observe.RUNNING]
    cpus = sum(node.cpus for node in ready)
    memory = sum(node.memory_mib for node in ready)
    gpus = sum(wire.count(node.gres, gres) for node in ready)
    total = offers.Room(
        (cpus + sum(node.cpus for node in rests)) * 1000,
        (memory + sum(node.memory_mib for node in rests)) * MIB,
        gpus + sum(wire.count(node.gres, gres) for node in rests),
    )
    free = offers.Room(
        max(0, cpus - sum(job.cpus for job in running)) * 1000,
        max(0, memory - sum(job.memory_mib for job in running)) * MIB,
        max(0, gpus - sum(wire.count(job.gres, gres) for job in running)),
    )
    largest = max(
        ready + rests, key=lambda node: (wire.count(node.gres, gres), node.cpus, node.memory_mib), default=None
    )
    problem = "" if partition in up else f"the cluster has no partition {partition}"
    window = seen.window(partition, share, now.timestamp(), now.timestamp() + 1)
    if not problem and not (up[partition] and (ready or window)):
        problem = f"partition {partition} is down, or none of its nodes takes jobs"
    waits = wait(partition, jobs, free, now) if not problem else None
    if window is not None and not problem:  # whoever waits anyway waits on afterwards; nobody begins before
        waits = max(dt.timedelta(seconds=round(window.end_s - now.timestamp())), waits or dt.timedelta(0))
        free = offers.Room()
    later = window or seen.window(partition, share, now.timestamp(), None)
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=now,
        counted=frozenset(ids.AttemptKey(job.name) for job in running if own(job)),
        largest_node=_room(largest, gres) if largest is not None else None,
        queue=offers.QueueOffer(not problem, waits),
        isolation_none=not isolated,
        detail=problem or (later.text if later is not None else ""),
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
