"""Judging and explaining: sentences, facts, remedies, unknown places, the end of a judgement."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import facts, reasons
from orchestrator.policy import attributes, constraints, evaluator, operands, predicates, rulebook, rules, table
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
BOOK = packs.load()
PERSONAL = attributes.DataAttributes("patients", frozenset({"personal"}), frozenset({"FR"}))
STAMP = facts.FactStamp(
    "annual report 2025", dt.date(2026, 3, 31), None, dt.date(2027, 3, 31), facts.Assurance.DOCUMENTED
)


def place(country: str = "FR", parent: str = "FR", **more: object) -> attributes.SiteAttributes:
    """Return a site of which everything needed is known."""
    fields: dict[str, object] = {
        "name": "s", "country": country, "legal_country": country, "parent_hq": parent, "operator_stamp": STAMP,
        "places": (attributes.Place(country, "backend.location.country"),),
        "reach": (attributes.Reach(parent, "operator.ultimateParentHq"),),
    }  # fmt: skip
    return attributes.SiteAttributes(**{**fields, **more})  # type: ignore[arg-type]


def by_code(job: attributes.JobAttributes, site: attributes.SiteAttributes, at: dt.datetime = AT):
    """Return the reasons by code."""
    return {reason.code: reason for reason in evaluator.explain(job, site, BOOK, at)}


def denying(*names: str) -> attributes.JobAttributes:
    """Return a job that denies exposures."""
    asked = constraints.Constraints(exposures=tuple(constraints.Denied(name, frozenset()) for name in names))
    return attributes.JobAttributes(constraints=asked, asks=asked.asks())


def test_a_reason_names_the_offending_value_and_its_source() -> None:
    """Exposure says through what the country reaches, and cites the fact with source, date and assurance."""
    found = by_code(denying("US"), place(parent="US"))["exposure.US"]
    assert "ultimate parent has its headquarters in US" in found.message
    cited = next(fact for fact in found.facts if fact.path == "operator.ultimateParentHq")
    assert (cited.value, cited.source, cited.as_of) == ("US", "annual report 2025", dt.date(2026, 3, 31))
    assert (cited.valid_to, cited.assurance) == (dt.date(2027, 3, 31), facts.Assurance.DOCUMENTED)
    assert found.remedy is not None
    assert (found.remedy.kind, found.remedy.drops_constraint) == (reasons.RemedyKind.CHANGE_JOB, True)


def test_a_missing_certificate_is_cited_as_none() -> None:
    """The path of the absent certificate stands in the reason, and what to obtain for which service."""
    data = dataclasses.replace(PERSONAL, classes=frozenset({"health"}))
    site = place(service="managed-kubernetes", region="eusc-de-east-1")
    found = by_code(attributes.JobAttributes(data=(data,)), site)["fr-hds.certificate"]
    assert ("backend.certifications[hds-v2]", "none") in {(fact.path, fact.value) for fact in found.facts}
    assert found.remedy is not None
    assert found.remedy.change == "certificate hds-v2 for service managed-kubernetes, region eusc-de-east-1"


def test_waiting_is_the_remedy_where_a_decision_comes_later() -> None:
    """Before the decision on Brazil applies, the remedy is to wait until that day."""
    at = dt.datetime(2025, 12, 1, tzinfo=dt.UTC)
    found = by_code(attributes.JobAttributes(data=(PERSONAL,)), place("BR"), at)["eu-gdpr.transfer:BR"]
    assert found.remedy is not None
    assert found.remedy.kind is reasons.RemedyKind.WAIT
    assert found.remedy.until == dt.datetime(2026, 1, 26, tzinfo=dt.UTC)


def test_an_unknown_place_denies_personal_data_even_with_safeguards() -> None:
    """Nobody can assess a transfer to a place that nobody stated."""
    papers = (attributes.Paper("scc-eu"), attributes.Paper("tia"))
    job = attributes.JobAttributes(
        data=(dataclasses.replace(PERSONAL, safeguards=papers),),
        places=(attributes.Place(attributes.UNKNOWN, "controlPlane.location.country"),),
    )
    found = by_code(job, place())
    assert found["eu-gdpr.transfer:unknown"].effect is reasons.Effect.DENY
    assert evaluator.judge(job, table.SiteTable((place(),)), BOOK, AT).denied.tolist() == [True]


def test_the_control_plane_is_a_place_of_every_site() -> None:
    """Personal data is refused everywhere when the control plane lies outside."""
    job = attributes.JobAttributes(data=(PERSONAL,), places=(attributes.Place("SG", "controlPlane.location.country"),))
    found = by_code(job, place())["eu-gdpr.transfer:SG"]
    assert "the control plane lies in SG" in found.message


def test_a_safeguard_past_its_end_does_not_count() -> None:
    """Clauses that ended yesterday cover nothing today."""
    papers = (attributes.Paper("scc-eu", None, dt.date(2026, 11, 21)), attributes.Paper("tia"))
    job = attributes.JobAttributes(data=(dataclasses.replace(PERSONAL, safeguards=papers),))
    assert "eu-gdpr.transfer:SG" in by_code(job, place("SG"))


def test_a_weakly_known_fact_is_a_caveat() -> None:
    """A yes that rests on a fact from a single reading says so."""
    found = by_code(attributes.JobAttributes(data=(PERSONAL,)), place("GB"))
    assert "caveat.memory:eu-adequate.GB" in found
    assert "eu-gdpr.transfer:GB" not in found


def test_a_judgement_ends_at_the_next_change() -> None:
    """Facts, stamps, certificates and safeguards end it, the day after their last."""
    job = attributes.JobAttributes()
    ends = {
        "facts": (job, place()),
        "stamp": (job, place(facts_valid_to=dt.date(2027, 1, 1))),
        "certificate": (job, place(certs=(attributes.Paper("c5", None, dt.date(2026, 12, 31)),))),
        "coming": (job, place(certs=(attributes.Paper("c5", dt.date(2026, 12, 1)),))),
    }
    papers = (attributes.Paper("tia", None, dt.date(2026, 11, 30)),)
    ends["safeguard"] = (attributes.JobAttributes(data=(dataclasses.replace(PERSONAL, safeguards=papers),)), place())
    found = {
        name: evaluator.judge(asked, table.SiteTable((site,)), BOOK, AT).expires for name, (asked, site) in ends.items()
    }
    days = {"facts": "2027-04-07", "stamp": "2027-01-02", "certificate": "2027-01-01", "coming": "2026-12-01",
            "safeguard": "2026-12-01"}  # fmt: skip
    assert found == {name: dt.datetime.fromisoformat(f"{day}T00:00:00+00:00") for name, day in days.items()}


def test_the_policy_clock_is_read_as_a_day_of_utc() -> None:
    """Late in the evening west of Greenwich it is already tomorrow; a time without a zone is refused."""
    west = dt.datetime(2026, 11, 22, 20, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert "core.stale-facts" in by_code(attributes.JobAttributes(), place(facts_valid_to=dt.date(2026, 11, 22)), west)
    with pytest.raises(ValueError, match="time zone"):
        evaluator.explain(attributes.JobAttributes(), place(), BOOK, dt.datetime(2026, 11, 22))


@pytest.mark.parametrize("effect", list(reasons.Effect)[:2])
def test_a_rule_that_raises_denies_in_both_readings(effect: reasons.Effect) -> None:
    """A planted fault in a denying or obliging rule refuses the site and names the rule; it never lets it through."""

    def planted(_day: dt.date, _value: object) -> bool:
        raise ZeroDivisionError("planted")

    source = next(rule for rule in BOOK.rules if rule.id == "core.stale-facts")
    leaf = next(rules.leaves(source.body))
    bad = rules.Leaf(predicates.Predicate("past", planted, leaf.predicate.kinds), leaf.args, leaf.site, leaf.location)
    book = dataclasses.replace(BOOK, rules=(dataclasses.replace(source, body=bad, effect=effect),))
    judged = evaluator.judge(attributes.JobAttributes(), table.SiteTable((place(),)), book, AT)
    assert judged.denied.tolist() == [True]
    found = evaluator.explain(attributes.JobAttributes(), place(), book, AT)
    assert "core.unsupported:rules.core.stale-facts" in {r.code for r in found if r.effect is reasons.Effect.DENY}
    assert [r.code for r in judged.reasons(0)] == ["core.unsupported:rules.core.stale-facts"]


def test_a_sentence_that_cannot_be_made_does_not_lose_the_reason() -> None:
    """The effect of a rule does not depend on its template."""
    source = next(rule for rule in BOOK.rules if rule.id == "core.stale-facts")
    book = dataclasses.replace(BOOK, rules=(dataclasses.replace(source, message="{no.such.name}"),))
    found = evaluator.explain(attributes.JobAttributes(), place(facts_valid_to=dt.date(2020, 1, 1)), book, AT)
    assert "core.stale-facts" in {r.code for r in found if r.effect is reasons.Effect.DENY}


def test_many_sites_and_no_site_at_all() -> None:
    """A table of more places than a word has bits, and an empty one."""
    codes = sorted(BOOK.facts.on(AT.date()).sets["iso-3166-1"].codes)
    sites = tuple(dataclasses.replace(place(code), name=code) for code in codes)
    job = attributes.JobAttributes(data=(PERSONAL,))
    judged = evaluator.judge(job, table.SiteTable(sites), BOOK, AT)
    allowed = {code for code, denied in zip(codes, judged.denied, strict=True) if not denied}
    assert len(allowed) == 30 + 13
    assert evaluator.judge(job, table.SiteTable(()), BOOK, AT).denied.tolist() == []


def test_a_book_of_more_rules_than_a_word_has_bits() -> None:
    """Bits beyond the first word are found again."""
    source = next(rule for rule in BOOK.rules if rule.id == "core.missing:backend.country")
    many = tuple(dataclasses.replace(source, id=f"core.x{number}", code=f"core.x{number}") for number in range(130))
    book: rulebook.RuleBook = dataclasses.replace(BOOK, rules=many)
    nowhere = dataclasses.replace(place(), country=None)
    judged = evaluator.judge(attributes.JobAttributes(), table.SiteTable((nowhere, place())), book, AT)
    assert len(judged.fired(0)) == 130
    assert judged.fired(1) == ()


def test_every_domain_says_what_it_reads_of_a_job() -> None:
    """Outcomes are remembered by what rules read: a domain without that list could not be remembered rightly."""
    assert operands.DOMAIN_READS.keys() == operands.DOMAINS.keys()
