"""Tokens, verified: real keys, real signatures, and everything that can be wrong with them."""

import base64
import dataclasses
import datetime as dt
import hmac
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain import claims as values
from orchestrator.domain import trust
from orchestrator.evidence import claims, profiles
from tests import tokens

HDS = "certification/hds-v2"
TODAY = tokens.NOW.date()
ISSUER = tokens.Issuer()
TRUST = tokens.trusting(ISSUER.trusted())


def faults(text, trusted=TRUST, day=TODAY, audience=tokens.HERE):
    """Return the words of what is wrong with a claim on a day."""
    found = claims.read(text, trusted, audience).claim
    return sorted({flaw.fault.value for flaw in found.flaws if flaw.on(day)})


def hds(**changes):
    return ISSUER.claim(HDS, "operator/ovhcloud", **changes)


@pytest.mark.parametrize("algorithm", list(tokens.MAKERS))
def test_a_claim_of_each_algorithm_holds(algorithm):
    """Ed25519, ES256 and RS256, and EdDSA as the older name of the first."""
    issuer = tokens.Issuer(algorithm=algorithm)
    text = issuer.claim(HDS, "operator/ovhcloud")
    opened = claims.read(text, tokens.trusting(issuer.trusted()), tokens.HERE)
    assert [flaw for flaw in opened.claim.flaws if flaw.on(TODAY)] == []
    assert (opened.claim.kind, opened.claim.issuer, opened.claim.key) == (HDS, issuer.id, "k1")
    assert opened.said.subject == "operator/ovhcloud"
    if algorithm == "Ed25519":
        older = issuer.sign(issuer.payload(HDS, "operator/ovhcloud"), alg="EdDSA")
        assert faults(older, tokens.trusting(issuer.trusted())) == []


def test_a_key_without_a_name_is_found_by_its_algorithm():
    """A header without kid is tried with the issuer's keys of that algorithm."""
    assert faults(ISSUER.sign(ISSUER.payload(HDS, "operator/x"), kid=None)) == []
    assert faults(ISSUER.sign(ISSUER.payload(HDS, "operator/x"), kid="k9")) == ["untrusted-issuer"]


def test_an_envelope_holds_too():
    """DSSE signs the type with the payload; a changed byte is seen."""
    text = ISSUER.enveloped(HDS, "operator/ovhcloud")
    assert faults(text) == []
    envelope = json.loads(profiles.from_base64url(text.removeprefix("dsse:")))
    envelope["payload"] = base64.b64encode(json.dumps(ISSUER.payload(HDS, "operator/other")).encode()).decode()
    assert faults("dsse:" + tokens.base64url(json.dumps(envelope).encode())) == ["bad-signature"]
    envelope["payloadType"] = "application/vnd.in-toto+json"
    assert faults("dsse:" + tokens.base64url(json.dumps(envelope).encode())) == ["malformed"]


