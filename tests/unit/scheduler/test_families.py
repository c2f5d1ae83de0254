"""Runs of verified jobs in one cycle: all that wait get places that lie apart, or none of them does."""

from __future__ import annotations

import pathlib
import sys
from dataclasses import replace
from typing import Any

from orchestrator.domain import ids, jobs, sites, tenants
from orchestrator.scheduler import cycle, snapshots

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

KEY = bytes(range(32))
APART = frozenset({jobs.Distinct.OPERATOR})
OWNED = sites.Owners(100.0, (sites.Owner("alder", "FR", 60.0),))


def fleet(*names: str) -> list[sites.Site]:
    """Return a site of each operator; ``name/q`` is another site of the operator of ``name``."""
    return [
        samples.site(f"{name.replace('/', '-')}/p", operator_name=name.partition("/")[0], operator=None)
        for name in names
    ]


def operators(*names: str) -> dict[str, sites.Operator]:
    """Return the documents of operators; ``twig`` belongs to ``alder``."""
    owned = {"twig": OWNED}
    return {name: sites.Operator(name, "FR", "FR", owned.get(name, sites.Owners())) for name in names}


def verified(number: int, replicas: int = 2, **state: Any) -> jobs.Job:
    """Return a verified job whose runs nobody touched."""
    wanted = jobs.Verification(replicas, replicas // 2 + 1, APART)
    made = jobs.ArrayState(**{"untouched": ((0, replicas),), **state})
    return samples.job(number, samples.spec(verification=wanted), array_state=made)


def run(parent: jobs.Job, number: int) -> jobs.Job:
    """Return a run of a verified job that waits again."""
    again = samples.job(100 + number, parent.spec, parent=parent.id, index=number)
    return replace(again, id=ids.element_id(parent.id, number))


def hand(number: int, operator: str) -> jobs.Hand:
    """Return a place that a run had."""
    return jobs.Hand(number, ids.SiteName(f"{operator}/p"), operator, "FR")


def plan(names: tuple[str, ...], queued: list[jobs.Job], *, key: bytes = KEY, free: int = 8) -> cycle.Plan:
    """Plan one cycle over sites of these operators; ``host`` runs the control plane."""
    all_sites = fleet(*names)
    known = operators(*{name.partition("/")[0] for name in names}, "host")
    world = replace(samples.WORLD, operators=known, control_plane=tenants.ControlPlane(operator="host"))
    given = [samples.offer(str(site.name), samples.room(free)) for site in all_sites]
    settings = snapshots.Settings(draw_key=key)
    return cycle.plan(samples.snapshot(all_sites, given, queued, world=world, settings=settings))


def where(found: cycle.Plan) -> dict[tuple[ids.JobId, int | None], str]:
    """Return the backend of each placement by (job, element)."""
    return {(one.job, one.index): str(one.site).partition("/")[0] for one in found.placements}


def test_each_run_gets_another_hand() -> None:
    """Two sites of one operator are one hand; whoever runs the control plane is kept for trusted runs."""
    parent = verified(1, 3)
    found = where(plan(("alder", "alder/q", "birch", "cedar", "host"), [parent]))
    assert set(found) == {(parent.id, number) for number in range(3)}
    assert {name.partition("-")[0] for name in found.values()} == {"alder", "birch", "cedar"}


def test_the_draw_is_the_same_again_and_another_for_another_job() -> None:
    """By the key and the job's id alone: the order of sites says nothing, nor does their price."""
    names = tuple(f"op{number}" for number in range(12))
    drawn = [where(plan(names, [verified(1)])) for _ in range(2)]
    assert drawn[0] == drawn[1]
    others = [set(where(plan(names, [verified(number)])).values()) for number in range(2, 12)]
    assert len({frozenset(one) for one in others}) > 5
    assert where(plan(names, [verified(1)], key=bytes(32))) != drawn[0]


def test_too_few_hands_place_nothing_and_say_what_is_missing() -> None:
    """A majority owner makes two operators one; who lacks the same is told the same, once each."""
    found = plan(("alder", "twig"), [verified(1), verified(2)])
    assert found.placements == ()
    (waiting,) = found.waiting
    assert waiting.jobs == (verified(1).id, verified(2).id)
    assert (waiting.wait.type, waiting.wait.reason) == ("Waiting", "Verification")
    assert waiting.wait.message == "its runs need 2 places, no two of one operator; 2 may take it now"


def test_without_other_hands_whoever_runs_the_control_plane_takes_a_replica() -> None:
    """Better that than waiting; a trusted run would wait then."""
    assert set(where(plan(("alder", "host"), [verified(1)])).values()) == {"alder", "host"}


def test_all_runs_or_none() -> None:
    """Room for one of two is room for none, and what it would have taken is another's."""
    all_sites = fleet("alder", "birch")
    given = [samples.offer("alder/p", samples.room(1)), samples.offer("birch/p", samples.room(0))]
    world = replace(samples.WORLD, operators=operators("alder", "birch"))
    single = samples.job(2)
    settings = snapshots.Settings(draw_key=KEY)
    found = cycle.plan(samples.snapshot(all_sites, given, [verified(1), single], world=world, settings=settings))
    assert where(found) == {(single.id, None): "alder"}


def test_a_run_goes_back_to_its_own_hand() -> None:
    """Its sibling's hand is none for it, and a third is only taken where its own is gone."""
    parent = verified(1, untouched=(), counts=((jobs.Phase.QUEUED, 1), (jobs.Phase.RUNNING, 1)))
    parent = replace(parent, array_state=replace(parent.array_state, held=(hand(0, "alder"), hand(1, "birch"))))
    again = run(parent, 1)
    assert where(plan(("alder", "birch", "cedar"), [parent, again])) == {(again.id, None): "birch"}
    assert where(plan(("alder", "cedar"), [parent, again])) == {(again.id, None): "cedar"}
    found = plan(("alder",), [parent, again])
    assert found.placements == ()
    (waiting,) = found.waiting
    assert waiting.jobs == (again.id,)
    assert "beside those that its runs had" in waiting.wait.message


def test_one_that_waits_for_a_hand_stops_nobody_behind_it() -> None:
    """Whatever came before: another job of the line goes on, and who was told is not told again."""
    stuck = verified(1, 2, untouched=((1, 2),), held=(hand(0, "alder"),), counts=((jobs.Phase.RUNNING, 1),))
    found = plan(("alder", "birch"), [stuck, verified(2)])
    assert set(where(found)) == {(verified(2).id, 0), (verified(2).id, 1), (stuck.id, 1)}
    stuck = replace(stuck, array_state=replace(stuck.array_state, held=(hand(0, "alder"), hand(0, "birch"))))
    found = plan(("alder", "birch"), [stuck, verified(2)])
    assert set(where(found)) == {(verified(2).id, 0), (verified(2).id, 1)}
    assert [waiting.jobs for waiting in found.waiting] == [(stuck.id,)]
    told = jobs.Condition("Waiting", True, "Verification", found.waiting[0].wait.message, samples.AT)
    assert plan(("alder", "birch"), [replace(stuck, conditions=(told,)), verified(2)]).waiting == ()


def test_a_trusted_run_lies_with_who_runs_the_control_plane_and_ran_no_replica() -> None:
    """Nowhere else, whatever is free."""
    held = (hand(0, "alder"), hand(1, "birch"))
    asked = verified(1, untouched=((2, 3),), held=held, referees=1, counts=((jobs.Phase.SUCCEEDED, 2),))
    assert where(plan(("cedar", "host"), [asked])) == {(asked.id, 2): "host"}
    for names, before in ((("cedar",), held), (("cedar", "host"), (hand(0, "host"), hand(1, "birch")))):
        again = replace(asked, array_state=replace(asked.array_state, held=before))
        found = plan(names, [again])
        assert found.placements == ()
        assert "a trusted run needs a place of host" in found.waiting[0].wait.message


def test_without_a_key_nothing_is_drawn() -> None:
    """It waits, and says so."""
    found = plan(("alder", "birch"), [verified(1)], key=b"")
    assert found.placements == ()
    assert found.waiting[0].wait.message == "this control plane has no key for draws"
