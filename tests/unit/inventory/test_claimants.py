"""Claims held against the documents they stand on: who is meant, what is covered, what contradicts."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import facts, sites, tenants, trust
from orchestrator.inventory import assembly, catalogues, challenges, claimants, presentations, sightings
from orchestrator.policy import conversions
from tests import tokens

DAY = tokens.NOW.date()
CERTIFIED, DOCUMENTED, DECLARED = facts.Assurance.CERTIFIED, facts.Assurance.DOCUMENTED, facts.Assurance.DECLARED
ISSUER = tokens.Issuer()
VERIFIER = tokens.Issuer("https://verifier.example", kinds=("attestation/*",))
TRUST = tokens.trusting(ISSUER.trusted(), VERIFIER.trusted())
WHERE = {"location.country": "FR", "location.region": "eu-west-gra", "adminFrom": ["FR"]}
WHO = {"operator": "ovhcloud", "service": "kube"}


def stamped(*texts):
    return facts.FactStamp(" ".join(texts))


def where(subject="backend/gra", **says):
    return ISSUER.claim("location", subject, certifies={"facts": WHERE | says}, jti="where-1")


def who(subject="backend/gra", **says):
    return ISSUER.claim("operator", subject, certifies={"facts": WHO | says}, jti="who-1")


OPERATOR = sites.Operator(
    "ovhcloud",
    "FR",
    "FR",
    lei="529900T8BM49AURSDO55",
    facts=stamped(
        ISSUER.claim(
            "operator",
            "operator/ovhcloud",
            certifies={"facts": {"legalCountry": "FR", "ultimateParentHq": "FR", "lei": "529900T8BM49AURSDO55"}},
        )
    ),
)
BACKEND = sites.Backend(
    "gra",
    "simulated",
    operator="ovhcloud",
    service="kube",
    location=sites.Location("FR", region="eu-west-gra"),
    admin_from=("FR",),
    pools=(sites.Pool("p"),),
    facts=stamped(where(), who()),
)
HDS = sites.Certification("hds-v2", "kube", ("eu-west-gra",))


def made(backend=BACKEND, operator=OPERATOR, *, trusted=TRUST, presented=None, plane=None):
    """Return the one site of a backend."""
    verifier = claimants.Claimants(trusted, audience=tokens.HERE)
    operators, _, proofs = claimants.prove(
        verifier, presented or presentations.Presented(), {operator.name: operator}, plane
    )
    (site,) = assembly.sites_of(
        backend,
        operators=operators,
        seen=sightings.Facts(None, (), frozenset()),
        catalogue=catalogues.EmptyCatalogue(),
        owner_tenant=None,
        proofs=proofs,
    )
    return site


def faults(site, day=DAY):
    return sorted({flaw.fault.value for claim in site.claims for flaw in claim.flaws if flaw.on(day)})


def level(site):
    return conversions.of_site(site).backend_stamp.assurance


def changed(**changes):
    return dataclasses.replace(BACKEND, **changes)


def test_facts_that_claims_cover_are_certified():
    """Backend and operator, whatever their documents call themselves; the source is the claim, not its text."""
    site = made()
    found = conversions.of_site(site)
    assert faults(site) == []
    assert (found.backend_stamp.assurance, found.operator_stamp.assurance) == (CERTIFIED, CERTIFIED)
    assert found.backend_stamp.source == f"claim where-1 of {ISSUER.id}; claim who-1 of {ISSUER.id}"
    assert "jws:" not in str(site)


@pytest.mark.parametrize(
    "more",
    [
        {"seal": (("SOV-1", 3),)},
        {"log_retention_days": 30},
        {"log_store": sites.Location("FR")},
        {"pools": (sites.Pool("p", accelerator="x"),)},
        {"pools": (sites.Pool("p", location=sites.Location("DE", region="eu-west-gra")),)},
        {"pools": (sites.Pool("p", admin_from=("FR", "US")),)},
    ],
)
def test_what_no_claim_covers_is_not_certified(more):
    """One stated fact that nobody signed, of the backend or of its pool, leaves the whole stamp where it was."""
    site = made(changed(**more))
    assert faults(site) == []
    assert level(site) is DECLARED


def test_a_pool_may_have_claims_of_its_own():
    """Its claims speak of ``backend/NAME/POOL``; those for other pools stand there for them."""
    pool = sites.Pool("p", accelerator="x", location=sites.Location("DE", region="eu-west-gra"))
    own = ISSUER.claim("hardware", "backend/gra/p", certifies={"facts": {"accelerator": "x"}}, jti="chips")
    place = where("backend/gra/p", **{"location.country": "DE"})
    other = where("backend/gra/q", **{"location.country": "US"})
    everything = stamped(own, place, other, who())
    assert level(made(changed(pools=(pool,), facts=everything))) is CERTIFIED
    assert faults(made(changed(pools=(pool,), facts=everything))) == []
    theirs = dataclasses.replace(pool, facts=stamped(own, place))
    assert level(made(changed(pools=(theirs,)))) is CERTIFIED


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (where(**{"location.country": "DE"}), "backend.location.country"),
        (where(**{"location.subdivision": "FR-59"}), "backend.location.subdivision"),
        (where(adminFrom=["FR", "US"]), "backend.adminFrom"),
        (who(operator="scaleway"), "backend.operator"),
    ],
)
def test_another_value_is_a_contradiction(text, path):
    """Also one that the document leaves out; both sides are told."""
    site = made(changed(facts=stamped(text)))
    (flaw,) = [flaw for claim in site.claims for flaw in claim.flaws if flaw.path]
    assert (flaw.path, flaw.fault.value) == (path, "contradiction")
    assert "the document" in flaw.detail
    assert flaw.said != flaw.stated
    assert level(site) is DECLARED


@pytest.mark.parametrize(
    "text",
    [
        where("backend/other"),
        where("operator/ovhcloud"),
        where("backend/gra2"),
        where("did:web:gra.example"),
    ],
)
def test_a_claim_speaks_of_what_it_stands_on(text):
    """A claim about another place proves nothing here."""
    site = made(changed(facts=stamped(text)))
    assert faults(site) == ["subject-mismatch"]
    assert level(site) is DECLARED


def test_names_of_issuers_are_mapped_by_the_trust_list():
    """A DID or URL counts as what the trust list says it is."""
    trusted = dataclasses.replace(TRUST, subjects=(("did:web:gra.example", "backend/gra"),))
    site = made(changed(facts=stamped(where("did:web:gra.example"), who())), trusted=trusted)
    assert (faults(site), level(site)) == ([], CERTIFIED)


def test_a_claim_says_only_what_its_kind_may_say():
    """Who may certify places says nothing about owners, and states something at all."""
    foreign = ISSUER.claim("location", "backend/gra", certifies={"facts": {"operator": "ovhcloud"}})
    empty = ISSUER.claim("location", "backend/gra")
    assert faults(made(changed(facts=stamped(foreign)))) == ["malformed"]
    assert faults(made(changed(facts=stamped(empty)))) == ["malformed"]


def hds(subject="operator/ovhcloud", **certifies):
    return ISSUER.claim("certification/hds-v2", subject, certifies=certifies, jti="hds-1")


def certified(text, cert=HDS, **more):
    return changed(certifications=(dataclasses.replace(cert, evidence=text),), **more)


def test_a_certificate_that_a_claim_carries_is_certified():
    """By the operator's name, its LEI, or the backend; the paper is in force as the document says."""
    for subject in ("operator/ovhcloud", "lei/529900T8BM49AURSDO55", "backend/gra", "backend/gra/p"):
        text = hds(subject, service="kube", regions=["eu-west-gra", "eu-west-sbg"])
        (paper,) = conversions.of_site(made(certified(text))).certs
        assert (paper.assurance, paper.source) == (CERTIFIED, f"claim hds-1 of {ISSUER.id}")
    licence = ISSUER.claim("evidence/bis-licence", "operator/ovhcloud")
    (paper,) = conversions.of_site(made(changed(evidence=(sites.Evidence("bis-licence", licence),)))).evidence
    assert paper.assurance is CERTIFIED


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (hds(service="other"), "contradiction"),
        (hds(regions=["eu-west-sbg"]), "contradiction"),
        (hds(paper={"validTo": "2027-01-01"}), "contradiction"),
        (hds(paper={"digest": "sha256:" + "00" * 32}), "contradiction"),
        (hds("operator/scaleway"), "subject-mismatch"),
        (ISSUER.claim("certification/c5", "operator/ovhcloud"), "subject-mismatch"),
        (hds(facts={"location.country": "FR"}), "malformed"),
    ],
)
def test_a_certificate_is_what_its_claim_says(text, fault):
    """Service, regions, end, digest, holder and scheme; else it refuses, and certifies nothing."""
    cert = dataclasses.replace(HDS, valid_to=dt.date(2027, 6, 30), digest="sha256:" + "11" * 32)
    site = made(certified(text, cert))
    assert faults(site) == [fault]
    assert conversions.of_site(site).certs[0].assurance < CERTIFIED


