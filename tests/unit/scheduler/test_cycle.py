"""One cycle: order, promises, gangs, arrays, conditions, poison."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain import ids, jobs, money, offers, sites, tenants
from orchestrator.placement import contents, rows
from orchestrator.scheduler import caches, classes, cycle, queues, snapshots, worlds

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

SITE = samples.site("a/p")
HOUR = dt.timedelta(hours=1)


def where(plan: cycle.Plan) -> list[tuple[int, int | None, str]]:
    """(job number, element, site) of each placement."""
    return [(int(placed.job[3:]), placed.index, str(placed.site)) for placed in plan.placements]


def plan(free: int, queued: list[jobs.Job], **changes: Any) -> cycle.Plan:
    return cycle.plan(samples.snapshot([SITE], [samples.offer("a/p", samples.room(free))], queued, **changes))


def test_jobs_are_placed_in_order_of_arrival_until_nothing_fits() -> None:
    """First come, first placed; the rest waits for room."""
    found = plan(2, [samples.job(3), samples.job(1), samples.job(2)])
    assert where(found) == [(1, None, "a/p"), (2, None, "a/p")]
    assert [(w.wait.type, w.wait.reason, w.jobs) for w in found.waiting] == [
        ("Waiting", "NoRoom", (samples.job(3).id,))
    ]


def test_what_is_promised_and_not_counted_is_not_given_away_twice() -> None:
    """A live attempt that the offer has not counted takes its room; one that it has counted does not."""
    live = snapshots.Live(ids.AttemptKey("k"), SITE.name, samples.room(2, 0, 0), "t/")
    assert len(plan(2, [samples.job(1)], live=[live]).placements) == 0
    counted = samples.offer("a/p", samples.room(2), counted=frozenset({live.key}))
    assert len(cycle.plan(samples.snapshot([SITE], [counted], [samples.job(1)], live=[live])).placements) == 1


def test_the_cheapest_site_is_filled_first_and_names_break_ties() -> None:
    """Jobs go to the best site while it has room, then to the next."""
    dear = samples.site("a/p", price_per_hour=money.Money(9_000_000, "EUR"))
    fleet = [dear, samples.site("c/p"), samples.site("b/p")]
    given = [samples.offer(str(site.name), samples.room(1)) for site in fleet]
    found = cycle.plan(samples.snapshot(fleet, given, [samples.job(n) for n in (1, 2, 3, 4)]))
    assert where(found) == [(1, None, "b/p"), (2, None, "c/p"), (3, None, "a/p")]


def test_priority_comes_before_arrival() -> None:
    """A job of a higher priority of its queue goes first."""
    queue = tenants.Queue("q", "t", priorities=(("normal", 0), ("urgent", 10)))
    world = worlds.World(samples.BOOK, queues={"t": {"q": queue}})
    urgent = samples.job(2, samples.spec(queue="q", priority="urgent"))
    found = plan(1, [samples.job(1, samples.spec(queue="q")), urgent], world=world)
    assert where(found) == [(2, None, "a/p")]


def test_shares_take_turns_by_weight() -> None:
    """Of two queues the one of weight 3 gets three quarters of the room."""
    queued = [samples.job(n, samples.spec(queue="light")) for n in range(1, 9)]
    queued += [samples.job(n, samples.spec(queue="heavy")) for n in range(11, 19)]
    weights = {name: tenants.Queue(name, "t", weight=weight) for name, weight in (("light", 1), ("heavy", 3))}
    found = plan(8, queued, world=worlds.World(samples.BOOK, queues={"t": weights}))
    assert sum(number > 10 for number, _, _ in where(found)) == 6


def test_a_share_that_uses_much_goes_last() -> None:
    """What already runs counts: the other tenant's job is placed although it came later."""
    live = snapshots.Live(ids.AttemptKey("k"), SITE.name, samples.room(4, 0, 0), "t/")
    counted = samples.offer("a/p", samples.room(1), counted=frozenset({live.key}))
    queued = [samples.job(1), samples.job(2, tenant="u")]
    assert where(cycle.plan(samples.snapshot([SITE], [counted], queued, live=[live]))) == [(2, None, "a/p")]


