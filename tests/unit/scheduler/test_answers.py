"""Answers: every site with every reason, the same from storage, with the nearest change."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from typing import Any

import pytest

from orchestrator.domain import decisions, ids, jobs, money, reasons, sites
from orchestrator.placement import changes, contents
from orchestrator.policy import rulebook
from orchestrator.scheduler import answers, cycle, worlds
from orchestrator.sources import packs

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

FLEET = [
    samples.site("fr/p"),
    samples.site("us/p", location=sites.Location("US"), price_per_hour=money.Money(1, "EUR")),
    samples.site("kp/p", location=sites.Location("KP"), accelerator="x"),
    samples.site("full/p"),
]
OFFERS = [samples.offer(str(s.name), samples.room(0 if s.backend == "full" else 8)) for s in FLEET]
SPEC = samples.spec(sovereignty=jobs.Sovereignty(countries_deny=("US",)))


def planned(spec: jobs.JobSpec = SPEC, **changes: Any) -> answers.Planned:
    return answers.plan_one(spec, samples.snapshot(FLEET, OFFERS, []), tenant="t", **changes)


def codes(answer: decisions.Answer) -> dict[str, list[str]]:
    """Codes of what refuses, by site."""
    return {str(site.site): [r.code for r in site.reasons if r.effect is reasons.Effect.DENY] for site in answer.sites}


def test_every_site_gets_every_reason() -> None:
    """Policy's and the filters' refusals stand together, for each site."""
    answer = planned().answer
    assert codes(answer) == {
        "fr/p": [],
        "full/p": ["capacity.full"],
        "kp/p": ["core.nowhere", "fit.accelerator"],
        "us/p": ["countries.US"],
    }
    assert answer.ranking == ("fr/p",)


def test_the_digest_stays_while_nothing_changed() -> None:
    """Later the same day a plan is the same plan; another free amount is the same too, another document is not."""
    first, later = planned(), planned(at=samples.AT + dt.timedelta(minutes=5))
    assert first.answer.digest == later.answer.digest == first.decision.digest
    less = [samples.offer(str(s.name), samples.room(0 if s.backend == "full" else 7)) for s in FLEET]
    assert answers.plan_one(SPEC, samples.snapshot(FLEET, less, []), tenant="t").answer.digest == first.answer.digest
    assert planned(samples.spec(2)).answer.digest != first.answer.digest


def test_a_cycle_decides_as_planned() -> None:
    """The decision of a cycle that places the job has the digest of its plan."""
    queued = [samples.job(1, SPEC)]
    assert cycle.plan(samples.snapshot(FLEET, OFFERS, queued)).placements[0].decision == planned().decision.digest


def test_a_stored_decision_reads_as_it_was_made() -> None:
    """Rendered from bits and contents, an answer has the same sites, codes, ranking, scores and nearest change."""
    made = planned()
    stored = {content.digest: content for content in made.contents}
    book = samples.BOOK
    read = answers.render(made.decision, stored.get, {book.digest: book})
    assert codes(read) == codes(made.answer)
    assert read.ranking == made.answer.ranking
    assert [(s.allowed, s.scores, s.total, s.price_per_hour) for s in read.sites] == [
        (s.allowed, s.scores, s.total, s.price_per_hour) for s in made.answer.sites
    ]
    assert read.versions == made.answer.versions


def test_without_its_rule_book_a_decision_still_names_what_fired() -> None:
    """Codes survive the loss of the rules; a lost content is an error that says which."""
    made = planned()
    stored = {content.digest: content for content in made.contents if content.digest != samples.BOOK.digest}
    assert codes(answers.render(made.decision, stored.get, {}))["kp/p"] == ["core.nowhere", "fit.accelerator"]
    del stored[made.decision.class_digest]
    with pytest.raises(contents.ContentError, match="not stored"):
        answers.render(made.decision, stored.get, {})


def test_the_condition_of_a_job_that_cannot_be_placed() -> None:
    """A plan says with which condition a job would wait."""
    assert planned().wait is None
    found = planned(samples.spec(16)).wait
    assert found is not None
    assert found.type == "Unplaceable"


def refused(site: str, *kinds: tuple[reasons.RemedyKind | None, str, bool]) -> decisions.SiteAnswer:
    """A site that is refused once for each remedy."""
    found = [
        reasons.Reason(
            f"c{number}",
            reasons.Effect.DENY,
            reasons.Basis.HOUSE,
            "m",
            (),
            reasons.Remedy(kind, change, drops_constraint=drops) if kind else None,
        )
        for number, (kind, change, drops) in enumerate(kinds)
    ]
    return decisions.SiteAnswer(ids.SiteName(site), site, False, tuple(found))


WAIT, JOB, FIX = reasons.RemedyKind.WAIT, reasons.RemedyKind.CHANGE_JOB, reasons.RemedyKind.FIX_BACKEND


@pytest.mark.parametrize(
    ("sites_", "expected"),
    [
        ([refused("a", (JOB, "x", False), (JOB, "y", False)), refused("b", (FIX, "z", False))], ["z"]),
        ([refused("a", (FIX, "z", False)), refused("b", (WAIT, "w", False))], ["w"]),
        ([refused("b", (JOB, "b", False)), refused("a", (JOB, "a", False))], ["a"]),
        ([refused("a", (JOB, "x", True)), refused("b", (FIX, "y", False), (FIX, "z", False))], ["y", "z"]),
        ([refused("a", (JOB, "x", True)), refused("b", (None, "", False))], ["x"]),
        ([refused("a", (JOB, "x", False), (JOB, "x", False))], ["x"]),
        ([refused("a", (None, "", False))], []),
        ([], []),
    ],
)
def test_the_nearest_change_is_the_fewest_remedies(sites_: list[decisions.SiteAnswer], expected: list[str]) -> None:
    """Fewest first, ties by kind and name, dropping a constraint last, nothing where nothing helps."""
    assert [remedy.change for remedy in changes.nearest(sites_)] == expected


def test_a_condition_names_the_codes_that_a_person_can_look_up() -> None:
    """Instances stand in the sentence: the denied country, the missing certificate, the site's country."""
    book = packs.load()
    asked = jobs.Sovereignty(
        countries_allow=("FR", "DE"), exposure=jobs.Exposure(("FR", "US")), certifications=("hds-v2",)
    )
    snapshot = samples.snapshot(FLEET, OFFERS, [], world=worlds.World(book))
    found = answers.plan_one(samples.spec(sovereignty=asked), snapshot, tenant="t").wait
    assert found is not None
    for part in ("certs.hds-v2 (4)", "exposure.FR (4)", "countries.KP (1)", "countries.US (1)"):
        assert part in found.message
    assert "denied" not in found.message


