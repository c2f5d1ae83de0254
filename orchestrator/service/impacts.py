"""Whom a change would hit: every live job judged in the world as it is, and as it would be. Nothing is changed.

By the very judgement that the loop acts on, so what a dry run says is what would happen: running jobs that would be
stopped, or get a grace, queued jobs that no site could take any more; and whether the change would be held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import changes, ids, jobs
from orchestrator.inventory import worlds
from orchestrator.ports import stores
from orchestrator.scheduler import snapshots, standings
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.service import access, contexts
from orchestrator.service import changes as change_service
from orchestrator.service import snapshots as snapshot_service

JUDGED = frozenset({"ControlPlane", "Operator", "Backend", "DataSet", "Tenant", "Policy"})
"""Kinds whose change may change an answer."""
LOOKED_AT_MAX = 50_000
"""Live jobs that are judged; where there are more, the answer says that it is not complete."""
NAMED_MAX = 20
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change would do, by tenant. ``held``: it would stop so many that it would wait for a person."""

    stopped: tuple[changes.Hit, ...] = ()
    graced: tuple[changes.Hit, ...] = ()
    unplaceable: tuple[changes.Hit, ...] = ()
    codes: tuple[str, ...] = ()
    held: bool = False
    complete: bool = True


def of(
    context: contexts.Context, changed: Sequence[stores.Document], gone: Sequence[tuple[str, str, str]] = ()
) -> Impact:
    """Return whom it would hit if ``changed`` were declared and ``gone`` withdrawn. Raises ServiceError."""
    live = list(_live(context))
    before, after = context.world(), context.inventory.imagine(changed, gone)
    running = [job for job in live if job.phase in _RUNS]
    queued = [job for job in live if job.phase is jobs.Phase.QUEUED or job.array_state is not None]
    with context.snapshots.lock:
        now, then = (_judged(context, world, running) for world in (after, before))
        open_now, open_then = (_placeable(context, world, queued) for world in (after, before))
    refused = {id: one for id, one in now.items() if one.codes and (id not in then or not then[id].codes)}
    stopped = _hits(running, {id for id, one in refused.items() if not one.stale})
    waits = _hits(running, {id for id, one in refused.items() if not one.stale and not one.at_once})
    return Impact(
        stopped=stopped,
        graced=_hits(running, {id for id, one in refused.items() if one.stale}),
        unplaceable=_hits(queued, open_then - open_now),
        codes=tuple(sorted({code for one in refused.values() for code in one.codes}))[:NAMED_MAX],
        held=changes.is_too_many(waits),
        complete=len(live) < LOOKED_AT_MAX,
    )


def shown(who: access.Principal, impact: Impact) -> dict[str, Any]:
    """Return an impact as JSON: jobs of other tenants are counted and not named, but for an administrator."""
    named = {
        word: [change_service.hit_shown(who, hit) for hit in hits]
        for word, hits in (
            ("stops", impact.stopped),
            ("graces", impact.graced),
            ("unplaceable", impact.unplaceable),
        )
    }
    return {**named, "codes": list(impact.codes), "held": impact.held, "complete": impact.complete}


_RUNS = frozenset({jobs.Phase.PLACED, jobs.Phase.STARTING, jobs.Phase.RUNNING})


def _live(context: contexts.Context) -> Iterator[jobs.Job]:
    """Yield live jobs, running ones first, at most so many."""
    left = LOOKED_AT_MAX
    for wanted in (
        stores.JobFilter(phases=_RUNS, top_level_only=False),
        stores.JobFilter(phases=frozenset({jobs.Phase.QUEUED})),
    ):
        cursor = None
        while left > 0:
            page = context.store.list_jobs(wanted, limit=min(_PAGE, left), cursor=cursor)
            left -= len(page.items)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                break


def _judged(
    context: contexts.Context, world: worlds.World, running: Sequence[jobs.Job]
) -> Mapping[ids.JobId, standings.Standing]:
    return standings.judge(_declared(context, world), world.sites, running, context.clock.now()).of


def _placeable(context: contexts.Context, world: worlds.World, queued: Sequence[jobs.Job]) -> frozenset[ids.JobId]:
    seen = context.inventory.sightings.seen()
    snapshot = snapshots.Snapshot(
        at=context.clock.now(),
        term=ids.Term(0),
        world=_declared(context, world),
        sites=world.sites,
        offers=seen.all_offers(),
        backends=snapshot_service.backend_states(world, seen),
    )
    return standings.placeable(snapshot, queued)


def _declared(context: contexts.Context, world: worlds.World) -> scheduler_worlds.World:
    return context.snapshots.declared(world, context.clock.now())


def _hits(among: Iterable[jobs.Job], wanted: frozenset[ids.JobId] | set[ids.JobId]) -> tuple[changes.Hit, ...]:
    counts: dict[str, int] = {}
    found: dict[str, list[ids.JobId]] = {}
    for job in among:
        counts[job.tenant] = counts.get(job.tenant, 0) + 1
        if job.id in wanted:
            found.setdefault(job.tenant, []).append(job.id)
    return tuple(
        changes.Hit(tenant, len(hit), counts[tenant], tuple(sorted(hit)[:NAMED_MAX]))
        for tenant, hit in sorted(found.items())
    )
