"""Recorded placements judged by other rules or on another day."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys

import pytest

from orchestrator.domain import jobs, sites, tenants
from orchestrator.placement import contents
from orchestrator.scheduler import answers, replays, worlds
from orchestrator.sources import packs

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

BOOK = packs.load()
PLANE = tenants.ControlPlane("self", "op", sites.Location("FR"))
FLEET = [
    samples.site("fr/p", accelerator=None, accelerator_model=None),
    samples.site("de/p", location=sites.Location("DE"), accelerator=None, accelerator_model=None),
    samples.site("us/p", location=sites.Location("US"), facts_valid_to=dt.date(2026, 12, 1), accelerator=None),
]
OFFERS = [samples.offer(str(site.name)) for site in FLEET]
SPEC = samples.spec(0, sovereignty=jobs.Sovereignty(seal=(("SOV-2", 2),)))


def planned(spec: jobs.JobSpec) -> answers.Planned:
    world = worlds.World(BOOK, control_plane=PLANE)
    return answers.plan_one(spec, samples.snapshot(FLEET, OFFERS, [], world=world), tenant="t")


def replay(plan: answers.Planned, site: str, **changes: object) -> replays.Replayed:
    kept = {content.digest: content for content in plan.contents}
    book = packs.load(**changes.pop("packs", {}))  # type: ignore[arg-type]
    return replays.Replayer(kept.get, book, **changes).placement(plan.decision, site, samples.AT)  # type: ignore[arg-type]


def test_the_same_rules_answer_the_same() -> None:
    """Nothing changed, so nothing differs."""
    assert replay(planned(samples.spec(0)), "fr/p").same


def test_other_rules_refuse_the_site_and_open_others() -> None:
    """What a pack refused opens without it; what the job asks of it is then refused by name."""
    plan = planned(samples.spec(0))
    found = replay(plan, "us/p", at=dt.datetime(2026, 12, 2, tzinfo=dt.UTC))
    assert found.refused == ("core.stale-facts",)
    assert found.shut == ("us/p",)
    found = replay(planned(SPEC), "fr/p", packs={"off": ("eu-seal",)})
    assert found.refused == ("core.unsupported:spec.sovereignty.seal",)


def test_what_was_refused_then_and_is_not_now_has_opened() -> None:
    """A law switched off opens the sites that it alone refused."""
    data = tenants.DataSet("people", "t", tenants.Controller(None, "FR"), ("personal",), ("FR",))
    world = worlds.World(BOOK, control_plane=PLANE, data_sets={"t": {"people": data}})
    spec = samples.spec(0, data=jobs.DataClause((jobs.DataUse("people"),)))
    plan = answers.plan_one(spec, samples.snapshot(FLEET, OFFERS, [], world=world), tenant="t")
    found = replay(plan, "fr/p", packs={"off": ("eu-gdpr",)})
    assert (found.refused, found.shut, found.opened) == ((), (), ("us/p",))
    assert not found.same


def test_records_that_are_gone_say_so() -> None:
    """Nothing is guessed."""
    plan = planned(samples.spec(0))
    with pytest.raises(contents.ContentError, match="not stored"):
        replays.Replayer(lambda _digest: None, BOOK).placement(plan.decision, "fr/p", samples.AT)


def test_a_judgement_is_asked_again_once_something_dated_changed_and_when_time_goes_back() -> None:
    """One replayer over a journal: facts that grew old in between refuse from then on, and only from then on."""
    plan = planned(samples.spec(0))
    kept = {content.digest: content for content in plan.contents}
    replayer = replays.Replayer(kept.get, BOOK)
    days = [dt.datetime(2026, month, day, 12, tzinfo=dt.UTC) for month, day in ((11, 30), (12, 1), (12, 2), (11, 30))]
    found = [replayer.placement(plan.decision, "us/p", day).refused for day in days]
    assert found == [(), (), ("core.stale-facts",), ()]
    assert replayer.placement(plan.decision, "fr/p", days[2]).shut == ("us/p",)
    with pytest.raises(contents.ContentError, match="none of the sites"):
        replayer.placement(plan.decision, "elsewhere/p", days[0])
