"""Running jobs when rules, facts, lists, or the date change: stopped, given a grace, or held back with the change."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from orchestrator.control import compliance, policy_clock
from orchestrator.domain import changes, ids, jobs, listings
from orchestrator.inventory import changes as stored_changes
from orchestrator.inventory import screeners
from orchestrator.ports import stores
from tests.sim import worlds
from tests.unit.control.test_loop import Quiet

P = jobs.Phase
HOUR = 3600.0
LONG_S = 10_000_000


def running(count: int = 1, *, away: tuple[str, ...] = ("DE", "SG"), **more) -> tuple[Quiet, list[ids.JobId]]:
    """Return a world with so many running jobs of one tenant, none of them in the countries ``away``."""
    world = Quiet()
    world.deny(frozenset(away))
    found = [world.job(seconds=LONG_S, **more) for _ in range(count)]
    world.turns(5)
    assert {world.phase(id) for id in found} == {P.RUNNING}
    return world, found


def declare(world: Quiet, kind: str, name: str, spec: dict[str, object]) -> None:
    old = world.store.document(kind, name)
    made = worlds.document(kind, name, spec, old.version if old else 0, old.status if old else "{}")
    world.store.commit(stores.Changes(documents=[made]))


def backend(world: Quiet, name: str = "fr", **more: object) -> None:
    spec = json.loads(world._backend(name).body)["spec"] | more
    declare(world, "Backend", name, spec)


def directive(world: Quiet, name: str = "d1", **more: object) -> None:
    declare(world, "Policy", name, {"engine": "directive", "directive": {"parties": ["default"], **more}})


def confirm(world: Quiet, id: str) -> None:
    stored = world.store.document(stored_changes.KIND, id)
    change = stored_changes.of_document(stored)
    said = changes.Confirmation("ada", "it is meant", world.clock.now(), "t")
    new = changes.Change(**{**{each: getattr(change, each) for each in change.__slots__}, "confirmed": said})
    world.store.commit(stores.Changes(documents=[stored_changes.document(new, stored.version)]))


def held(world: Quiet, id: ids.JobId, type: str = changes.HELD) -> jobs.Condition | None:
    found = world.store.job(id).condition(type)
    return found if found is not None and found.status else None


def stopped(world: Quiet, found: list[ids.JobId]) -> set[ids.JobId]:
    return {id for id in found if world.store.job(id).condition("NonCompliant") is not None}


def kinds(world: Quiet) -> list[str]:
    return [link.entry.kind for link in world.store.entries(limit=10_000)]


# --- held changes ---------------------------------------------------------------------------------------------------


def test_one_job_is_stopped_in_the_turn_that_sees_the_change():
    """One job is no fleet: the turn after the change has asked its backend to stop it."""
    world, found = running(1)
    world.deny(frozenset({"FR"}))
    world.loop.tick()
    assert stopped(world, found) == set(found)
    assert world.store.job(found[0]).phase is not P.RUNNING


@pytest.mark.parametrize("count", [2, 6])
def test_a_change_that_would_stop_too_many_is_held(count):
    """All jobs of a tenant run on, each says why, the change is in the journal, and nothing new goes there."""
    world, found = running(count)
    world.deny(frozenset({"FR"}))
    world.turns(5)
    assert not stopped(world, found)
    assert {world.phase(id) for id in found} == {P.RUNNING}
    (change,) = {held(world, id).reason for id in found}
    assert kinds(world).count("change.held") == 1
    kept = stored_changes.of_document(world.store.document(stored_changes.KIND, change))
    assert (kept.count, kept.hits[0].running, kept.documents) == (count, count, ("tenant/default",))
    late = world.job()
    world.turns(5)
    assert str(world.store.job(late).attempt.site) != "fr/p"


def test_the_shares_are_those_of_the_house():
    """One job is never too many; two of twenty are a tenth; three are more; six of a thousand are too many."""

    def too_many(stopped, running):
        return changes.is_too_many((changes.Hit("t", stopped, running),))

    assert [too_many(1, 1), too_many(2, 20), too_many(3, 20), too_many(5, 1000), too_many(6, 1000)] == [
        False, False, True, False, True,
    ]  # fmt: skip
    assert changes.is_too_many(tuple(changes.Hit(name, 1, 100) for name in "abcdef"))


def test_a_confirmed_change_stops_its_jobs():
    """One turn after a person has confirmed it."""
    world, found = running(3)
    world.deny(frozenset({"FR"}))
    world.turns(2)
    confirm(world, held(world, found[0]).reason)
    world.loop.tick()
    assert stopped(world, found) == set(found)
    assert {held(world, id) for id in found} == {None}


def test_a_change_that_is_taken_back_holds_nobody():
    """The jobs run on, and say nothing any more; the same change made again is held again."""
    world, found = running(3)
    world.deny(frozenset({"FR"}))
    world.turns(2)
    first = held(world, found[0]).reason
    world.deny(frozenset({"DE", "SG"}))
    world.turns(2)
    assert held(world, found[0]) is None
    world.deny(frozenset({"FR"}))
    world.turns(2)
    assert held(world, found[0]).reason != first


def test_a_held_change_survives_restarts_and_other_changes():
    """A new loop, another day and an unrelated document leave it held."""
    world, found = running(3)
    world.deny(frozenset({"FR"}))
    world.turns(2)
    change = held(world, found[0]).reason
    for again in range(3):
        world.replace(graceful=again % 2 == 0)
        world.turns(3, seconds=HOUR * 13)
        declare(world, "Operator", f"other-{again}", {"legalCountry": "FR"})
        world.turns(2)
    assert {held(world, id).reason for id in found} == {change}
    assert kinds(world).count("change.held") == 1


def test_a_crash_between_the_change_and_its_jobs_ends_the_same_way():
    """The next loop finds the change that was written and puts the jobs under it, whatever their number is by then."""
    world, found = running(3)
    world.deny(frozenset({"FR"}))
    real, world.loop._commit = world.loop._commit, None
    with pytest.raises(TypeError):
        world.loop.tick()
    assert kinds(world).count("change.held") == 1
    assert real is not None
    world.cancel(found[0])
    world.cancel(found[1])
    world.replace(graceful=False)
    world.turns(6)
    assert held(world, found[2]) is not None
    assert kinds(world).count("change.held") == 1


def test_a_change_made_while_no_loop_was_running_is_held_too():
    """By what running jobs were judged last is durable."""
    world, found = running(3)
    world.loop.close()
    world.deny(frozenset({"FR"}))
    world.replace(graceful=False)
    world.turns(5)
    assert {held(world, id) is not None for id in found} == {True}


def test_an_immediate_directive_is_not_held():
    """Its jobs are stopped in the turn that sees it; without the word they are held."""
    for immediate in (True, False):
        world, found = running(3)
        directive(world, immediate=immediate)
        world.loop.tick()
        assert (stopped(world, found) == set(found)) is immediate
        assert (held(world, found[0]) is not None) is not immediate


def test_a_directive_whose_first_day_comes_is_held_like_one_that_is_applied():
    """A slip of the pen does not get better by waiting for its day."""
    world, found = running(3)
    directive(world, **{"from": "2026-11-23"})
    world.turns(3)
    assert held(world, found[0]) is None
    world.turns(3, seconds=HOUR * 8)
    assert not stopped(world, found)
    assert {held(world, id) is not None for id in found} == {True}


def test_what_the_calendar_brings_is_not_held():
    """A paper that ends on its own day stops every job that needs it, however many."""
    paper = {"scheme": "iso27001", "validTo": "2026-11-22"}
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    for name in worlds.COUNTRIES:
        place = {"country": worlds.COUNTRIES[name], "region": "r"}
        backend(world, name, certifications=[paper | {"service": "s", "regions": ["r"]}], service="s", location=place)
    found = [world.job(seconds=LONG_S, sovereignty=jobs.Sovereignty(certifications=("iso27001",))) for _ in range(3)]
    world.turns(5)
    assert {world.phase(id) for id in found} == {P.RUNNING}
    world.clock.advance(HOUR * 12)
    world.loop.tick()
    assert stopped(world, found) == set(found)


def test_a_sanctions_hit_by_a_number_is_never_held():
    """The jobs at the listed operator stop at once, whatever their number, also those that a change already holds."""
    lei = "969500INVENTEDHOST08"
    world, found = running(3)
    declare(
        world, "Operator", "host", {"legalCountry": "FR", "ultimateParentHq": "FR", "lei": lei, "facts": worlds.STAMP}
    )
    world.turns(2)
    world.deny(frozenset({"FR"}))
    world.turns(2)
    assert held(world, found[0]) is not None
    entry = listings.Entry(
        "7", "un", listings.Kind.ENTITY, ("Host SA",), identifiers=(listings.Identifier("lei", lei),)
    )
    snapshot = listings.Snapshot(
        "un", "un", "csv", dt.date(2026, 11, 22), 7, ids.Digest("sha256:1"), (entry,), digest=ids.Digest("sha256:2")
    )
    screener = screeners.Screener(listings.Loaded(snapshots=(snapshot,)))
    world.inventory._lists = lambda: screener
    world.loop.tick()
    assert stopped(world, found) == set(found)


# --- what merely grew old -------------------------------------------------------------------------------------------


def expire(world: Quiet, *names: str) -> None:
    for name in names or worlds.COUNTRIES:
        backend(world, name, facts=worlds.STAMP | {"validTo": "2026-11-22"})
    world.turns(2)
    world.clock.advance(HOUR * 12)
    world.loop.tick()


def test_facts_that_grew_old_give_a_grace_that_ends():
    """``FactsExpired`` says when the grace ends; the job runs on, nothing new goes there; then it is stopped."""
    world, found = running(3)
    expire(world)
    condition = held(world, found[0], changes.EXPIRED)
    assert condition.reason == "core.stale-facts"
    end = condition.since + compliance.STALE_GRACE
    assert end.isoformat() in condition.message
    late = world.job()
    world.turns(70, seconds=HOUR)
    assert (world.phase(late), {world.phase(id) for id in found}) == (P.QUEUED, {P.RUNNING})
    assert not stopped(world, found)
    world.turns(3, seconds=HOUR)
    assert stopped(world, found) == set(found)


def test_a_restart_does_not_begin_a_grace_anew():
    """Not even one for which the sites are not known at first."""
    world, found = running(1)
    expire(world)
    since = held(world, found[0], changes.EXPIRED).since
    for _ in range(5):
        world.replace(graceful=False)
        world.turns(2, seconds=HOUR)
    assert held(world, found[0], changes.EXPIRED).since == since


def test_facts_that_are_renewed_end_the_grace():
    """The condition goes, and a later end begins another grace."""
    world, found = running(1)
    expire(world)
    for name in worlds.COUNTRIES:
        backend(world, name)
    world.turns(2)
    assert held(world, found[0], changes.EXPIRED) is None


def test_a_violation_during_a_grace_ends_it():
    """What somebody says against the place is no matter of age."""
    world, found = running(1)
    expire(world)
    world.deny(frozenset({"FR"}))
    world.loop.tick()
    assert stopped(world, found) == set(found)


def test_a_list_that_is_too_old_gives_a_grace():
    """Nobody knows whether the operator is on it; nothing new is placed, what runs has its grace."""
    world, found = running(2)
    snapshot = listings.Snapshot(
        "un", "un", "csv", dt.date(2026, 11, 1), 7, ids.Digest("sha256:1"), (), digest=ids.Digest("sha256:2")
    )
    screener = screeners.Screener(listings.Loaded(snapshots=(snapshot,)))
    world.inventory._lists = lambda: screener
    world.turns(2)
    assert held(world, found[0], changes.EXPIRED).reason == "sanctions.list-stale:un"
    assert not stopped(world, found)
    late = world.job()
    world.turns(2)
    assert world.phase(late) is P.QUEUED


# --- the clock ------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_stops_placements_until_it_is_past_again():
    """Nothing is placed, running jobs stay and end as ever; it is journaled once."""
    world, found = running(1)
    brief = world.job(seconds=60)
    world.turns(3)
    world.clock.jump(dt.timedelta(hours=-1))
    late = world.job()
    world.turns(10, seconds=60)
    assert (world.phase(late), world.phase(found[0]), world.phase(brief)) == (P.QUEUED, P.RUNNING, P.SUCCEEDED)
    world.turns(60, seconds=60)
    assert world.phase(late) is not P.QUEUED
    assert [kind for kind in kinds(world) if kind.startswith("clock.")] == ["clock.went-back", "clock.past-again"]


def test_a_new_loop_knows_that_the_clock_went_back():
    """Whether it was noted before the crash, or only stands in the journal's newest entries."""
    for noted in (True, False):
        world, _ = running(1)
        world.clock.jump(dt.timedelta(hours=-1))
        if noted:
            world.turns(1)
        world.replace(graceful=False)
        late = world.job()
        world.turns(1)
        for _ in range(80):  # many entries of the wrong time after it
            world.cancel(world.job())
        world.turns(2)
        world.replace(graceful=False)
        world.turns(2)
        assert world.phase(late) is P.QUEUED, noted


