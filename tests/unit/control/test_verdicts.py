"""What the loop does with the runs of verified jobs; the whole of it is in ``tests/sim``."""

import dataclasses
import datetime as dt
import json

import pytest

from orchestrator.control import runs
from orchestrator.domain import events, executions, ids, jobs
from orchestrator.ports import stores
from orchestrator.verification import receipts
from tests.sim import verified

P = jobs.Phase
WRONG = (executions.OutputFile("a", 1, "sha256:" + "0" * 64),)


@pytest.fixture
def world():
    """Give a world without chance."""
    made = verified.World(1)
    made.arrival_rate = 0.0
    return made


def submit(world, replicas=2, seconds=5, **more):
    wanted = jobs.Verification(replicas, replicas // 2 + 1, **more)
    env = (("SIMULATE_RUN_TIME", str(seconds)), ("SIMULATE_EXIT_CODE", "0"))
    spec = jobs.JobSpec(
        "j", ("x",), env=env, data=jobs.DataClause(declared_none=True), outputs=(jobs.Output("a"),), verification=wanted
    )
    return world.submit(spec)


def turns(world, count):
    for _ in range(count):
        world.loop.tick()
        world.clock.advance(1.0)


def rows(world, id):
    found = world.store.list_jobs(stores.JobFilter(parent=id), limit=100).items
    return {row.index: row for row in found}


def entries(world, id, kind):
    return [link.entry.body for link in world.store.entries(subject=f"job/{id}") if link.entry.kind == kind]


def test_the_same_answers_are_a_verdict_with_a_receipt(world):
    """One entry, which holds all it rests on."""
    id = submit(world)
    turns(world, 12)
    parent = world.store.job(id)
    assert (parent.phase, parent.reason, parent.array_state.accepted) == (P.SUCCEEDED, "Quorum", 0)
    (said,) = entries(world, id, "job.verified")
    assert receipts.rejudge(said["receipt"])
    assert said["receipt"]["request"]["subject"] == runs.subject(parent.spec, parent.spec_digest)
    verified.check(world)


def test_a_run_that_ends_after_the_verdict_is_judged_with_the_others(world):
    """It had its stop and had finished before it: what holds stays, and who differs answers for it."""
    id = submit(world, replicas=3, seconds=3_000)
    turns(world, 5)
    book, at = world.loop._book, world.clock.now()
    sides = rows(world, id)
    liar = next((number for number, row in sides.items() if row.attempt.site.startswith(verified.LIAR)), 0)
    done = jobs.Outcome(jobs.OutcomeKind.EXITED, 0)
    right = (executions.OutputFile("a", 1, "sha256:" + "1" * 64),)
    for number in sorted(set(sides) - {liar}):
        book.stage(sides[number].id, events.Ended(at, 1, done, outputs=right))
    turns(world, 1)
    assert world.store.job(id).phase is P.SUCCEEDED
    assert rows(world, id)[liar].stop.cause is jobs.StopCause.SETTLED
    book.stage(sides[liar].id, events.Ended(at, 1, done, outputs=WRONG))
    turns(world, 2)
    parent = world.store.job(id)
    assert (rows(world, id)[liar].phase, dict(parent.array_state.counts)) == (P.SUCCEEDED, {P.SUCCEEDED: 3})
    assert len(entries(world, id, "job.verified")) == 1
    (late,) = entries(world, id, "job.verified-late")
    assert receipts.rejudge(late["receipt"])
    operator = world.inventory.world().site(sides[liar].attempt.site).operator_name
    (blame,) = json.loads(world.store.document("Operator", operator).status)["blames"]
    assert (blame["run"], blame["finding"]) == (f"{id}[{liar}]", "differs")
    turns(world, 3)
    assert len(entries(world, id, "job.verified-late")) == 1


def test_a_place_beside_a_sibling_is_not_written(world):
    """Whatever was planned: the row of the parent is asked in the commit."""
    id = submit(world, replicas=2)
    world.loop.tick()
    first = rows(world, id)[0]
    other = submit(world, replicas=2)
    world.inbox.offer((world.store.job(other),))
    world.loop._absorb(None)
    book, at, site = world.loop._book, world.clock.now(), first.attempt.site
    hand = jobs.Hand(0, site, "one", "FR")
    placed = events.Placed(at, 1, site, first.attempt.decision, hand)
    for number in range(2):
        one = dataclasses.replace(hand, number=number)
        book.stage(ids.element_id(other, number), dataclasses.replace(placed, hand=one))
    book.stage(ids.element_id(other, 1), dataclasses.replace(placed, hand=None))
    book.commit(world.loop._term)
    assert set(rows(world, other)) == {0}
    assert world.store.job(other).array_state.held == (hand,)


def test_a_job_that_contradicts_itself_stops_no_other(world, monkeypatch):
    """It is told as broken; the others get their verdicts."""
    bad, good = submit(world), submit(world)
    real = runs.children

    def children(parent, found):
        if parent.id == bad:
            raise ValueError("a row that is none")
        return real(parent, found)

    monkeypatch.setattr(runs, "children", children)
    broken = []
    for _ in range(40):
        broken += world.loop.tick().broken.items()
        world.clock.advance(1.0)
    assert set(broken) == {(bad, "ValueError: a row that is none")}
    assert len(broken) <= 6, "once for each version of its row, not in every turn"
    assert world.store.job(good).phase is P.SUCCEEDED


def test_what_is_to_run_has_one_digest_wherever_it_runs():
    """Files and command by the spec, a folder, an image by its digest."""
    spec = jobs.JobSpec("j", ("x",))
    digest = ids.Digest("sha256:" + "2" * 64)
    made = {
        runs.subject(spec, digest),
        runs.subject(spec, ids.NO_DIGEST),
        runs.subject(dataclasses.replace(spec, workdir=digest), digest),
        runs.subject(dataclasses.replace(spec, image="r/a@sha256:" + "3" * 64), digest),
        runs.subject(dataclasses.replace(spec, image="r/a@sha256:" + "4" * 64), digest),
    }
    assert len(made) == 5
    assert runs.subject(dataclasses.replace(spec, limits=jobs.Limits(deadline=dt.timedelta(1))), digest) in made
