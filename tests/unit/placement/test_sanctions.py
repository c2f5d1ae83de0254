"""Stale lists and open matches refuse new placements; every answer says what the lists do not."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from typing import Any

import pytest

from orchestrator.domain import ids, listings, reasons, sites
from orchestrator.placement import columns, contents, rows, screenings
from orchestrator.placement.filters import registry, sanctions

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

DAY = samples.DAY
HIT = listings.Hit("us-sdn", "us", "900001", "NORDKAP", "op", "name", "Nordkap", programs=("EO1",))
OWNER = listings.Hit("eu-fsf", "eu", "EU.1", "EIGNER", "Eigner", "similar-name", "Eigner AG", percent=60.0)


def consulted(name: str = "us-sdn", fresh_to: dt.date = DAY) -> listings.Consulted:
    return listings.Consulted(name, name[:2], ids.NO_DIGEST, DAY, fresh_to)


def row(found: listings.Screening | None, **more: Any) -> rows.Row:
    return samples.row(site=samples.site(screening=found, **more))


def answer(hit: listings.Hit, same: bool = False, **more: Any) -> listings.Answer:
    at = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    values = {"valid_to": None, "at": at} | more
    return listings.Answer(
        hit.list, hit.entry, hit.party, same, "why", "who",
        entry_digest=hit.entry_digest, party_digest=hit.party_digest, **values,
    )  # fmt: skip


def codes(found: listings.Screening | None, day: dt.date = DAY) -> list[str]:
    asked = samples.question(day=day)
    return [reason.code for item in registry.FILTERS for reason in item.every(asked, row(found))]


def test_without_lists_nothing_is_refused() -> None:
    """No list is configured: rules about embargoes still hold, and the answer says that nobody looked."""
    assert codes(None) == []
    assert codes(listings.Screening()) == []
    for found in (None, listings.Screening()):
        site = samples.site(screening=found)
        assert [one.code for one in screenings.caveats(site)] == ["caveat.lists-none"]


def test_each_stale_list_is_a_refusal_with_its_name() -> None:
    """One reason a list: too old, and not there at all."""
    found = listings.Screening((consulted(), consulted("uk-sl", DAY + dt.timedelta(days=9))), ("eu-fsf",))
    assert codes(found) == ["sanctions.list-stale:eu-fsf"]
    next_day = DAY + dt.timedelta(days=1)
    assert codes(found, next_day) == ["sanctions.list-stale:eu-fsf", "sanctions.list-stale:us-sdn"]


def test_an_open_match_is_refused_with_every_entry_cited() -> None:
    """The person who has to look is told at which entries."""
    found = listings.Screening((consulted(),), reviews=(HIT, OWNER))
    reason = sanctions.Review().check(samples.question(), row(found))
    assert reason is not None
    assert (reason.code, reason.basis) == ("sanctions.review", reasons.Basis.DILIGENCE)
    assert [fact.path for fact in reason.facts] == ["lists.us-sdn.900001", "lists.eu-fsf.EU.1"]
    assert reason.remedy is not None
    assert "comity policy lists answer us-sdn:900001 --operator op" in reason.remedy.change


def test_an_answered_match_is_not_refused_between_its_days() -> None:
    """From the day of the answer to its last day."""
    found = listings.Screening((consulted(),), reviews=(HIT,), answered=(answer(HIT, valid_to=DAY),))
    assert codes(found) == []
    assert "sanctions.review" in codes(found, DAY + dt.timedelta(days=1))
    assert "sanctions.review" in codes(found, dt.date(2026, 11, 19))


def test_an_answer_that_it_is_the_same_clears_nothing() -> None:
    """Such a match belongs to the identified; as an answer it opens no door."""
    found = listings.Screening((consulted(),), reviews=(HIT,), answered=(answer(HIT, same=True),))
    assert codes(found) == ["sanctions.review"]


@pytest.mark.parametrize(
    ("found", "day"),
    [
        (None, None),
        (listings.Screening((consulted(),)), DAY + dt.timedelta(days=1)),
        (listings.Screening((consulted(fresh_to=DAY - dt.timedelta(days=1)),)), None),
        (listings.Screening(missing=("eu-fsf",)), None),
        (
            listings.Screening(reviews=(HIT,), answered=(answer(HIT, valid_to=DAY + dt.timedelta(days=3)),)),
            DAY + dt.timedelta(days=4),
        ),
        (
            listings.Screening(reviews=(HIT,), answered=(answer(HIT, at=dt.datetime(2026, 11, 25, tzinfo=dt.UTC)),)),
            dt.date(2026, 11, 25),
        ),
    ],
)
def test_a_verdict_ends_when_a_list_or_an_answer_does(found: listings.Screening | None, day: dt.date | None) -> None:
    """The day on which the outcome may change is known beforehand."""
    assert columns.next_screening_change(columns.build([row(found)]), DAY) == day


def test_a_listed_operator_is_told_by_entry() -> None:
    """Which entry of which list, how it was found, and what an owner holds."""
    found = listings.Screening((consulted(),), identified=(HIT, OWNER), unknown_percent=0)
    made = {one.code: one.message for one in screenings.caveats(samples.site(screening=found))}
    assert set(made) == {"caveat.listed:us-sdn:900001", "caveat.listed:eu-fsf:EU.1"}
    assert "60 %" in made["caveat.listed:eu-fsf:EU.1"]


@pytest.mark.parametrize(("owned", "unknown", "said"), [(0, 40, False), (10, 40, True), (60, 40, False), (0, 50, True)])
def test_unknown_ownership_that_could_reach_half_is_said(owned: float, unknown: float, said: bool) -> None:
    """What nobody states is not unlisted: it is a caveat of every answer."""
    found = listings.Screening((consulted(),), owned_percent=owned, unknown_percent=unknown)
    made = [one.code for one in screenings.caveats(samples.site(screening=found))]
    assert made == (["caveat.owners-unknown"] if said else [])


def test_a_screening_is_stored_with_its_site() -> None:
    """A decision can be told again years later, without the lists."""
    found = listings.Screening((consulted(),), ("eu-fsf",), (HIT,), (OWNER,), (answer(OWNER),), 1.0, 2.0, 3.0)
    site = samples.site(screening=found)
    assert contents.read(sites.Site, contents.site_content(site)).screening == found