def test_a_gang_goes_to_one_site_or_waits() -> None:
    """Two nodes that only fit on two sites together are not split."""
    fleet = [samples.site("a/p"), samples.site("b/p")]
    given = [samples.offer(str(s.name), samples.room(3), total=samples.room(8)) for s in fleet]
    gang = samples.job(1, samples.spec(2, nodes=2))
    assert where(cycle.plan(samples.snapshot(fleet, given, [gang]))) == []
    given[1] = samples.offer("b/p", samples.room(4), total=samples.room(8))
    assert where(cycle.plan(samples.snapshot(fleet, given, [gang]))) == [(1, None, "b/p")]


def test_small_jobs_backfill_until_a_gang_loses_patience() -> None:
    """A gang that waited too long has a site kept for it; a higher priority may still use the site."""
    fleet = [samples.site("a/p"), samples.site("b/p", location=sites.Location("KP"))]
    given = [samples.offer("a/p", samples.room(3), total=samples.room(8))]
    queue = {"t": {"q": tenants.Queue("q", "t", priorities=(("urgent", 10),))}}

    def at(age: dt.timedelta) -> list[tuple[int, int | None, str]]:
        gang = samples.job(1, samples.spec(2, nodes=2), submitted_at=samples.AT - age)
        queued = [gang, samples.job(2), samples.job(3, samples.spec(queue="q", priority="urgent"))]
        world = worlds.World(samples.BOOK, queues=queue)
        return where(cycle.plan(samples.snapshot(fleet, given, queued, world=world)))

    assert at(dt.timedelta(minutes=1)) == [(3, None, "a/p"), (2, None, "a/p")]
    assert at(HOUR) == [(3, None, "a/p")]


def test_an_impatient_gang_that_fits_goes_first() -> None:
    """Room that is just enough for a gang that waited too long is not given to a small job of a hungrier share."""
    gang = samples.job(9, samples.spec(2, nodes=2), submitted_at=samples.AT - HOUR)
    live = snapshots.Live(ids.AttemptKey("k"), SITE.name, samples.room(1, 0, 0), "t/")
    counted = samples.offer("a/p", samples.room(4), counted=frozenset({live.key}))
    queued = [samples.job(1, tenant="u"), gang]
    assert where(cycle.plan(samples.snapshot([SITE], [counted], queued, live=[live]))) == [(9, None, "a/p")]


def an_array(number: int, size: int, parallel: int | None, **state: Any) -> jobs.Job:
    spec = samples.spec(array=jobs.ArraySpec(size, parallel))
    return samples.job(number, spec, array_state=jobs.ArrayState(**{"untouched": ((0, size),), **state}))


def test_an_array_takes_as_many_elements_as_fit() -> None:
    """Untouched elements are placed in order while there is room."""
    found = plan(3, [an_array(1, 100, None)])
    assert where(found) == [(1, 0, "a/p"), (1, 1, "a/p"), (1, 2, "a/p")]


def test_an_array_keeps_to_its_parallel() -> None:
    """Elements that occupy sites count, and so do retries placed in the same cycle."""
    parent = an_array(1, 10, 3, untouched=((4, 6), (8, 10)), counts=((jobs.Phase.RUNNING, 1),))
    retry = samples.job(1, samples.spec(), parent=parent.id, index=0)
    retry = replace(retry, id=ids.element_id(parent.id, 0))
    found = plan(8, [parent, retry])
    assert len(found.placements) == 2
    assert [p.index for p in plan(8, [replace(parent, spec=samples.spec(array=jobs.ArraySpec(10, 4)))]).placements] == [
        4,
        5,
        8,
    ]


def test_jobs_that_back_off_are_passed_over_until_then() -> None:
    """``not_before`` in the future keeps a job out; in the past it does not."""
    queued = [samples.job(1, not_before=samples.AT + HOUR), samples.job(2, not_before=samples.AT - HOUR)]
    found = plan(8, queued)
    assert where(found) == [(2, None, "a/p")]
    assert found.next_at == samples.AT + HOUR


def test_a_job_that_no_site_may_take_is_unplaceable() -> None:
    """The condition names what refuses, and its decision is kept."""
    found = plan(8, [samples.job(1, samples.spec(16))])
    (waiting,) = found.waiting
    assert (waiting.wait.type, waiting.wait.reason) == ("Unplaceable", "NoSiteMayTakeIt")
    assert "fit.accelerator-count (1)" in waiting.wait.message
    assert not found.decisions[waiting.decision].placeable


