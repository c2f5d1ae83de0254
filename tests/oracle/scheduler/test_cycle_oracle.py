"""A whole cycle against brute force: on few jobs and sites every rule can be checked on every possibility."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import ids, jobs, money, offers
from orchestrator.placement import rows
from orchestrator.scheduler import caches, cycle, snapshots

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

free = st.builds(samples.room, st.integers(0, 4), st.integers(0, 4), st.just(64), st.none() | st.integers(0, 3))


@st.composite
def a_snapshot(draw: st.DrawFn) -> snapshots.Snapshot:
    fleet, given_, live = [], [], []
    for number in range(draw(st.integers(1, 4))):
        name = f"b{number}/p"
        fleet.append(samples.site(name, price_per_hour=money.Money(draw(st.integers(1, 3)), "EUR")))
        promised = [
            snapshots.Live(
                ids.AttemptKey(f"{name}-{i}"), fleet[-1].name, samples.room(draw(st.integers(0, 2)), 1, 1), "t/"
            )
            for i in range(draw(st.integers(0, 2)))
        ]
        live += promised
        counted = frozenset(item.key for item in promised if draw(st.booleans()))
        given_.append(samples.offer(name, draw(free), total=samples.room(4, 4), counted=counted))
    queued = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        nodes = draw(st.sampled_from([1, 1, 2]))
        array = jobs.ArraySpec(3, draw(st.none() | st.integers(1, 3))) if nodes == 1 and draw(st.booleans()) else None
        spec = samples.spec(draw(st.integers(0, 3)), nodes=nodes, array=array)
        age = dt.timedelta(minutes=draw(st.sampled_from([0, 60])))
        state = jobs.ArrayState(((0, 3),)) if array else None
        queued.append(
            samples.job(
                number, spec, tenant=draw(st.sampled_from("tu")), array_state=state, submitted_at=samples.AT - age
            )
        )
    return samples.snapshot(fleet, given_, queued, live=live)


def specs(snapshot: snapshots.Snapshot) -> dict[ids.JobId, jobs.JobSpec]:
    return {job: lane.key.kind.spec for lane in snapshot.queue.walk() for job in lane.jobs}


def left(snapshot: snapshots.Snapshot, found: cycle.Plan) -> dict[ids.SiteName, offers.Room]:
    """What is free at each site after the plan, promises included, counted the slow way."""
    asked, rest = specs(snapshot), {}
    for name, offer in snapshot.offers.items():
        taken = [item.room for item in snapshot.live if item.site == name and item.key not in offer.counted]
        taken += [need(asked[placed.job]) for placed in found.placements if placed.site == name]
        room = offer.free
        for one in taken:
            room = rows.remaining(room, one)
        rest[name] = room
    return rest


def need(spec: jobs.JobSpec) -> offers.Room:
    accelerators = spec.resources.accelerators.count if spec.resources.accelerators else 0
    return offers.Room(accelerators=accelerators * spec.nodes, slots=1)


@settings(max_examples=250, deadline=None)
@given(a_snapshot())
def test_a_cycle_never_gives_away_what_is_not_there(snapshot: snapshots.Snapshot) -> None:
    """No site is over-committed by a placement, no job or element is placed twice, gangs are whole."""
    found = cycle.plan(snapshot)
    asked = specs(snapshot)
    for name, room in left(snapshot, found).items():
        here = [asked[placed.job] for placed in found.placements if placed.site == name]
        if any(need(spec).accelerators for spec in here):
            assert room.accelerators >= 0
        assert not here or room.slots is None or room.slots >= 0
    assert all(times == 1 for times in Counter((p.job, p.index) for p in found.placements).values())
    for job in asked:
        placed = [p.index for p in found.placements if p.job == job]
        array = snapshot.queue.arrays.get(job)
        if array is None:
            assert placed in ([], [None])
        else:
            assert placed == list(range(len(placed)))
            assert len(placed) <= (3 if array.budget is None else array.budget)


@settings(max_examples=250, deadline=None)
@given(a_snapshot())
def test_a_job_waits_only_if_nothing_left_could_hold_it(snapshot: snapshots.Snapshot) -> None:
    """Work is conserved: a job stays behind only where no site has room, unless room is kept for an older gang."""
    found = cycle.plan(snapshot)
    asked, rest = specs(snapshot), left(snapshot, found)
    old = (samples.AT - snapshot.settings.patience).timestamp()
    impatient = any(
        lane.since[0] <= old and (lane.key.kind.spec.nodes > 1 or need(lane.key.kind.spec).accelerators > 1)
        for lane in snapshot.queue.walk()
    )
    for job, spec in asked.items():
        array = snapshot.queue.arrays.get(job)
        wanted = 1 if array is None else (3 if array.budget is None else array.budget)
        if sum(p.job == job for p in found.placements) >= wanted or impatient:
            continue
        per_node = need(spec).accelerators // spec.nodes
        for name, room in rest.items():
            total = snapshot.offers[name].total
            assert not rows.holds(room, need(spec)) or per_node > total.accelerators, (job, name)


@settings(max_examples=150, deadline=None)
@given(a_snapshot(), a_snapshot())
def test_the_cache_changes_no_plan(first: snapshots.Snapshot, second: snapshots.Snapshot) -> None:
    """A plan made with the memory of another snapshot equals one made without."""
    cache = caches.Cache()
    cycle.plan(first, cache)
    assert cycle.plan(second, cache) == cycle.plan(second)
