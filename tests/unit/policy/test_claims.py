"""Claims as rules judge them: each fault has its code, on its days, with both readers alike."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import claims, facts, ids, jobs, reasons
from orchestrator.policy import attributes, constraints, conversions, evaluator, table
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
TODAY = AT.date()
BOOK = packs.load()
JOB = attributes.JobAttributes()
SITE = attributes.SiteAttributes(name="s", country="FR", legal_country="FR", parent_hq="FR")
DAY = dt.timedelta(days=1)


def claimed(*flaws: claims.Flaw) -> attributes.SiteAttributes:
    """Return a site that rests on one claim with these flaws."""
    claim = claims.Claim(
        "backend.certifications[hds-v2]",
        ids.Digest("sha256:" + "0" * 64),
        "certification/hds-v2",
        "did:web:certs.example",
        "k1",
        "hds-1",
        dt.date(2026, 1, 1),
        dt.date(2027, 6, 30),
        flaws,
    )
    return dataclasses.replace(SITE, claims=(claim,))


def refusals(site: attributes.SiteAttributes, at: dt.datetime = AT) -> list[reasons.Reason]:
    """Return what refuses, after checking that both readers say the same (columns know no path of one site)."""
    found = [one for one in evaluator.explain(JOB, site, BOOK, at) if one.effect is reasons.Effect.DENY]
    judged = evaluator.judge(JOB, table.SiteTable((site,)), BOOK, at)
    short = [one.code.partition(":")[0] for one in found]
    assert sorted(code.partition(":")[0] for code in judged.codes()) == sorted(short)
    return found


@pytest.mark.parametrize("fault", list(claims.Fault))
def test_each_fault_refuses_with_its_code(fault: claims.Fault) -> None:
    """Diligence; who said it, with which key, from when to when; what to do."""
    path = "backend.location.country" if fault is claims.Fault.CONTRADICTION else None
    dated = {
        claims.Fault.EXPIRED: (TODAY, None),
        claims.Fault.REVOKED: (TODAY, None),
        claims.Fault.NOT_YET_VALID: (None, TODAY),
    }.get(fault, (None, None))
    (found,) = refusals(claimed(claims.Flaw(fault, "what is wrong", *dated, path=path)))
    assert found.code == f"claim.{fault.value}" + (f":{path}" if path else "")
    assert found.basis is reasons.Basis.DILIGENCE
    assert found.remedy is not None
    assert found.remedy.kind is reasons.RemedyKind.FIX_BACKEND
    cited = found.facts[0]
    assert cited.path == (path or "backend.certifications[hds-v2]")
    assert cited.value == "certification/hds-v2: what is wrong"
    assert cited.source == "claim hds-1 of did:web:certs.example, key k1"
    assert (cited.as_of, cited.valid_to) == (dt.date(2026, 1, 1), dt.date(2027, 6, 30))


def test_faults_stand_on_their_days() -> None:
    """Expired from a day on, not yet valid up to one, no longer trusted, revoked: the day before and after differ."""
    for fault in (claims.Fault.EXPIRED, claims.Fault.REVOKED, claims.Fault.UNTRUSTED_ISSUER):
        site = claimed(claims.Flaw(fault, "x", first=TODAY + DAY))
        assert [len(refusals(site, AT + n * DAY)) for n in (0, 1, 2)] == [0, 1, 1]
    site = claimed(claims.Flaw(claims.Fault.NOT_YET_VALID, "x", last=TODAY))
    assert [len(refusals(site, AT + n * DAY)) for n in (-1, 0, 1)] == [1, 1, 0]


def test_a_verdict_ends_when_a_claim_does() -> None:
    """The day on which a claim's state changes bounds what was judged before."""
    site = claimed(claims.Flaw(claims.Fault.EXPIRED, "x", first=TODAY + 9 * DAY))
    judged = evaluator.judge(JOB, table.SiteTable((site,)), BOOK, AT)
    assert judged.expires <= dt.datetime.combine(TODAY + 9 * DAY, dt.time(), dt.UTC)
    assert dt.date(2026, 12, 1) in site.boundaries()