def test_a_place_that_was_not_asked_yet_makes_nothing_unplaceable() -> None:
    """Until its adapter has told what it can do a job waits there, unless something else keeps it away for good."""
    new = replace(SITE, capabilities=frozenset())

    def wait(site: sites.Site, **backends: rows.BackendState) -> tuple[str, str]:
        queued = [samples.job(1)]
        (found,) = cycle.plan(
            samples.snapshot([site], [], queued, **({"backends": backends} if backends else {}))
        ).waiting
        assert all(state.detail in found.wait.message for state in backends.values())
        return found.wait.type, found.wait.reason

    broken = rows.BackendState(new.backend, reachable=False, detail="backend.broken")
    assert wait(new, **{new.backend: broken}) == ("Waiting", "NotAnswering")
    assert wait(new) == ("Waiting", "NotAsked")
    known = replace(SITE, capabilities=SITE.capabilities - {offers.Capability.PROCESSES.value})
    assert wait(known) == ("Unplaceable", "NoSiteMayTakeIt")
    assert wait(replace(new, accelerator=None)) == ("Unplaceable", "NoSiteMayTakeIt")


def test_a_condition_is_reported_once() -> None:
    """A job that carries its condition is not reported again; a newcomer is."""
    first = samples.job(1, samples.spec(16))
    wait = plan(8, [first]).waiting[0].wait
    told = replace(first, conditions=(jobs.Condition(wait.type, True, wait.reason, wait.message, samples.AT),))
    assert plan(8, [told]).waiting == ()
    assert plan(8, [told, samples.job(2, samples.spec(16))]).waiting[0].jobs == (samples.job(2).id,)


def test_a_poisonous_spec_is_quarantined_and_others_go_on() -> None:
    """Whatever classification or judging raises is blamed on the job."""
    poison = samples.spec(limits=jobs.Limits(rtt_ms=3, start_within="soon"))  # type: ignore[arg-type]
    worse = samples.job(2, replace(samples.spec(), outputs=(None,)))  # type: ignore[arg-type]
    found = plan(8, [samples.job(1, poison), worse, samples.job(3)])
    assert where(found) == [(3, None, "a/p")]
    assert {job for job, _ in found.quarantined} == {samples.job(1).id, worse.id}


def test_a_lost_offer_and_a_dead_backend_take_nothing() -> None:
    """Without an offer, cordoned or unreachable, a site gets no job, and the job waits."""
    for states in ({"a": rows.BackendState("a", reachable=False)}, {}):
        found = plan(8, [samples.job(1)], backends=states)
        assert (where(found), found.waiting[0].wait.type) == ([], "Waiting")
    found = plan(8, [samples.job(1)], backends={"a": rows.BackendState("a", cordoned=True)})
    assert (where(found), found.waiting[0].wait.type) == ([], "Unplaceable")


def test_a_queueing_site_takes_more_than_it_has_room_for() -> None:
    """Slots bound it, and so does the job's own patience."""
    queue = offers.QueueOffer(True, HOUR)
    offer = samples.offer("a/p", samples.room(1, slots=3), queue=queue)
    queued = [samples.job(n) for n in range(1, 6)]
    assert len(cycle.plan(samples.snapshot([SITE], [offer], queued)).placements) == 3
    hasty = [samples.job(n, samples.spec(limits=jobs.Limits(start_within=HOUR / 2))) for n in range(1, 6)]
    assert len(cycle.plan(samples.snapshot([SITE], [offer], hasty)).placements) == 1


def test_the_number_of_placements_is_bounded() -> None:
    """A cycle stops at its bound."""
    found = plan(8, [samples.job(n) for n in range(1, 6)], settings=snapshots.Settings(placements_max=2))
    assert len(found.placements) == 2


def test_a_warm_cycle_plans_as_a_cold_one() -> None:
    """The cache changes no plan, also after offers, sites and documents changed."""
    cache = caches.Cache()
    other = samples.site("b/p", price_per_hour=money.Money(1, "EUR"))
    closed = worlds.World(
        samples.BOOK, tenants={"t": tenants.Tenant("t", floor=jobs.Sovereignty(countries_allow=("DE",)))}
    )
    queued = [samples.job(n, samples.spec(n)) for n in (1, 2, 9)]
    for fleet, free, world in (
        ([SITE], 8, samples.WORLD),
        ([SITE], 2, samples.WORLD),
        ([SITE, other], 2, samples.WORLD),
        ([SITE, replace(other, accelerator="x")], 2, samples.WORLD),
        ([SITE, other], 8, closed),
    ):
        given = [samples.offer(str(s.name), samples.room(free)) for s in fleet]
        warm = cycle.plan(samples.snapshot(fleet, given, queued, world=world), cache)
        assert warm == cycle.plan(samples.snapshot(fleet, given, queued, world=world))