def test_claims_of_operator_and_control_plane_come_along():
    """A site rests on all three documents, so a flaw of any of them is its own."""
    expired = tokens.seconds(tokens.NOW - dt.timedelta(hours=1))
    bad = ISSUER.claim("operator", "operator/ovhcloud", certifies={"facts": {"legalCountry": "FR"}}, exp=expired)
    operator = dataclasses.replace(OPERATOR, facts=stamped(bad))
    assert faults(made(operator=operator)) == ["expired"]
    plane = tenants.ControlPlane("self", location=sites.Location("FR"), facts=stamped(where("control-plane/other")))
    assert faults(made(plane=plane)) == ["contradiction", "subject-mismatch"]


def test_another_state_of_a_claim_is_another_site():
    """Revoking, trusting, presenting: the digest of the site moves, so verdicts are made again."""
    gone = trust.Revocation(ISSUER.id, DAY, "A. Martin", "withdrawn", claim="who-1")
    revoked = made(trusted=dataclasses.replace(TRUST, revocations=(gone,)))
    assert faults(revoked) == ["revoked"]
    assert len({made().digest, revoked.digest, made(trusted=tokens.trusting()).digest}) == 3


def attesting(token, verifier=VERIFIER.id):
    return changed(attestation=sites.AttestationClaim(token, verifier))


