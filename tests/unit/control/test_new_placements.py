"""What is new obeys what is in force at the very moment of its launch: each kind of change, made after the decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from orchestrator.domain import jobs
from tests.sim import rules, worlds
from tests.unit.control.test_compliance import HOUR, backend, declare, directive
from tests.unit.control.test_loop import Quiet

P = jobs.Phase
LATE = '@id("late") forbid(principal, action, resource) when { context.hour >= 13 };'


def quiet() -> Quiet:
    """Return a world in which jobs go to France, where facts end today and a list is in force."""
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    backend(world, "fr", facts=worlds.STAMP | {"validTo": "2026-11-22"})
    declare(world, "Operator", "host", rules.operator("host"))
    world.rules.take_list(frozenset(), dt.date(2026, 11, 25))
    world.turns(3)
    return world


def between(world: Quiet, change: Callable[[Quiet], object]) -> None:
    """Make a change once, right after the placement is durable and before anything is launched."""
    real, done = world.loop._plan_and_commit, []

    def plan_and_commit(*args):
        placed = real(*args)
        if placed and not done:
            done.append(change(world))
        return placed

    world.loop._plan_and_commit = plan_and_commit


CHANGES: dict[str, Callable[[Quiet], object]] = {
    "a tenant's floor": lambda world: world.deny(frozenset({"FR", "DE", "SG"})),
    "a fact of the place": lambda world: backend(world, "fr", location={"country": "SG"}, facts=worlds.STAMP),
    "a place that cannot be read": lambda world: declare(world, "Backend", "fr", {"adapter": 5}),
    "a directive": directive,
    "a policy of the house": lambda world: declare(
        world, "Policy", "own", {"engine": "cedar", "text": LATE.replace(">= 13", ">= 0")}
    ),
    "a policy that cannot be read": lambda world: declare(world, "Policy", "own", rules.POISONS[0]),
    "a list that names the operator": lambda world: world.rules.take_list(frozenset({"host"}), dt.date(2026, 11, 25)),
    "a list that is too old": lambda world: world.rules.take_list(frozenset(), dt.date(2026, 11, 21)),
    "the end of the day": lambda world: world.clock.advance(13 * HOUR),
    "a clock that goes back": lambda world: world.clock.jump(dt.timedelta(hours=-1)),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_launch_that_was_decided_before_is_not_made(change):
    """The placement is withdrawn by its own code, nothing reaches the backend, and the job waits."""
    world = quiet()
    between(world, CHANGES[change])
    id = world.job()
    world.turns(6)
    job = world.store.job(id)
    assert job.phase is P.QUEUED
    assert [attempt.phase for attempt in job.attempts] == [P.CANCELLED]
    assert job.attempts[0].reason in {"RulesChanged", "FactsChanged", "VerdictExpired", "ClockWentBack"}
    assert not any(machine.current() for machine in world.machines.values())


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_job_that_comes_after_the_change_is_not_placed(change):
    """Not at the loop's own door either."""
    world = quiet()
    CHANGES[change](world)
    for rate in (0.0, 1.0):
        world.arrival_rate = rate
        id = world.job()
        world.turns(3)
        assert (world.phase(id), world.store.job(id).attempts) == (P.QUEUED, ())


def test_a_verdict_that_ends_within_a_day_ends_for_what_runs_too():
    """A rule about the hour stops the running job in the first turn of that hour, and no launch slips through."""
    world = quiet()
    declare(world, "Policy", "own", {"engine": "cedar", "text": LATE})
    id = world.job(seconds=100_000)
    world.turns(5)
    assert world.phase(id) is P.RUNNING
    between(world, lambda world: world.clock.advance(HOUR))
    late = world.job()
    world.loop.tick()
    assert world.store.job(id).condition("NonCompliant").reason == "cedar.own.late"
    assert [attempt.reason for attempt in world.store.job(late).attempts] == ["VerdictExpired"]