def test_equal_jobs_of_different_names_are_one_class() -> None:
    """What no question reads does not make a class; what one reads does."""
    one, other = samples.spec(name="x", command=("a",)), samples.spec(name="y", labels=(("k", "v"),))
    assert classes.kind_of("t", one) == classes.kind_of("t", other)
    assert classes.kind_of("t", one) != classes.kind_of("t", samples.spec(2))
    assert classes.kind_of("t", one) != classes.kind_of("u", one)


def test_a_job_that_comes_back_has_its_old_place() -> None:
    """Jobs that left the head of a lane and return are before those that came later."""
    index = queues.QueueIndex(samples.job(n) for n in (1, 2, 3))
    for number in (1, 2):
        index.put(replace(samples.job(number), phase=jobs.Phase.PLACED))
    for number in (2, 1):
        index.put(samples.job(number))
    assert where(plan(1, [], queue=index)) == [(1, None, "a/p")]


def test_another_tenants_data_set_is_not_registered() -> None:
    """Data of another tenant is judged as data nobody knows."""
    data = {"u": {"d": tenants.DataSet("d", "u")}}
    spec = samples.spec(data=jobs.DataClause(reads=(jobs.DataUse("d"),)))
    world = worlds.World(samples.BOOK, data_sets=data)
    assert classes.classify(classes.kind_of("t", spec), world).attributes.unjudgeable
    assert not classes.classify(classes.kind_of("u", spec), world).attributes.unjudgeable


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_index_follows_what_becomes_of_jobs(order: tuple[int, ...]) -> None:
    """Jobs enter in any order, leave when placed, come back in their old place, and lanes vanish when empty."""
    index = queues.QueueIndex(samples.job(n) for n in order)
    index.put(replace(samples.job(1), phase=jobs.Phase.PLACED))
    index.put(samples.job(1))
    (lane,) = index.walk()
    assert [job for job in lane.jobs if job] == [samples.job(n).id for n in (1, 2, 3)]
    for number in order:
        index.discard(samples.job(number).id)
    assert (len(index), list(index.walk())) == (0, [])


def test_an_array_goes_on_at_the_next_site() -> None:
    """Elements that the first site cannot take go to the next, each once."""
    fleet = [samples.site("a/p"), samples.site("b/p")]
    given = [samples.offer(str(site.name), samples.room(2)) for site in fleet]
    found = cycle.plan(samples.snapshot(fleet, given, [an_array(1, 3, None)]))
    assert where(found) == [(1, 0, "a/p"), (1, 1, "a/p"), (1, 2, "b/p")]


def test_contents_are_given_until_a_plan_was_committed() -> None:
    """Until it is said that a plan's contents are durable the next gives the same again; then nothing is repeated."""
    cache, queue = caches.Cache(), queues.QueueIndex([samples.job(1, samples.spec())])
    snapshot = replace(samples.snapshot([samples.site()], [samples.offer()], []), queue=queue)
    first = cycle.plan(snapshot, cache)
    again = cycle.plan(snapshot, cache)
    assert samples.BOOK.digest in first.contents
    assert again.contents == first.contents
    cache.stored()
    queue.discard(again.placements[0].job)
    queue.put(samples.job(2, samples.spec()))
    later = cycle.plan(snapshot, cache)
    assert len(later.placements) == len(later.decisions) == 1
    assert not later.contents
    other = replace(snapshot, queue=queues.QueueIndex([samples.job(3, samples.spec())]))
    assert cycle.plan(other, cache).contents == first.contents


def test_contents_of_sites_are_those_of_now() -> None:
    """What is taken over from an earlier table is what would be made anew, also where one site changed its facts."""
    cache = caches.Cache()
    one, two = samples.site("a/p"), samples.site("b/p")
    offers_ = [samples.offer("a/p"), samples.offer("b/p")]
    cycle.plan(samples.snapshot([one, two], offers_, [samples.job(1, samples.spec())]), cache)
    before = cache.facts()
    changed = replace(two, location=replace(two.location, country="NL"))
    cycle.plan(samples.snapshot([one, changed], offers_, [samples.job(2, samples.spec())]), cache)
    after = cache.facts()
    assert after.each[0] is before.each[0]
    assert [content.body for content in after.each] == [contents.site_content(site).body for site in (one, changed)]
    assert after.facts.digest != before.facts.digest
