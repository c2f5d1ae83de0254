"""What one cycle may know, frozen: queue, live attempts, offers, sites, documents, the policy clock.

Everything else that a plan depends on is a bug. ``reserved`` is what attempts promised to a site take that its offer
has not counted: without subtracting it a cycle would give the same room away twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import ids, jobs, offers, sites
from orchestrator.placement import requirements, rows
from orchestrator.scheduler import queues, worlds


@dataclass(frozen=True, slots=True)
class Live:
    """An attempt that occupies, or may occupy, room at its site."""

    key: ids.AttemptKey
    site: ids.SiteName
    room: offers.Room
    share: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds of a cycle. ``patience``: how long a big job waits before room is kept for it.

    ``draw_key``: by which places of verified jobs are drawn; empty: none of them is placed.
    """

    placements_max: int = 10_000
    patience: dt.timedelta = dt.timedelta(minutes=10)
    draw_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One cycle's knowledge. ``at`` is the policy clock, UTC."""

    at: dt.datetime
    term: ids.Term
    world: worlds.World
    sites: Sequence[sites.Site]
    offers: Mapping[ids.SiteName, offers.Offer] = field(default_factory=dict)
    backends: Mapping[str, rows.BackendState] = field(default_factory=dict)
    live: Sequence[Live] = ()
    queue: queues.QueueIndex = field(default_factory=queues.QueueIndex)
    settings: Settings = field(default_factory=Settings)


def live_of(job: jobs.Job) -> Live | None:
    """Return what a job's current attempt occupies; None where it has none that does."""
    attempt = job.attempt
    if attempt is None or job.phase not in jobs.OCCUPYING:
        return None
    return Live(attempt.key, attempt.site, requirements.room_of(job.spec), worlds.share_of(job.tenant, job.spec))


def reserved(live: Iterable[Live], known: Mapping[ids.SiteName, offers.Offer]) -> dict[ids.SiteName, offers.Room]:
    """Return what is promised at each site and not counted by its offer."""
    found: dict[ids.SiteName, offers.Room] = {}
    for item in live:
        offer = known.get(item.site)
        if offer is None or item.key not in offer.counted:
            found[item.site] = rows.added(found.get(item.site, rows.NO_ROOM), item.room)
    return found


def rows_of(snapshot: Snapshot) -> dict[ids.SiteName, rows.Row]:
    """Return every site as a row, in the order of names."""
    promised = reserved(snapshot.live, snapshot.offers)
    return {
        site.name: rows.Row(
            site=site,
            offer=snapshot.offers.get(site.name),
            backend=snapshot.backends.get(site.backend),
            reserved=promised.get(site.name, rows.NO_ROOM),
        )
        for site in sorted(snapshot.sites, key=lambda site: site.name)
    }
