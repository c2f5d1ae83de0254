"""Attempts whose jobs demand attestation: asked for, verified, stopped where nothing valid comes in time."""

import datetime as dt
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from joserfc import jwk

from orchestrator.control import attestations
from orchestrator.domain import facts, jobs
from orchestrator.inventory import attesting, claimants
from tests import tokens
from tests.unit.control.test_loop import P, Quiet

SEED = "11" * 32
VERIFIER = "https://verifier.example"
TEE = jobs.Sovereignty(tee=("tdx", "sev-snp"))


def _issuer(*kinds):
    raw = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
    public = tokens.base64url(raw.public_key().public_bytes_raw())
    private = tokens.base64url(bytes.fromhex(SEED))
    key = jwk.OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public, "d": private})
    return tokens.Issuer(VERIFIER, kinds or ("attestation/*", "location"), key=key)


def _world(*kinds, **said):
    """Give a world in which only fr is possible, attests itself in its document too, and may lie about attempts."""
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    issuer = _issuer(*kinds)
    world.claimants = claimants.Claimants(tokens.trusting(issuer.trusted()), audience=tokens.HERE)
    world.attests("fr", verifier=VERIFIER, key=SEED, **said)
    _present(world, issuer)
    return world


def _present(world, issuer, serial=1):
    now = world.clock.now()
    token = issuer.attests(
        "fr",
        jti=f"document-{serial}",
        iat=tokens.seconds(now),
        exp=tokens.seconds(now + dt.timedelta(hours=24)),
    )
    stored = world.store.document("Backend", "fr")
    spec = json.loads(stored.body)["spec"] | {"attestation": {"token": token, "verifier": VERIFIER}}
    world.rules._put("Backend", "fr", spec)


def _job(world, **more):
    return world.job(sovereignty=more.pop("sovereignty", TEE), seconds=more.pop("seconds", 600), **more)


def _state(world, id):
    job = world.store.job(id)
    told = job.condition("NonCompliant")
    return job.phase, told.reason if told is not None and told.status else None


def _mark(world):
    return json.loads(world.store.document("Backend", "fr").status).get("unattested", {}).get("p")


def test_a_valid_result_is_kept_with_what_it_covers():
    """Asked once, verified, journaled; the country that it states is attested for this attempt."""
    world = _world(facts={"location.country": "FR"})
    id = _job(world, seconds=20)
    world.turns(40)
    (attempt,) = world.store.job(id).attempts
    result = attempt.execution.attested
    assert (result.tee, result.verifier, result.covers, result.country) == (
        "tdx",
        VERIFIER,
        ("location.country",),
        "FR",
    )
    assert _state(world, id) == (P.SUCCEEDED, None)
    kinds = [link.entry.kind for link in world.store.entries(subject=f"job/{id}")]
    assert kinds.count("job.attested") == 1
    assert not world.store.job(id).condition("AttestationDue").status


def test_a_job_that_demands_nothing_is_not_asked_about():
    """No call, no condition."""
    world = _world(lie="replayed")
    id = world.job(seconds=20)
    world.turns(40)
    assert (_state(world, id), world.store.job(id).condition("AttestationDue")) == ((P.SUCCEEDED, None), None)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("audience", "attestation.wrong-audience"),
        ("expired", "attestation.expired"),
        ("untrusted", "attestation.untrusted-issuer"),
        ("other-job", "attestation.subject-mismatch"),
        ("signature", "attestation.bad-signature"),
        ("unaffirmed", "attestation.not-affirming"),
    ],
)
def test_each_lie_stops_it_with_a_code_of_its_own(lie, code):
    """At the first answer: told, stopped, the site marked and refused for every job."""
    world = _world(lie=lie)
    id = _job(world)
    world.turns(20)
    assert _state(world, id) == (P.QUEUED, code)
    assert (_mark(world)["code"], len(world.store.job(id).attempts)) == (code, 1)
    other = world.job(seconds=1)
    world.turns(20)
    assert world.phase(other) is P.QUEUED
    assert not world.machines["fr"].current()


