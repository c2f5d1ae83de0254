"""Jobs that are placed side by side never both get the rest of a threshold."""

from __future__ import annotations

import pathlib
import sys
from dataclasses import replace
from typing import Any

from orchestrator.domain import jobs, sites, tallies, tenants
from orchestrator.policy import tallies as ledgers
from orchestrator.scheduler import cycle, snapshots, worlds
from orchestrator.sources import packs

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

BOOK = packs.load()
REACHED = replace(samples.OPERATOR, covered_person=True)
SITE = samples.site("sg/p", location=sites.Location("US"), operator=REACHED, accelerator=None, accelerator_model=None)
SETS = {
    name: tenants.DataSet(name, "t", tenants.Controller("lab", "US"), ("genomic",), ("US",), counts=tenants.Counts(60))
    for name in ("one", "two")
}


def reads(*names: str, **spec: Any) -> jobs.JobSpec:
    return samples.spec(0, data=jobs.DataClause(tuple(map(jobs.DataUse, names)), declared_none=not names), **spec)


def plan(queued: list[jobs.Job], counted: tuple[tallies.Tally, ...] = ()) -> cycle.Plan:
    world = worlds.World(
        BOOK,
        control_plane=tenants.ControlPlane("self", "op", sites.Location("US")),
        data_sets={"t": SETS},
        ledger=ledgers.view(counted, BOOK.counters, samples.AT.date()),
    )
    found: snapshots.Snapshot = samples.snapshot([SITE], [samples.offer("sg/p")], queued, world=world)
    return cycle.plan(found)


def test_the_second_half_waits_for_the_first_to_be_counted() -> None:
    """One is placed and counted, the other is left to the next cycle, which refuses it; nothing is said in between."""
    queued = [samples.job(1, reads("one")), samples.job(2, reads("two"))]
    first = plan(queued)
    assert [placed.job for placed in first.placements] == [queued[0].id]
    (tally,) = first.placements[0].counted
    assert (tally.item, tally.persons) == ("data/t/one", 60)
    assert first.waiting == ()
    assert first.next_at == samples.AT
    second = plan(queued[1:], (tally,))
    assert second.placements == ()
    assert second.waiting[0].wait.type == "Unplaceable"


def test_the_same_data_set_holds_nobody_back() -> None:
    """Jobs that read what is counted already go side by side, and count nothing twice."""
    queued = [samples.job(number, reads("one")) for number in (1, 2, 3)]
    first = plan(queued)
    assert len(first.placements) == 3
    assert {tally.key for placed in first.placements for tally in placed.counted} == {
        ("us-doj.persons", "controller/lab/US", "data/t/one")
    }
    assert plan(queued, first.placements[0].counted).placements[0].counted == ()


def test_trainings_of_one_model_go_one_by_one() -> None:
    """Each adds to the sum that the next is judged by; jobs that train nothing are not held back."""
    model = jobs.ModelClause("m", train_flop=6e24)
    queued = [samples.job(number, reads(type=jobs.JobType.TRAIN, model=model)) for number in (1, 2)]
    queued.append(samples.job(3, reads()))
    first = plan(queued)
    assert sorted(placed.job for placed in first.placements) == [queued[0].id, queued[2].id]
    assert first.next_at == samples.AT