def test_a_verified_result_attests():
    """Its kind, moment, end and verifier reach the rules; the token stays behind."""
    site = made(attesting(VERIFIER.attests("gra")))
    assert faults(site) == []
    assert site.attested == sites.Attested("tdx", True, tokens.NOW, VERIFIER.id, tokens.NOW + dt.timedelta(hours=12))
    assert site.attestation is None


@pytest.mark.parametrize(
    ("backend", "fault"),
    [
        (attesting(VERIFIER.attests("other")), "subject-mismatch"),
        (attesting(VERIFIER.attests("gra", eat_nonce=["12345678"])), "subject-mismatch"),
        (attesting(VERIFIER.attests("gra", aud="comity.dev/other")), "wrong-audience"),
        (attesting(VERIFIER.attests("gra", submods={"tdx": {"ear.status": "warning"}})), "not-affirming"),
        (attesting(VERIFIER.attests("gra"), "https://other.example"), "untrusted-issuer"),
        (attesting(ISSUER.attests("gra"), ISSUER.id), "untrusted-issuer"),
        (attesting(tokens.Issuer(VERIFIER.id).attests("gra")), "bad-signature"),
        (attesting(where()), "malformed"),
        (attesting("tdx"), "malformed"),
    ],
)
def test_what_is_not_verified_attests_nothing(backend, fault):
    """A label, another challenge, another verifier, a warning: each refuses with its word."""
    site = made(backend)
    assert site.attested is None
    assert fault in faults(site)


def test_a_result_counts_once():
    """Shown for another backend, or once more after it was replaced, or when the memory is lost: a replay."""
    token = VERIFIER.attests("gra")
    shown = claimants.Claimants(TRUST, audience=tokens.HERE).presentation(attesting(token))
    assert shown is not None

    def with_memory(one, **more):
        return made(attesting(token), presented=presentations.Presented({one.name: one}, **more))

    assert faults(with_memory(shown)) == []
    for other in (
        dataclasses.replace(shown, backend="sbg"),
        dataclasses.replace(shown, token="sha256:0"),
        dataclasses.replace(shown, again=True),
    ):
        assert faults(with_memory(other)) == ["replayed-nonce"]
    assert faults(with_memory(shown, readable=False)) == ["replayed-nonce"]