def test_a_replayed_nonce_is_told_from_another_jobs():
    """The result of the first attempt, shown again for the second of the same job."""
    world = _world(lie="replayed")
    retry = jobs.Retry(2, (jobs.RetryOn.EXIT_CODE,))
    id = _job(world, seconds=20, code=1, retry=retry)
    world.turns(120)
    first, second = world.store.job(id).attempts
    assert first.execution.attested is not None
    assert second.execution.attested is None
    assert _state(world, id) == (P.QUEUED, "attestation.replayed-nonce")


def test_no_answer_within_the_bound_stops_it():
    """A silent verifier: not stopped before the bound, stopped after it, and only who demands goes elsewhere."""
    world = _world(lie="silent")
    id = _job(world)
    before = int(attestations.WITHIN.total_seconds()) - 20
    world.turns(before)
    assert _state(world, id) == (P.RUNNING, None)
    world.turns(40)
    assert _state(world, id) == (P.QUEUED, "AttestationMissing")
    assert _mark(world)["code"] == "attestation.missing"
    other = world.job(seconds=5)
    world.turns(20)
    assert world.phase(other) is P.SUCCEEDED
    assert len(world.store.job(id).attempts) == 1


def test_the_bound_outlives_the_loop():
    """Another process goes on counting where the last one was."""
    world = _world(lie="silent")
    id = _job(world)
    for _ in range(6):
        world.turns(30)
        world.replace(graceful=True)
    assert _state(world, id)[1] == "AttestationMissing"


def test_a_late_answer_within_the_bound_is_in_time():
    """Not ready at first, then there."""
    world = _world(readyAfter=60)
    id = _job(world, seconds=100)
    world.turns(130)
    assert _state(world, id) == (P.SUCCEEDED, None)


def test_a_statement_that_contradicts_the_document_is_named():
    """It says another country than the document: the path is in the code."""
    world = _world(facts={"location.country": "SG"})
    id = _job(world)
    world.turns(20)
    assert _state(world, id) == (P.QUEUED, "attestation.contradiction:location.country")


def test_a_verifier_states_only_what_it_is_trusted_for():
    """Trusted for the environment and not for places: what it says of a place is nobody's word."""
    world = _world("attestation/*", facts={"location.country": "FR"})
    id = _job(world)
    world.turns(20)
    assert _state(world, id) == (P.QUEUED, "attestation.untrusted-issuer")


def test_another_kind_of_environment_is_not_the_one_asked_for():
    """The job asks for tdx in its document, and its attempt runs in something else."""
    world = _world(tee="nitro")
    id = _job(world)
    world.turns(20)
    assert _state(world, id) == (P.QUEUED, "attestation.type")


def test_it_is_attested_anew_before_it_ends():
    """Half a life later another result is asked for, with another challenge."""
    world = _world()
    id = _job(world, seconds=40_000)
    world.turns(20)
    first = world.store.job(id).attempt.execution
    world.turns(60, seconds=600)
    second = world.store.job(id).attempt.execution
    assert (first.rounds, second.rounds) == (1, 2)
    assert first.attested.token != second.attested.token


def test_a_challenge_belongs_to_one_attempt_and_round():
    """Installation, key and round each make another one; it is 64 hexadecimal digits."""
    made = {
        attesting.challenge(audience, key, round) for audience in "ab" for key in ("k-1", "k-2") for round in (0, 1)
    }
    assert len(made) == 8
    assert all(len(one) == 64 for one in made)


def test_a_demand_for_attested_facts_needs_an_adapter_that_can():
    """minAssurance attested is refused by capability where the adapter brings no results."""
    world = Quiet()
    id = world.job(sovereignty=jobs.Sovereignty(min_assurance=facts.Assurance.ATTESTED))
    world.turns(5)
    assert world.store.job(id).condition("Unplaceable").status
