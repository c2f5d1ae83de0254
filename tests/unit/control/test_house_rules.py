"""Policies of the house and directives while the loop runs: judged from the next turn on, for running jobs too."""

from __future__ import annotations

import pytest

from orchestrator.domain import jobs
from orchestrator.placement import records
from orchestrator.ports import stores
from orchestrator.scheduler import answers
from tests.sim import worlds
from tests.unit.control.test_loop import Quiet

P = jobs.Phase
NOT_FRANCE = (
    '@id("no-france") forbid(principal, action, resource) when { resource has country && resource.country == "FR" };'
)


def apply(world: Quiet, name: str, spec: dict[str, object]) -> None:
    old = world.store.document("Policy", name)
    version = old.version if old is not None else 0
    world.store.commit(stores.Changes(documents=[worlds.document("Policy", name, spec, version)]))


def withdraw(world: Quiet, name: str) -> None:
    old = world.store.document("Policy", name)
    assert old is not None
    world.store.commit(stores.Changes(delete_documents=[("Policy", "", name, old.version)]))


def test_an_applied_policy_moves_a_running_job():
    """The job that runs where the new rule refuses is stopped, told the code, and goes where it may."""
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    id = world.job(seconds=500)
    world.turns(5)
    assert world.store.job(id).attempt.site == "fr/p"
    world.deny(frozenset())
    apply(world, "own", {"engine": "cedar", "text": NOT_FRANCE})
    told = []
    for _ in range(8):
        world.turns(1)
        told += [one.message for one in world.store.job(id).conditions if one.type == "NonCompliant"]
    job = world.store.job(id)
    assert job.attempts[0].site == "fr/p"
    assert job.attempt.site in ("de/p", "sg/p")
    assert any("cedar.own.no-france" in message for message in told)


def test_a_directive_loads_while_running_and_goes_when_it_is_withdrawn():
    """New jobs of the model named wait from the next turn on; withdrawn, they run."""
    world = Quiet()
    apply(world, "d1", {"engine": "directive", "directive": {"models": ["fable-5"]}})
    named = world.job(model=jobs.ModelClause(id="fable-5"))
    other = world.job(model=jobs.ModelClause(id="other"))
    world.turns(4)
    assert (world.phase(named), world.phase(other)) == (P.QUEUED, P.RUNNING)
    assert "directive.d1" in world.store.job(named).condition("Unplaceable").message
    withdraw(world, "d1")
    world.turns(4)
    assert world.phase(named) is P.RUNNING


@pytest.mark.parametrize(
    "spec",
    [
        {"engine": "prolog", "text": "x"},
        {"engine": "cedar", "text": "forbid (principal"},
        {
            "engine": "cedar",
            "text": '@id("a") forbid(principal, action, resource) when { 9223372036854775807 + 1 == 0 };',
        },
    ],
)
def test_a_poisoned_policy_opens_nothing_and_stalls_nothing(spec):
    """What cannot be read, parsed or evaluated refuses every site by its code; the loop goes on turning."""
    world = Quiet()
    apply(world, "bad", spec)
    id = world.job()
    world.turns(4)
    assert world.phase(id) is P.QUEUED
    assert "cedar.error:bad" in world.store.job(id).condition("Unplaceable").message
    withdraw(world, "bad")
    world.turns(4)
    assert world.phase(id) is P.RUNNING


def test_a_decision_says_later_what_the_policy_of_its_time_said():
    """The rule book that a decision names is stored with the text of the policy."""
    world = Quiet()
    apply(world, "own", {"engine": "cedar", "text": NOT_FRANCE})
    id = world.job()
    world.turns(4)
    attempt = world.store.job(id).attempt
    assert attempt.site in ("de/p", "sg/p")
    withdraw(world, "own")
    decision = world.store.decision(attempt.decision)
    assert decision is not None
    answer = answers.render(decision, world.store.content, {})
    said = {str(site.site): {one.code for one in site.reasons} for site in answer.sites}
    assert "cedar.own.no-france" in said["fr/p"]
    assert "cedar.own.no-france" not in said["de/p"]
    (bits,) = [bits for site, bits in zip(answer.sites, _bits(world, decision), strict=True) if site.site == "fr/p"]
    assert "cedar.own.no-france" in bits


def _bits(world, decision):
    """Return the names of the policy bits that the decision itself keeps, site by site."""
    past = records.read(decision, answers.gather(decision, world.store.content))
    named = past.policy.rules
    first = past.policy.first_bit
    return [{name for at, name in enumerate(named, first) if bits >> at & 1} for bits in past.policy_bits]