def test_signatures_are_checked_once(monkeypatch):
    """A thousand pools of one backend do not verify a thousand times."""
    count = []
    real = claimants.tokens.read
    monkeypatch.setattr(claimants.tokens, "read", lambda *given: count.append(1) or real(*given))
    pools = tuple(sites.Pool(f"p{number}") for number in range(50))
    verifier = claimants.Claimants(TRUST, audience=tokens.HERE)
    _, _, proofs = claimants.prove(verifier, presentations.Presented(), {OPERATOR.name: OPERATOR}, None)
    seen = sightings.Facts(None, (), frozenset())
    found = assembly.sites_of(
        changed(pools=pools), operators={}, seen=seen, catalogue=catalogues.EmptyCatalogue(), owner_tenant=None,
        proofs=proofs,
    )  # fmt: skip
    assert (len(found), len(count)) == (50, 3)


def covering(*, prove=True, **facts_):
    """A result of the verifier that states facts, in answer to a challenge; ``prove``: the verifier may state them."""
    kinds = ("attestation/*", "location", "operator", "hardware") if prove else ("attestation/*",)
    verifier = tokens.Issuer("https://verifier.example", kinds=kinds)
    nonce = "ab" * 32
    token = verifier.attests(
        "gra", eat_nonce=[nonce], **{"https://comity.dev/claim/v1": {"kind": "attestation/tdx", "facts": facts_}}
    )
    backend = dataclasses.replace(
        BACKEND, attestation=sites.AttestationClaim(token, verifier.id), facts=facts.FactStamp("a sheet", DAY)
    )
    given = (challenges.Challenge(nonce, tokens.NOW - dt.timedelta(minutes=1)),)
    return backend, tokens.trusting(ISSUER.trusted(), verifier.trusted()), given


ALL_OF_IT = WHERE | WHO


def test_a_result_that_states_every_fact_covers_the_document():
    """Challenged, trusted for the kinds, equal: facts of the backend are attested, not those of its operator."""
    backend, trusted, given = covering(**ALL_OF_IT)
    site = made(backend, trusted=trusted, presented=presentations.Presented(challenges={"gra": given}))
    assert (faults(site), site.attested.covers) == ([], ("backend",))
    operator = {f"operator.{name}": value for name, value in (("legalCountry", "FR"), ("ultimateParentHq", "FR"))}
    backend, trusted, given = covering(**ALL_OF_IT, **operator, **{"operator.lei": "529900T8BM49AURSDO55"})
    site = made(backend, trusted=trusted, presented=presentations.Presented(challenges={"gra": given}))
    assert site.attested.covers == ("backend", "operator")


@pytest.mark.parametrize("left", sorted(ALL_OF_IT))
def test_one_fact_left_out_covers_nothing(left):
    """What a result does not state is as well known as before, and so is the whole."""
    backend, trusted, given = covering(**{name: value for name, value in ALL_OF_IT.items() if name != left})
    site = made(backend, trusted=trusted, presented=presentations.Presented(challenges={"gra": given}))
    assert (faults(site), site.attested.covers) == ([], ())


def test_without_a_challenge_of_ours_nothing_is_covered():
    """An old challenge, another backend's, or the backend's name alone: verified, and no more than before."""
    backend, trusted, given = covering(**ALL_OF_IT)
    late = (dataclasses.replace(given[0], at=tokens.NOW + dt.timedelta(hours=1)),)
    for known in ({}, {"other": given}, {"gra": late}):
        site = made(backend, trusted=trusted, presented=presentations.Presented(challenges=known))
        assert faults(site) == ["subject-mismatch"]
        assert site.attested is None


def test_a_result_states_only_what_its_verifier_may_and_what_is_so():
    """A kind that the trust list does not give it, another value, a fact that no document has: each refuses."""
    backend, trusted, given = covering(prove=False, **ALL_OF_IT)
    shown = presentations.Presented(challenges={"gra": given})
    assert faults(made(backend, trusted=trusted, presented=shown)) == ["untrusted-issuer"]
    for changed, fault in (({"location.country": "DE"}, "contradiction"), ({"weather": "fine"}, "malformed")):
        backend, trusted, given = covering(**(ALL_OF_IT | changed))
        assert faults(made(backend, trusted=trusted, presented=shown)) == [fault]