def test_only_what_stands_today_is_told() -> None:
    """A claim that ends next year is not cited for one that ended yesterday."""
    over = claimed(claims.Flaw(claims.Fault.EXPIRED, "ended", first=TODAY)).claims[0]
    later = claimed(claims.Flaw(claims.Fault.EXPIRED, "will end", first=TODAY + 9 * DAY)).claims[0]
    (found,) = refusals(dataclasses.replace(SITE, claims=(later, over)))
    assert [one.value for one in found.facts if one.path.startswith("backend.")] == ["certification/hds-v2: ended"]


def test_several_contradictions_are_named_together() -> None:
    """Sorted, so that the same document always gives the same code."""
    flaws = [claims.Flaw(claims.Fault.CONTRADICTION, "x", path=path) for path in ("operator.lei", "backend.adminFrom")]
    (found,) = refusals(claimed(*flaws))
    assert found.code == "claim.contradiction:backend.adminFrom,operator.lei"


def test_both_sides_of_a_contradiction_are_shown() -> None:
    """The document's value and the claim's, each with where it comes from."""
    flaw = claims.Flaw(claims.Fault.CONTRADICTION, "x", path="operator.lei", said='"A"', stated='"B"')
    (found,) = refusals(claimed(flaw))
    shown = [(one.path, one.value, one.source) for one in found.facts if one.path == "operator.lei"]
    assert shown == [
        ("operator.lei", '"B"', "the operator document"),
        ("operator.lei", '"A"', "claim hds-1 of did:web:certs.example, key k1"),
    ]


def test_many_sites_get_the_sentences_of_each() -> None:
    """Made column by column or row by row, the reasons are the same, where claims differ and where they agree."""
    expired = claims.Flaw(claims.Fault.EXPIRED, "ended", first=TODAY)
    contradicts = claims.Flaw(claims.Fault.CONTRADICTION, "x", path="operator.lei", said='"A"', stated='"B"')
    bad = claims.Flaw(claims.Fault.BAD_SIGNATURE, "forged")
    found = [SITE, *(claimed(*flaws) for flaws in ((expired,), (expired, bad), (contradicts,), (contradicts, expired)))]
    rows = tuple(dataclasses.replace(site, name=f"s{number}") for number, site in enumerate((*found, *found)))
    judged = evaluator.judge(JOB, table.SiteTable(rows), BOOK, AT)
    for number, site in enumerate(rows):
        assert judged.whole(number) == tuple(evaluator.explain(JOB, site, BOOK, AT))


def tee(until: dt.datetime | None) -> tuple[attributes.JobAttributes, attributes.SiteAttributes]:
    merged = constraints.merge((jobs.Sovereignty(tee=("tdx",)),))
    attested = attributes.Attested("tdx", verified=True, at=AT, until=until)
    return (
        attributes.JobAttributes(constraints=merged, asks=merged.asks()),
        dataclasses.replace(SITE, attested=attested),
    )


def test_an_attestation_ends_when_its_verifier_says() -> None:
    """Earlier than the age that the pack allows; the verdict ends just then."""
    until = AT + dt.timedelta(hours=2)
    job, site = tee(until)
    judged = evaluator.judge(job, table.SiteTable((site,)), BOOK, AT)
    assert not judged.denied[0]
    assert until < judged.expires <= until + dt.timedelta(seconds=1)
    late = evaluator.judge(job, table.SiteTable((site,)), BOOK, until + dt.timedelta(seconds=1))
    assert sorted(late.codes()) == ["tee.attestation"]
    early = evaluator.judge(job, table.SiteTable((site,)), BOOK, AT - dt.timedelta(hours=1))
    assert sorted(early.codes()) == ["tee.attestation"]
    assert early.expires <= AT


def test_proof_raises_and_words_do_not() -> None:
    """A stamp that claims cover is certified whatever it calls itself; ``proven`` is never read from a document."""
    plain = facts.FactStamp("x", proven=facts.Assurance.CERTIFIED)
    assert conversions.earned(plain).assurance is facts.Assurance.CERTIFIED
    assert conversions.earned(facts.FactStamp("x", TODAY, assurance=facts.Assurance.CERTIFIED)).assurance is (
        facts.Assurance.DOCUMENTED
    )
