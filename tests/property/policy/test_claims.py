"""The law of claims: taking one away, or breaking it, never turns a refusal into a yes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import facts, jobs, sites, tenants, trust
from orchestrator.inventory import assembly, catalogues, claimants, presentations, sightings
from orchestrator.policy import conversions, evaluator
from orchestrator.sources import packs
from tests import tokens

BOOK = packs.load()
ISSUER = tokens.Issuer()
VERIFIER = tokens.Issuer("https://verifier.example", kinds=("attestation/tdx",))
TRUST = tokens.trusting(ISSUER.trusted(), VERIFIER.trusted())
SEEN = sightings.Facts(None, (), frozenset())
Texts = dict[str, str | None]

TEXTS: Texts = {
    "where": ISSUER.claim(
        "location", "backend/gra", certifies={"facts": {"location.country": "FR", "adminFrom": ["FR"]}}, jti="1"
    ),
    "who": ISSUER.claim(
        "operator", "backend/gra", certifies={"facts": {"operator": "ovhcloud", "service": "kube"}}, jti="2"
    ),
    "operator": ISSUER.claim(
        "operator", "operator/ovhcloud", certifies={"facts": {"legalCountry": "FR", "ultimateParentHq": "FR"}}, jti="3"
    ),
    "plane": ISSUER.claim("location", "control-plane/self", certifies={"facts": {"location.country": "FR"}}, jti="4"),
    "hds": ISSUER.claim("certification/hds-v2", "operator/ovhcloud", jti="5"),
    "licence": ISSUER.claim("evidence/bis-licence", "operator/ovhcloud", jti="6"),
    "token": VERIFIER.attests("gra"),
}
"""Valid claims on every place that takes one."""

ASKS = [
    jobs.Sovereignty(min_assurance=level, certifications=certs, tee=tee)
    for level, certs, tee in itertools.product((None, *facts.Assurance), ((), ("hds-v2",)), ((), ("tdx",)))
]
DAYS = [tokens.NOW + dt.timedelta(days=n) for n in (0, 1, 300)]
"""Days on which all of them hold. One that is over refuses until it is renewed or taken off, which is another law."""


def answers(texts: Texts, trusted: trust.TrustList = TRUST) -> list[bool]:
    """Return for each question on each day whether the site may be used."""
    verifier = claimants.Claimants(trusted, audience=tokens.HERE)
    operator = sites.Operator("ovhcloud", "FR", "FR", facts=facts.FactStamp(texts["operator"]))
    plane = tenants.ControlPlane(location=sites.Location("FR"), facts=facts.FactStamp(texts["plane"]))
    backend = sites.Backend(
        "gra",
        "simulated",
        operator="ovhcloud",
        service="kube",
        location=sites.Location("FR"),
        admin_from=("FR",),
        certifications=(sites.Certification("hds-v2", "kube", (), evidence=texts["hds"]),),
        evidence=(sites.Evidence("bis-licence", texts["licence"]),),
        pools=(sites.Pool("p"),),
        facts=facts.FactStamp(" ".join(one for one in (texts["where"], texts["who"]) if one) or None),
        attestation=sites.AttestationClaim(texts["token"], VERIFIER.id) if texts["token"] else None,
    )
    operators, proved, proofs = claimants.prove(verifier, presentations.Presented(), {"ovhcloud": operator}, plane)
    (site,) = assembly.sites_of(
        backend,
        operators=operators,
        seen=SEEN,
        catalogue=catalogues.EmptyCatalogue(),
        owner_tenant=None,
        proofs=proofs,
    )
    found = conversions.of_site(site)
    made = []
    for asked in ASKS:
        spec = jobs.JobSpec("j", command=("true",), sovereignty=asked)
        job = conversions.of_job(spec, tenant=None, datasets={}, control_plane=proved)
        made += [not any(one.effect.value == "deny" for one in evaluator.explain(job, found, BOOK, at)) for at in DAYS]
    return made


def broken(text: str) -> Iterator[str]:
    """Yield the claim broken in different ways."""
    head, payload, signature = text.split(".")
    yield f"{head}.{payload}.{signature[:-2]}AA"
    yield f"{head}.{payload}."
    yield f"{head}.{payload[:-4]}AAAA.{signature}"
    yield "jws:" + text.removeprefix("jws:")[3:]
    yield "jws:x"


def cases() -> Iterator[Any]:
    for name, text in TEXTS.items():
        assert text is not None
        yield pytest.param({name: None}, id=f"{name}-removed")
        for number, one in enumerate(broken(text)):
            yield pytest.param({name: one}, id=f"{name}-broken-{number}")
        other = next(found for key, found in TEXTS.items() if key != name)
        yield pytest.param({name: other}, id=f"{name}-swapped")


WHOLE = answers(TEXTS)


def test_valid_claims_open_what_they_should() -> None:
    """With all of them a job that demands certified facts is placed; with none of them it is not."""
    certified = [n for n, asked in enumerate(ASKS) if asked.min_assurance is facts.Assurance.CERTIFIED]
    allowed = [WHOLE[n * len(DAYS)] for n in certified]
    assert any(allowed)
    nothing = answers(dict.fromkeys(TEXTS))
    assert not any(nothing[n * len(DAYS)] for n in certified)


@pytest.mark.parametrize("change", list(cases()))
def test_no_claim_less_is_a_yes_more(change: Texts) -> None:
    """Removed, cut, altered, or another one in its place."""
    after = answers(TEXTS | change)
    assert all(before or not now for before, now in zip(WHOLE, after, strict=True))


@pytest.mark.parametrize(
    "trusted",
    [
        tokens.trusting(),
        tokens.trusting(VERIFIER.trusted()),
        tokens.trusting(dataclasses.replace(ISSUER, kinds=("location",)).trusted()),
        dataclasses.replace(TRUST, revocations=(trust.Revocation(ISSUER.id, tokens.NOW.date(), "me", "x", claim="3"),)),
    ],
)
def test_trusting_less_allows_less(trusted: trust.TrustList) -> None:
    """Fewer issuers, fewer kinds, a revocation: never a yes more."""
    after = answers(TEXTS, trusted)
    assert all(before or not now for before, now in zip(WHOLE, after, strict=True))
    assert after != WHOLE
