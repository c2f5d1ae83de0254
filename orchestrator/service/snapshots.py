"""What plan and explain may know: the declared world and what was last seen, as the scheduler reads them.

The same values as those of the loop's cycle; the rows are read from the store, and nothing waits for a backend.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping

from orchestrator.domain import jobs
from orchestrator.inventory import judged, sightings, worlds
from orchestrator.placement import requirements, rows
from orchestrator.ports import stores
from orchestrator.scheduler import caches, snapshots
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.service import contexts, problems

_PAGE = 500
LIVE_MAX = 100_000


class Snapshots:
    """Makes snapshots, and keeps the scheduler's memory for them; one at a time, because that memory is not shared."""

    def __init__(
        self, accelerators: Callable[[str], tuple[str, ...]], tables: requirements.Tables = requirements.NO_TABLES
    ) -> None:
        self.lock = threading.Lock()
        self.cache = caches.Cache()
        self._accelerators = accelerators
        self._tables = tables
        self._world: tuple[worlds.World, scheduler_worlds.World, dt.date | None] | None = None
        self._live: tuple[int, tuple[snapshots.Live, ...]] | None = None

    def make(self, context: contexts.Context, at: dt.datetime) -> snapshots.Snapshot:
        """Return what is known now. Raises ServiceError while no rule book is loaded. Call it under ``lock``."""
        world = context.world()
        seen = context.inventory.sightings.seen()
        states = backend_states(world, seen)
        return snapshots.Snapshot(
            at=at,
            term=context.store.current_term(),
            world=self.declared(world, at),
            sites=world.sites,
            offers=seen.all_offers(),
            backends=states,
            live=self._occupying(context),
        )

    def declared(self, world: worlds.World, at: dt.datetime) -> scheduler_worlds.World:
        """Return the declared world as the scheduler reads it. Raises ServiceError without a rule book."""
        known = self._world
        day = judged.day_of(world, at)
        if known is not None and known[0] is world and known[2] == day:
            return known[1]
        if world.book is None:
            text = "no rule book is loaded, so nothing can be judged"
            raise problems.ServiceError(problems.Kind.UNAVAILABLE, "policy.unavailable", text)
        made = judged.of(world, world.book, at, tables=self._tables, accelerators=self._accelerators)
        self._world = (world, made, day)
        return made

    def _occupying(self, context: contexts.Context) -> tuple[snapshots.Live, ...]:
        head = context.store.head().seq
        if self._live is not None and self._live[0] == head:
            return self._live[1]
        wanted = stores.JobFilter(phases=jobs.OCCUPYING, top_level_only=False)
        found: list[snapshots.Live] = []
        cursor = None
        while len(found) < LIVE_MAX:
            page = context.store.list_jobs(wanted, limit=_PAGE, cursor=cursor)
            found += [live for job in page.items if (live := snapshots.live_of(job)) is not None]
            cursor = page.cursor
            if cursor is None:
                break
        self._live = (head, tuple(found))
        return self._live[1]


def backend_states(world: worlds.World, seen: sightings.Seen) -> Mapping[str, rows.BackendState]:
    """Return what is known of each backend besides its document."""
    return {name: _state(name, world, seen.of(name)) for name in world.backends}


def _state(name: str, world: worlds.World, sighting: sightings.Sighting) -> rows.BackendState:
    return rows.BackendState(
        name=name,
        reachable=sighting.reachable,
        cordoned=name in world.cordoned or name in world.draining,
        nodes_max=sighting.capabilities.max_nodes if sighting.capabilities is not None else None,
        detail=sighting.error_code,
    )
