"""Obligations while the loop runs: recorded with the placement, void without it, overdue once and for good."""

from __future__ import annotations

import datetime as dt

import pytest

from orchestrator.control import duties
from orchestrator.domain import jobs, obligations
from orchestrator.ports import stores
from orchestrator.store import failpoints
from tests.unit.control.test_house_rules import apply
from tests.unit.control.test_loop import Quiet

P = jobs.Phase
S = obligations.State
DAY_S = 86_400.0
DUTIES = """
@id("sign") @effect("oblige") @reason("have it signed") @due("3d") forbid(principal, action, resource);
@id("watch") @effect("oblige") @due("none") forbid(principal, action, resource);
"""
SIGN, WATCH = "cedar.own.sign", "cedar.own.watch"


def obliging() -> Quiet:
    """Return a world in which every placement obliges to two things."""
    world = Quiet()
    apply(world, "own", {"engine": "cedar", "text": DUTIES})
    return world


def owed(world: Quiet, job: str | None = None) -> dict[str, obligations.Obligation]:
    """Return the obligations of a job by code; of all jobs, with the job in front."""
    page = world.store.list_obligations(stores.ObligationFilter(), limit=10_000)
    if job is None:
        return {f"{one.job}/{one.duty.code}": one for one in page.items}
    return {one.duty.code: one for one in page.items if one.job == job}


def kinds(world: Quiet, job: str) -> list[str]:
    """Return the journal's words about the obligations of a job."""
    found = [link.entry.kind for link in world.store.entries(subject=f"job/{job}")]
    return [kind for kind in found if kind.startswith("obligation.")]


def pass_days(world: Quiet, days: float) -> None:
    """Let days pass, with a turn after each."""
    for _ in range(int(days)):
        world.clock.advance(DAY_S)
        world.turns(3)


def test_a_placement_brings_what_it_obliges_to():
    """One obligation a code, with where and since when; the job says so, the journal too."""
    world = obliging()
    id = world.job(seconds=500)
    world.turns(3)
    job = world.store.job(id)
    found = owed(world, id)
    assert sorted(found) == [SIGN, WATCH]
    assert (found[SIGN].site, found[SIGN].attempt, found[SIGN].tenant) == (job.attempt.site, 1, "default")
    assert found[SIGN].placed_at == job.attempt.placed_at
    assert (found[SIGN].due_at - found[SIGN].placed_at).days == 3
    assert found[SIGN].duty.source == "policy own, rule sign"
    assert found[WATCH].due_at is None
    assert job.condition(obligations.OBLIGED).message == f"{SIGN}, {WATCH}"
    assert kinds(world, id) == ["obligation.recorded"]


def test_where_no_duty_fires_nothing_is_kept():
    """A job without duties has no condition, no obligation and no word in the journal."""
    world = Quiet()
    id = world.job(seconds=3)
    world.turns(8)
    assert world.phase(id) is P.SUCCEEDED
    assert (owed(world), kinds(world, id)) == ({}, [])
    assert world.store.job(id).condition(obligations.OBLIGED) is None


@pytest.mark.parametrize("place", [failpoints.BEFORE_COMMIT, failpoints.AFTER_COMMIT])
def test_a_crash_at_the_commit_keeps_both_or_neither(place):
    """At no moment is there a placement without what it obliges to, or a duty without its placement."""
    world = obliging()
    world.turns(2)
    id = world.job(seconds=500)

    def die(name):
        if name == place:
            raise KeyboardInterrupt

    world.store.failpoints = die
    with pytest.raises(KeyboardInterrupt):
        world.loop.tick()
    world.store.failpoints = failpoints.nowhere
    kept = place == failpoints.AFTER_COMMIT
    assert (world.store.job(id).attempt is not None, sorted(owed(world, id))) == (kept, [SIGN, WATCH] * kept)
    world.loop = world.new_loop()
    world.turns(60)
    assert world.store.job(id).attempt is not None
    assert sorted(owed(world, id)) == [SIGN, WATCH]
    assert kinds(world, id) == ["obligation.recorded"]


def test_what_was_never_launched_obliges_to_nothing():
    """A placement that is withdrawn takes its duties along; the next one brings them anew."""
    world = obliging()
    world.deny(frozenset({"DE", "SG"}))
    world.turns(2)
    world.loop._dispatcher.start_launches = lambda *_: 0  # the turn ends before it launches
    id = world.job(seconds=500)
    world.turns(1)
    assert world.store.job(id).attempt.site == "fr/p"
    world.deny(frozenset({"FR", "SG"}))
    del world.loop._dispatcher.start_launches
    world.turns(6)
    job = world.store.job(id)
    assert [attempt.site for attempt in job.attempts] == ["fr/p", "de/p"]
    assert job.attempts[0].submitted_at is None
    assert {one.site for one in owed(world, id).values()} == {"de/p"}
    assert {one.state for one in owed(world, id).values()} == {S.OPEN}
    assert kinds(world, id) == ["obligation.recorded", "obligation.withdrawn", "obligation.recorded"]