def at(day: str, hour: int = 0) -> int:
    return tokens.seconds(dt.datetime.fromisoformat(day).replace(hour=hour, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("iat", "exp", "day", "expected"),
    [
        (at("2026-01-01"), at("2026-11-23"), "2026-11-22", []),
        (at("2026-01-01"), at("2026-11-23"), "2026-11-23", ["expired"]),
        (at("2026-01-01"), at("2026-11-22", 12), "2026-11-21", []),
        (at("2026-01-01"), at("2026-11-22", 12), "2026-11-22", ["expired"]),
        (at("2026-11-22", 9), at("2027-01-01"), "2026-11-22", []),
        (at("2026-11-22", 9), at("2027-01-01"), "2026-11-21", ["not-yet-valid"]),
    ],
)
def test_a_claim_counts_by_whole_days(iat, exp, day, expected):
    """From the day of its issue to the last day that lies whole before its end."""
    assert faults(hds(iat=iat, exp=exp), day=dt.date.fromisoformat(day)) == expected


def test_a_claim_may_begin_later():
    """``nbf`` is heeded."""
    text = hds(nbf=tokens.seconds(tokens.NOW + dt.timedelta(days=9)))
    assert faults(text) == ["not-yet-valid"]
    assert faults(text, day=TODAY + dt.timedelta(days=9)) == []


def test_an_issuer_that_nobody_names_proves_nothing():
    """Neither an unknown one, nor one trusted for another kind, nor a stranger under a known name."""
    assert faults(hds(), tokens.trusting()) == ["untrusted-issuer"]
    other = dataclasses.replace(ISSUER, kinds=("location", "certification/c5"))
    assert faults(hds(), tokens.trusting(other.trusted())) == ["untrusted-issuer"]
    stranger = tokens.Issuer(kid="k1")
    assert faults(stranger.claim(HDS, "operator/ovhcloud")) == ["bad-signature"]


def test_trust_has_dates():
    """A claim issued outside the window of issuer or key proves nothing, and none counts after its end."""
    late = tokens.trusting(ISSUER.trusted(first=TODAY))
    assert faults(hds(), late) == ["untrusted-issuer"]
    for ends in ({"last": TODAY}, {"key_last": TODAY}):
        ending = tokens.trusting(ISSUER.trusted(**ends))
        assert faults(hds(), ending) == []
        assert faults(hds(), ending, TODAY + dt.timedelta(days=1)) == ["untrusted-issuer"]


@pytest.mark.parametrize("what", [{}, {"key": "k1"}, {"claim": f"{HDS}-1"}])
def test_what_is_revoked_counts_until_its_day(what):
    """The issuer, one of its keys, or one claim; other claims and keys go on."""
    gone = trust.Revocation(ISSUER.id, TODAY, "A. Martin", "withdrawn", **what)
    trusted = dataclasses.replace(TRUST, revocations=(gone,))
    assert faults(hds(), trusted) == ["revoked"]
    assert faults(hds(), trusted, TODAY - dt.timedelta(days=1)) == []
    if "claim" in what:
        assert faults(hds(jti="another"), trusted) == []
    if "key" in what:
        other = dataclasses.replace(TRUST, revocations=(dataclasses.replace(gone, key="k9"),))
        assert faults(hds(), other) == []


def test_a_claim_for_others_is_not_for_us():
    """Without an audience it is for everybody."""
    assert faults(hds(aud="comity.dev/other")) == ["wrong-audience"]
    assert faults(hds(aud=["comity.dev/other", tokens.HERE])) == []


def unsigned(header, payload):
    return f"jws:{tokens.base64url(json.dumps(header).encode())}.{tokens.base64url(json.dumps(payload).encode())}."


def test_no_signature_is_no_signature():
    """``alg: none`` in every spelling."""
    for word in ("none", "None", "NONE", ""):
        assert faults(unsigned({"alg": word, "kid": "k1"}, ISSUER.payload(HDS, "operator/x"))) == ["bad-signature"]


@pytest.mark.parametrize("secret", ["pem", "der", "n"])
def test_a_public_key_is_no_secret(secret):
    """A token that uses the issuer's public RSA key as an HMAC secret is refused, whatever form of the key."""
    issuer = tokens.Issuer(algorithm="RS256")
    key = {
        "pem": issuer.key.as_pem(private=False),
        "der": issuer.key.as_der(private=False),
        "n": issuer.key.as_dict(private=False)["n"].encode(),
    }[secret]
    text = unsigned({"alg": "HS256", "kid": "k1"}, issuer.payload(HDS, "operator/x"))
    signed = text.removeprefix("jws:").rstrip(".")
    mac = tokens.base64url(hmac.digest(key, signed.encode(), "sha256"))
    assert faults(f"jws:{signed}.{mac}", tokens.trusting(issuer.trusted())) == ["bad-signature"]


def test_a_key_serves_one_algorithm():
    """A token that says RS256 is not tried with a P-256 key."""
    issuer = tokens.Issuer(algorithm="ES256")
    text = unsigned({"alg": "RS256", "kid": "k1"}, issuer.payload(HDS, "operator/x"))
    assert faults(text + "AAAA", tokens.trusting(issuer.trusted())) == ["untrusted-issuer"]


def test_a_key_that_comes_along_is_not_used():
    """``jwk`` in the header is nobody's key."""
    stranger = tokens.Issuer(kid="k1")
    text = stranger.sign(stranger.payload(HDS, "operator/x"), jwk=stranger.key.as_dict(private=False))
    assert faults(text) == ["bad-signature"]


def test_what_is_not_vouched_for_is_not_repeated():
    """A claim with a bad signature names the issuer it claims, and nothing else of what it says."""
    found = claims.read(tokens.Issuer().claim(HDS, "operator/x"), TRUST, tokens.HERE)
    assert found.said is None
    assert (found.claim.kind, found.claim.id, found.claim.valid_to) == (None, None, None)


GARBAGE = [
    "jws:",
    "jws:a.b.c",
    "jws:....",
    "jws:eyJhbGciOiJFZDI1NTE5In0.bnVsbA.AAAA",
    "dsse:",
    "dsse:e30",
    "jws:" + "A" * 20_000,
    "jws:é.a.b",
    "",
]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_malformed(text):
    """It never raises, and says what is wrong."""
    found = claims.read(text, TRUST, tokens.HERE).claim
    assert [flaw.fault for flaw in found.flaws] == [values.Fault.MALFORMED]
    assert found.flaws[0].detail


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": ""},
        {"sub": 7},
        {"iss": ["did:web:certs.example"]},
        {"exp": True},
        {"exp": 1e300},
        {"exp": 1},
        {"aud": []},
        {profiles.CLAIM: {}},
        {profiles.CLAIM: {"kind": HDS, "countries": ["FR"]}},
        {profiles.CLAIM: {"kind": HDS, "paper": {"valid": "x"}}},
        {profiles.CLAIM: None},
    ],
)
def test_what_a_claim_must_say(changes):
    """A signed token that leaves out, or adds, something is not guessed at."""
    assert faults(hds(**changes)) == ["malformed"]