def test_a_decision_of_an_earlier_rule_book_reads_as_then() -> None:
    """Its book was stored with it: the same reasons, sentences and remedies, whatever the book of today says."""
    broken = rulebook.RawPack("fr-hds", {"pack": "fr-hds"})
    then = packs.load(off=("eu-gdpr",), parameters={"exposure": {"owner_percent_min": 50}})
    now = rulebook.build([broken], countries=["FR"])
    assert then.digest != now.digest
    asked = samples.spec(sovereignty=jobs.Sovereignty(exposure=jobs.Exposure(("US", "FR")), certifications=("c5",)))
    for book in (then, now):
        snapshot = samples.snapshot(FLEET, OFFERS, [], world=worlds.World(book))
        made = answers.plan_one(asked, snapshot, tenant="t")
        stored = {content.digest: content for content in made.contents}
        read = answers.render(made.decision, stored.get, {samples.BOOK.digest: samples.BOOK})
        assert [(s.site, policy_reasons(s)) for s in read.sites] == [
            (s.site, policy_reasons(s)) for s in made.answer.sites
        ]
        assert codes(read) == codes(made.answer)
        assert rulebook.decode(book.body).digest == book.digest


def policy_reasons(site: decisions.SiteAnswer) -> list[reasons.Reason]:
    """Whole reasons, but for those of filters that depend on offers."""
    return [reason for reason in site.reasons if not reason.code.startswith("capacity.")]


def test_a_damaged_rule_book_is_an_error_that_says_so() -> None:
    """A stored book whose body does not match its digest is never read."""
    made = planned()
    stored = {content.digest: content for content in made.contents}
    stored[samples.BOOK.digest] = decisions.Content(samples.BOOK.digest, b"{}")
    with pytest.raises(contents.ContentError, match="another digest"):
        answers.render(made.decision, stored.get, {})
