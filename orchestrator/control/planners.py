"""The planner that the product runs: ``scheduler.cycle`` over a queue index that is fed with every committed job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.control import planning
from orchestrator.domain import decisions, events, ids, jobs
from orchestrator.inventory import judged, worlds
from orchestrator.placement import requirements, rows
from orchestrator.scheduler import caches, cycle, queues, snapshots, standings
from orchestrator.scheduler import worlds as scheduler_worlds

HELD = "Held"


def _as_written(name: str) -> tuple[str, ...]:
    return (name,)


@dataclass(slots=True)
class SchedulerPlanner:
    """Implements ``planning.Planner``. Not thread-safe, but for ``stamp``."""

    tables: requirements.Tables = requirements.NO_TABLES
    accelerators: Callable[[str], tuple[str, ...]] = _as_written
    settings: snapshots.Settings = field(default_factory=snapshots.Settings)
    _queue: queues.QueueIndex = field(default_factory=queues.QueueIndex)
    _cache: caches.Cache = field(default_factory=caches.Cache)
    _source: worlds.World | None = None
    _day: dt.date | None = None
    _world: scheduler_worlds.World | None = None
    _live: dict[ids.JobId, snapshots.Live] = field(default_factory=dict)

    def put(self, job: jobs.Job) -> None:
        """See the port."""
        held = job.condition(HELD)
        if held is not None and held.status and job.array_state is None:
            self._queue.discard(job.id)
        else:
            self._queue.put(job)
        live = snapshots.live_of(job) if job.array_state is None else None
        if live is None:
            self._live.pop(job.id, None)
        elif (known := self._live.get(job.id)) is None or known.key != live.key:
            self._live[job.id] = live

    def discard(self, job: ids.JobId) -> None:
        """See the port."""
        self._queue.discard(job)
        self._live.pop(job, None)

    def clear(self) -> None:
        """See the port."""
        self._queue = queues.QueueIndex()
        self._live.clear()

    def stored(self) -> None:
        """See the port."""
        self._cache.stored()

    def stamp(self, world: worlds.World, at: dt.datetime) -> planning.Stamp:
        """See the port. The day is not in it: a verdict's own expiry says when time alone changes it."""
        book = world.book
        return planning.Stamp(book.digest if book is not None else ids.NO_DIGEST, world.facts)

    def plan(self, cycle_: planning.Cycle) -> planning.Plan:
        """See the port. Without a rule book nothing is placed: nobody could judge."""
        if cycle_.world.book is None:
            return planning.Plan()
        plan = cycle.plan(self._snapshot(cycle_), self._cache)
        placements = [self._placement(placed, cycle_) for placed in plan.placements]
        pairs = list(zip(placements, plan.placements, strict=True))
        return planning.Plan(
            placements=placements,
            counted={placement.key: placed.counted for placement, placed in pairs if placed.counted},
            owed={placement.key: placed.owed for placement, placed in pairs if placed.owed},
            hands={placement.key: placed.hand for placement, placed in pairs if placed.hand is not None},
            made=tuple(plan.decisions.values()),
            contents=tuple(plan.contents.values()),
            notes=_notes(plan, cycle_),
        )

    def standings(self, world: worlds.World, here: Sequence[jobs.Job], at: dt.datetime) -> standings.Standings:
        """See the port."""
        if world.book is None or not here:
            return standings.Standings()
        return standings.judge(self.declared(world, at), world.sites, here, at)

    def declared(self, world: worlds.World, at: dt.datetime) -> scheduler_worlds.World:
        """See the port."""
        day = judged.day_of(world, at)
        if self._world is None or self._source is not world or self._day != day:
            if world.book is None:
                raise ValueError("a world without a rule book")
            self._source, self._day = world, day
            self._world = judged.of(world, world.book, at, tables=self.tables, accelerators=self.accelerators)
        return self._world

    def _snapshot(self, cycle_: planning.Cycle) -> snapshots.Snapshot:
        world, seen = cycle_.world, cycle_.seen
        states: dict[str, rows.BackendState] = {}
        for name in world.backends:
            sighting = seen.of(name)
            states[name] = rows.BackendState(
                name,
                reachable=sighting.reachable,
                cordoned=name in world.cordoned or name in world.draining,
                nodes_max=sighting.capabilities.max_nodes if sighting.capabilities else None,
                detail=sighting.error_code,
            )
        return snapshots.Snapshot(
            at=cycle_.at,
            term=cycle_.term,
            world=self.declared(world, cycle_.at),
            sites=world.sites,
            offers=seen.all_offers(),
            backends=states,
            live=list(self._live.values()),
            queue=self._queue,
            settings=self.settings,
        )

    def _placement(self, placed: cycle.Placed, cycle_: planning.Cycle) -> decisions.Placement:
        job = placed.job if placed.index is None else ids.element_id(placed.job, placed.index)
        number = cycle_.next_number(job)
        return decisions.Placement(
            key=ids.attempt_key(job, number),
            job=job,
            number=number,
            site=placed.site,
            decision=placed.decision,
            policy=placed.policy,
            facts=placed.facts,
            expires=placed.expires,
            placed_at=cycle_.at,
            term=cycle_.term,
        )


def _notes(plan: cycle.Plan, cycle_: planning.Cycle) -> list[tuple[ids.JobId, events.ConditionChanged]]:
    found: list[tuple[ids.JobId, events.ConditionChanged]] = []
    at, live = cycle_.at, cycle_.live
    for waiting in plan.waiting:
        wait = waiting.wait
        event = events.ConditionChanged(at, wait.type, True, wait.reason, wait.message[:1000])
        other = queues.WAITING if wait.type == queues.UNPLACEABLE else queues.UNPLACEABLE
        past = events.ConditionChanged(at, other, False, wait.reason, "")
        for job in waiting.jobs:
            found.append((job, event))
            if (known := live.get(job)) is None or known.condition(other) is not None:
                found.append((job, past))
    for job, text in plan.quarantined:
        note = events.ConditionChanged(at, queues.QUARANTINED, True, "SchedulerFailed", text[:500])
        found.append((job, note))
    return found