def test_a_job_that_is_placed_again_owes_once():
    """A retry at the same place changes nothing; the duty runs from the first placement on."""
    world = obliging()
    id = world.job(seconds=2, code=1, retry=jobs.Retry(attempts=3, on=frozenset({jobs.RetryOn.EXIT_CODE})))
    world.turns(200)
    job = world.store.job(id)
    assert len(job.attempts) == 3
    assert job.phase is P.FAILED
    assert owed(world, id)[SIGN].attempt == 1
    assert owed(world, id)[SIGN].state is S.OPEN


def test_a_standing_duty_ends_with_its_job():
    """What lasts as long as the job is void when it ends; what has a day is still to be done."""
    world = obliging()
    id = world.job(seconds=3)
    world.turns(10)
    assert world.phase(id) is P.SUCCEEDED
    assert {code: one.state for code, one in owed(world, id).items()} == {SIGN: S.OPEN, WATCH: S.WITHDRAWN}
    assert owed(world, id)[WATCH].reason == "the job has ended"
    assert not world.store.job(id).condition(obligations.OBLIGED).status


def test_what_is_late_is_told_once_and_stays_late():
    """Condition, entry and report once; a new controller and a clock that goes back change nothing."""
    world = obliging()
    id = world.job(seconds=40 * DAY_S)
    world.turns(3)
    pass_days(world, 2)
    assert owed(world, id)[SIGN].state is S.OPEN
    assert world.store.job(id).condition(obligations.OVERDUE) is None
    world.clock.advance(DAY_S)
    told = [one.duty.code for _ in range(3) for one in world.loop.tick().overdue]
    assert told == [SIGN]
    assert owed(world, id)[SIGN].state is S.OVERDUE
    assert world.store.job(id).condition(obligations.OVERDUE).message == SIGN
    world.loop = world.new_loop()
    world.clock.jump(dt.timedelta(days=-10))
    world.turns(20)
    assert owed(world, id)[SIGN].state is S.OVERDUE
    assert kinds(world, id) == ["obligation.recorded", "obligation.overdue"]


def test_a_clock_that_jumps_ahead_makes_nobody_late():
    """Days pass by the steady clock while the loop lives."""
    world = obliging()
    id = world.job(seconds=40 * DAY_S)
    world.turns(3)
    world.clock.jump(dt.timedelta(days=10))
    world.turns(20)
    assert owed(world, id)[SIGN].state is S.OPEN


def test_a_job_that_ended_can_still_be_late():
    """Nobody is told by a condition; the obligation says it, and the journal."""
    world = obliging()
    id = world.job(seconds=3)
    world.turns(10)
    before = world.store.job(id)
    pass_days(world, 4)
    assert owed(world, id)[SIGN].state is S.OVERDUE
    assert world.store.job(id) == before
    assert kinds(world, id)[-1] == "obligation.overdue"


def test_many_late_ones_are_noted_in_bounded_commits(monkeypatch):
    """A page at a time, each in a turn of its own, until all are noted."""
    monkeypatch.setattr(duties, "PAGE", 2)
    world = obliging()
    made = [world.job(seconds=1) for _ in range(5)]
    world.turns(30)
    world.clock.advance(4 * DAY_S)
    seen = []
    for _ in range(6):
        world.loop.tick()
        seen.append(world.store.count_obligations().get(S.OVERDUE, 0))
        world.clock.advance(1.0)
    assert seen[0] == 2
    assert seen[-1] == len(made)


def test_an_array_owes_once_for_all_its_elements():
    """What is owed for any element is owed by the array; it ends when the last one does."""
    world = obliging()
    id = world.job(seconds=2, array=jobs.ArraySpec(size=6))
    world.turns(4)
    assert {one.job for one in owed(world).values()} == {id}
    assert sorted(owed(world, id)) == [SIGN, WATCH]
    world.turns(40)
    assert world.phase(id) is P.SUCCEEDED
    assert {code: one.state for code, one in owed(world, id).items()} == {SIGN: S.OPEN, WATCH: S.WITHDRAWN}
    assert kinds(world, id) == ["obligation.recorded", "obligation.withdrawn"]