def test_json_has_one_reading():
    """A name that stands twice, a number that is none, nesting without end, a header that must be understood."""
    twice = json.dumps(ISSUER.payload(HDS, "operator/x")).replace('"sub"', '"sub": "operator/y", "sub"')
    assert faults(ISSUER.sign(twice.encode())) == ["malformed"]
    assert faults(ISSUER.sign(b'{"iat": NaN}')) == ["malformed"]
    assert faults(ISSUER.sign(b"[" * 4000)) == ["malformed"]
    critical = unsigned({"alg": "Ed25519", "kid": "k1", "crit": ["exp"]}, ISSUER.payload(HDS, "operator/x"))
    assert faults(critical) == ["malformed"]


def test_a_field_holds_a_few_claims():
    """More than eight are one malformed claim, not a long wait."""
    assert len(claims.split(" ".join([hds()] * 8))) == 8
    many = claims.split(" ".join([hds()] * 9))
    assert (len(many), faults(many[-1])) == (9, ["malformed"])


def test_a_token_has_one_spelling():
    """The last sign of each part holds bits that nobody reads: another sign there is another token, so it is none."""
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    seen = set()
    for pad in range(3):
        parts = ISSUER.claim(HDS, "operator/x" + "y" * pad).removeprefix("jws:").split(".")
        for number, part in enumerate(parts):
            if len(part) % 4:
                other = [*parts]
                other[number] = part[:-1] + signs[signs.index(part[-1]) ^ 1]
                assert faults("jws:" + ".".join(other)) == ["malformed"]
                seen.add(number)
    assert seen >= {1, 2}


TOKEN = hds()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(min_value=4, max_value=len(TOKEN) - 1), st.sampled_from("Aa0-_.z="))
def test_no_changed_character_passes(position, character):
    """Whatever sign of a token changes, it counts no longer: base64 has one spelling here."""
    if TOKEN[position] == character:
        return
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    found = claims.read(changed, TRUST, tokens.HERE)
    assert not found.claim.sound
    assert found.said is None