def test_a_small_correction_of_the_clock_stops_nothing():
    """Time servers do that."""
    world, _ = running(1)
    world.clock.jump(-policy_clock.TOLERANCE / 2)
    late = world.job()
    world.turns(5)
    assert world.phase(late) is P.RUNNING


def test_a_leap_of_the_clock_ends_nothing_that_runs():
    """A clock set ten years ahead makes all facts old: new placements stop, running jobs are not judged by it."""
    world, found = running(3)
    world.clock.jump(dt.timedelta(days=3650))
    late = world.job()
    world.turns(5)
    assert ({world.phase(id) for id in found}, world.phase(late)) == ({P.RUNNING}, P.QUEUED)
    assert held(world, found[0], changes.EXPIRED) is None
    world.clock.jump(dt.timedelta(days=-3650))
    world.turns(5)
    assert {world.phase(id) for id in found} == {P.RUNNING}
    assert world.phase(late) is P.QUEUED
    mark, version = stored_changes.clock(world.store)
    said = stored_changes.ClockMark(world.clock.now(), False, world.store.head().seq)
    assert mark.back
    world.store.commit(stores.Changes(documents=[stored_changes.clock_document(said, version)]))
    world.turns(3)
    world.replace(graceful=False)
    world.turns(3)
    assert world.phase(late) is P.RUNNING
