"""What a job demands of the facts it is judged on."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import facts, jobs
from orchestrator.policy import attributes, cases, constraints, conversions, evaluator, table
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DAY = dt.date(2026, 11, 1)
BOOK = packs.load()
DOCUMENTED = facts.FactStamp("annual report", DAY, assurance=facts.Assurance.DOCUMENTED)
SITE = attributes.SiteAttributes(
    name="s", country="FR", legal_country="FR", parent_hq="FR", backend_stamp=DOCUMENTED, operator_stamp=DOCUMENTED
)


def asking(level: facts.Assurance | None, *schemes: str) -> attributes.JobAttributes:
    merged = constraints.merge((jobs.Sovereignty(min_assurance=level, certifications=schemes),))
    return attributes.JobAttributes(constraints=merged, asks=merged.asks(), control_plane_stamp=DOCUMENTED)


def denials(job: attributes.JobAttributes, site: attributes.SiteAttributes) -> list[str]:
    """Return the codes that deny, after checking that both readers say the same."""
    answer = cases.answer(evaluator.explain(job, site, BOOK, AT))
    judged = evaluator.judge(job, table.SiteTable((site,)), BOOK, AT)
    assert sorted(judged.codes()) == (list(answer.rules) if answer.decision == cases.DENY else [])
    return sorted(judged.codes())


def test_facts_known_less_well_than_demanded_deny() -> None:
    """Backend, operator and control plane are named apart; without a demand nothing is refused."""
    weak = dataclasses.replace(SITE, backend_stamp=facts.FactStamp(), operator_stamp=facts.FactStamp())
    assert denials(asking(facts.Assurance.DOCUMENTED), SITE) == []
    assert denials(asking(None), weak) == []
    assert denials(asking(facts.Assurance.DOCUMENTED), weak) == [
        "core.assurance:backend.facts", "core.assurance:operator.facts"
    ]  # fmt: skip
    assert denials(asking(facts.Assurance.CERTIFIED), SITE) == [
        "core.assurance:backend.facts", "core.assurance:controlPlane.facts", "core.assurance:operator.facts"
    ]  # fmt: skip


@pytest.mark.parametrize(("level", "expected"), [(facts.Assurance.DECLARED, []), (facts.Assurance.DOCUMENTED, ["c5"])])
def test_a_certificate_known_less_well_does_not_count(level: facts.Assurance, expected: list[str]) -> None:
    """A certificate that is only declared satisfies a job that demands no more."""
    site = dataclasses.replace(SITE, certs=(attributes.Paper("c5"),))
    assert denials(asking(level, "c5"), site) == [f"certs.{scheme}" for scheme in expected]
    found = evaluator.explain(asking(level, "c5"), site, BOOK, AT)
    assert ("c5 (only declared)" in str(found)) is bool(expected)


def test_a_table_that_changes_keeps_the_demand() -> None:
    """The variant of a table for a demand follows its updates."""
    job = asking(facts.Assurance.DOCUMENTED, "c5")
    sites = table.SiteTable((dataclasses.replace(SITE, certs=(attributes.Paper("c5"),)),))
    assert evaluator.judge(job, sites, BOOK, AT).denied[0]
    paper = attributes.Paper("c5", assurance=facts.Assurance.DOCUMENTED)
    assert not evaluator.judge(job, sites.updated((dataclasses.replace(SITE, certs=(paper,)),)), BOOK, AT).denied[0]


@pytest.mark.parametrize(
    ("stamp", "level"),
    [
        (facts.FactStamp("report", DAY, assurance=facts.Assurance.ATTESTED), facts.Assurance.DOCUMENTED),
        (facts.FactStamp("report", None, assurance=facts.Assurance.DOCUMENTED), facts.Assurance.DECLARED),
        (facts.FactStamp(None, DAY, assurance=facts.Assurance.CERTIFIED), facts.Assurance.DECLARED),
        (facts.FactStamp("report", DAY), facts.Assurance.DECLARED),
    ],
)
def test_assurance_is_earned_not_written(stamp: facts.FactStamp, level: facts.Assurance) -> None:
    """A document that calls itself certified is as good as the source and the day it names."""
    assert conversions.earned(stamp).assurance is level


ATTESTED = facts.Assurance.ATTESTED
ALL = frozenset({"backend", "operator", "controlPlane"})
FRESH = attributes.Attested("tdx", True, AT - dt.timedelta(hours=1), until=AT + dt.timedelta(hours=2), covers=ALL)


def attested(result: attributes.Attested | None) -> list[str]:
    """Return the documents that are refused where facts are to be attested."""
    found = denials(asking(ATTESTED), dataclasses.replace(SITE, attested=result))
    return [code.removeprefix("core.assurance:").removesuffix(".facts") for code in found]


def test_facts_that_a_fresh_result_covers_are_attested() -> None:
    """Document by document: what it does not cover is refused, whatever else it is worth."""
    assert attested(FRESH) == []
    for document in sorted(ALL):
        assert attested(dataclasses.replace(FRESH, covers=ALL - {document})) == [document]
    assert attested(None) == sorted(ALL)


@pytest.mark.parametrize(
    "change",
    [
        {"verified": False},
        {"at": AT - dt.timedelta(hours=25), "until": None},
        {"until": AT - dt.timedelta(seconds=1)},
        {"at": AT + dt.timedelta(seconds=1)},
        {"at": None},
    ],
)
def test_a_result_that_does_not_hold_now_attests_nothing(change: dict[str, object]) -> None:
    """Not verified, older than a day, ended, still to come, of no known age."""
    assert attested(dataclasses.replace(FRESH, **change)) == sorted(ALL)


def test_a_verdict_on_an_attestation_ends_with_it() -> None:
    """What rests on a result is judged again when it ends."""
    site = dataclasses.replace(SITE, attested=FRESH)
    judged = evaluator.judge(asking(ATTESTED), table.SiteTable((site,)), BOOK, AT)
    assert judged.expires is not None
    assert judged.expires <= AT + dt.timedelta(hours=2, seconds=1)
