"""Thresholds that add up, in the running loop: what is placed is counted in the same commit, and judged by at once."""

from __future__ import annotations

import dataclasses

from orchestrator.domain import jobs
from orchestrator.inventory import ledgers
from orchestrator.ports import stores
from tests.sim import worlds
from tests.unit.control.test_loop import Quiet

P = jobs.Phase


def lab() -> Quiet:
    """A world whose operator is a covered person, with two halves of a data set about US persons; in the EEA only."""
    world = Quiet()
    spec = {"legalCountry": "FR", "ultimateParentHq": "FR", "facts": worlds.STAMP, "coveredPerson": True}
    changed = [
        worlds.document("Operator", operator.name, spec, operator.version)
        for operator in world.store.documents("Operator")
    ]
    for name in ("one", "two"):
        own = {
            "controller": {"operator": "lab", "country": "US"}, "classes": ["genomic"], "subjects": ["US"],
            "counts": {"persons": 60},
        }  # fmt: skip
        changed.append(dataclasses.replace(worlds.document("DataSet", name, own), tenant="default"))
    world.store.commit(stores.Changes(documents=changed))
    return world


def reading(world: Quiet, name: str):
    env = (("SIMULATE_RUN_TIME", "500"),)
    return world.submit(jobs.JobSpec("j", ("x",), env=env, data=jobs.DataClause((jobs.DataUse(name),))))


def counted(world: Quiet) -> list[str]:
    found = [document for document in world.store.documents() if document.kind == ledgers.KIND]
    return sorted(ledgers.of_document(document).item for document in found)


def test_of_two_halves_submitted_together_only_one_runs():
    """60 persons may come within reach, 120 may not: whichever is placed first, the other is refused."""
    world = lab()
    ids = [reading(world, "one"), reading(world, "two")]
    world.turns(5)
    assert sorted(world.phase(id).value for id in ids) == ["QUEUED", "RUNNING"]
    (waiting,) = [world.store.job(id) for id in ids if world.phase(id) is P.QUEUED]
    assert "us-doj.prohibited-omic" in waiting.condition("Unplaceable").message
    assert len(counted(world)) == 1


def test_what_was_counted_survives_the_controller():
    """A new controller reads the ledger from the store and refuses the second half too."""
    world = lab()
    first = reading(world, "one")
    world.turns(3)
    assert (world.phase(first), counted(world)) == (P.RUNNING, ["data/default/one"])
    world.loop = world.new_loop()
    second = reading(world, "two")
    world.turns(4)
    assert world.phase(second) is P.QUEUED


def test_the_same_data_set_is_counted_once_however_often_it_is_read():
    """Its people are the same people."""
    world = lab()
    ids = [reading(world, "one") for _ in range(3)]
    world.turns(4)
    assert {world.phase(id) for id in ids} <= {P.STARTING, P.RUNNING}
    assert counted(world) == ["data/default/one"]


def test_a_tally_that_cannot_be_read_stops_whoever_it_concerns():
    """Nobody knows what adds up; jobs without data go on."""
    world = lab()
    damaged = stores.Document(ledgers.KIND, "x", "", '{"v": 99}')
    world.store.commit(stores.Changes(documents=[damaged]))
    concerned, other = reading(world, "one"), world.job()
    world.turns(4)
    assert (world.phase(concerned), world.phase(other)) == (P.QUEUED, P.RUNNING)
    assert "core.unsupported:ledger" in world.store.job(concerned).condition("Unplaceable").message


def test_a_tenant_whose_document_cannot_be_read_gets_nothing():
    """Its floor is not known any more: its jobs wait, with the reason, instead of being judged without one."""
    world = Quiet()
    tenant = world.store.document("Tenant", "default")
    assert tenant is not None
    damaged = dataclasses.replace(tenant, body='{"kind": "Tenant", "metadata": {"name": "default"}, "spec": 7}')
    world.store.commit(stores.Changes(documents=[damaged]))
    id = world.job()
    world.turns(3)
    assert world.phase(id) is P.QUEUED
    assert "core.unsupported:tenant" in world.store.job(id).condition("Unplaceable").message