GAIA_X = {
    "iss": "did:web:compliance.gaia-x.example",
    "iat": tokens.seconds(tokens.NOW - dt.timedelta(days=2)),
    "exp": tokens.seconds(tokens.NOW + dt.timedelta(days=90)),
    "jti": "urn:uuid:1",
    "type": ["VerifiableCredential"],
    "credentialSubject": {
        "id": "https://ovhcloud.example/offerings/kube.json",
        "type": "gx:compliance",
        "gx:labelLevel": "L2",
        "gx:integrity": "sha256-" + "ab" * 32,
        "gx:integrityNormalization": "RFC8785",
        "gx:version": "24.06",
    },
}


def test_a_gaia_x_credential_is_a_certificate():
    """A JWT-VC of type gx:compliance certifies its level; what it found compliant is named by digest."""
    house = tokens.Issuer(GAIA_X["iss"], kinds=("certification/gaia-x:l2",), algorithm="RS256")
    trusted = tokens.trusting(house.trusted())
    text = house.sign(GAIA_X, typ="vc+jwt", x5u="https://nobody.example/never-fetched.pem")
    opened = claims.read(text, trusted, tokens.HERE)
    assert faults(text, trusted) == []
    assert (opened.said.kind, opened.said.subject) == ("certification/gaia-x:l2", GAIA_X["credentialSubject"]["id"])
    assert opened.said.paper == {"digest": "sha256:" + "ab" * 32}
    wrapped = {name: GAIA_X[name] for name in ("iss", "jti")} | {
        "vc": {
            "credentialSubject": GAIA_X["credentialSubject"],
            "validFrom": "2026-11-01T00:00:00Z",
            "validUntil": "2027-02-01T00:00:00Z",
        }
    }
    assert faults(house.sign(wrapped), trusted) == []
    assert faults(house.sign(wrapped), trusted, dt.date(2027, 2, 1)) == ["expired"]
    other = GAIA_X | {"credentialSubject": GAIA_X["credentialSubject"] | {"type": "gx:ServiceOffering"}}
    assert faults(house.sign(other), trusted) == ["malformed"]


def test_an_attestation_result_is_for_us_and_says_its_environment():
    """It needs an audience, a nonce and the kind of environment; its status is read, not taken for granted."""
    verifier = tokens.Issuer("https://verifier.example", kinds=("attestation/tdx",))
    trusted = tokens.trusting(verifier.trusted())
    said = claims.read(verifier.attests("gra"), trusted, tokens.HERE).said
    assert (said.kind, said.affirming, said.nonces) == ("attestation/tdx", True, ("backend/gra",))
    assert faults(verifier.attests("gra"), trusted) == []
    assert faults(verifier.attests("gra", aud=None), trusted) == ["wrong-audience"]
    assert faults(verifier.attests("gra", tee="sev-snp"), trusted) == ["untrusted-issuer"]
    assert faults(verifier.attests("gra", eat_nonce=None), trusted) == ["malformed"]
    assert faults(verifier.attests("gra", submods={"cpu0": {"ear.status": "affirming"}}), trusted) == ["malformed"]
    for status in ("warning", "contraindicated", 32, None, True, 2.5):
        text = verifier.attests("gra", submods={"tdx": {"ear.status": "affirming"}, "gpu": {"ear.status": status}})
        assert claims.read(text, trusted, tokens.HERE).said.affirming is False


KEYS = [
    ({"kty": "oct", "k": "c2VjcmV0"}, "keys are"),
    (tokens.Issuer().key.as_dict(private=True), "private"),
    ({"kty": "EC", "crv": "P-384"}, "not a public key"),
    ({}, "keys are"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no key of a kind"),
    (tokens.Issuer().key.as_dict(private=False) | {"alg": "ES256"}, "alg"),
]


@pytest.mark.parametrize(("raw", "said"), KEYS)
def test_what_may_not_be_trusted_as_a_key(raw, said):
    """Secrets, private keys, other curves, another algorithm than the key's."""
    with pytest.raises(claims.UntrustableKeyError, match=said):
        claims.public_key("k", raw, None, None)


def test_a_key_may_be_pem():
    """JWK and PEM of one key are one key."""
    pem = ISSUER.key.as_pem(private=False).decode()
    assert claims.public_key("k1", pem, None, None) == ISSUER.trusted().keys[0]
