"""Signed claims, verified: compact JWS (also as JWT-VC and EAT) and DSSE envelopes, against a trust list. Pure.

``read`` says everything about a token that does not depend on where it stands: who signed it, with which key, for what
kind of fact, on which days it counts. Whoever knows the document compares subject and values (``inventory.claimants``).
Keys come from the trust list only: what a token brings along (``jwk``, ``x5c``, ``x5u``) is never used or fetched.
"""

from __future__ import annotations

import binascii
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc import errors, jwk, jws

from orchestrator.domain import claims, ids, trust
from orchestrator.evidence import dsse, profiles

JWS, DSSE = "jws:", "dsse:"
"""How a claim in a document begins. After ``dsse:`` stands the envelope's JSON in base64url."""
CLAIM_MAX = 12_288
"""Longest claim, in characters."""
CLAIMS_MAX = 8
"""Most claims in one field."""
PAYLOAD_TYPE = "application/vnd.comity.claim+json"
"""Of DSSE envelopes: the payload is that of a JWT."""
RSA_BITS_MIN = 2048
_HEADER_MAX = 4096
_SAME = {"EdDSA": "Ed25519"}


class UntrustableKeyError(ValueError):
    """The text is no public key that may be trusted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A token: ``claim`` without its place, and what it says, if its signature holds."""

    claim: claims.Claim
    said: profiles.Said | None = None


def is_claim(text: str | None) -> bool:
    """Say whether the text of a document's field is one or more claims."""
    return text is not None and text.lstrip().startswith((JWS, DSSE))


def split(text: str) -> tuple[str, ...]:
    """Return the claims of one field; a longer list than allowed ends with what makes it malformed."""
    found = text.split()
    return tuple(found) if len(found) <= CLAIMS_MAX else (*found[:CLAIMS_MAX], "")


def public_key(id: str, raw: Mapping[str, Any] | str, first: dt.date | None, last: dt.date | None) -> trust.Key:
    """Return a key of a trust list, from a JWK or PEM text. Raises UntrustableKeyError for what may not be one."""
    if isinstance(raw, Mapping) and raw.get("kty") not in ("OKP", "EC", "RSA"):
        raise UntrustableKeyError(f"keys are Ed25519, P-256 or RSA, not {str(raw.get('kty'))[:20]}")
    try:
        made = _import(raw)
    except (errors.JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UntrustableKeyError(f"not a public key in JWK or PEM form: {error}") from error
    if made.is_private or (isinstance(raw, Mapping) and "d" in raw):
        raise UntrustableKeyError("it is a private key: a trust list holds public ones")
    plain = {name: value for name, value in made.as_dict(private=False).items() if name in _JWK}
    kind = (plain.get("kty"), plain.get("crv"))
    algorithm = {("OKP", "Ed25519"): "Ed25519", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}.get(kind)  # type: ignore[arg-type]
    if algorithm is None:
        raise UntrustableKeyError(f"keys are Ed25519, P-256 or RSA, not {kind[0]} {kind[1] or ''}".rstrip())
    if algorithm == "RS256" and made.raw_value.key_size < RSA_BITS_MIN:
        raise UntrustableKeyError(f"an RSA key of {made.raw_value.key_size} bits; {RSA_BITS_MIN} are the least")
    stated = raw.get("alg") if isinstance(raw, Mapping) else None
    if stated is not None and _SAME.get(str(stated), stated) != algorithm:
        raise UntrustableKeyError(f"alg {stated!r} is not {algorithm}, the one algorithm such a key is used with")
    return trust.Key(id, json.dumps(plain, sort_keys=True), algorithm, first, last)


_JWK = ("kty", "crv", "x", "y", "n", "e")


def _import(raw: Mapping[str, Any] | str) -> Any:
    if not isinstance(raw, str):
        return jwk.import_key(dict(raw))
    for kind in ("OKP", "EC", "RSA"):
        try:
            return jwk.import_key(raw, kind)
        except (errors.JoseError, ValueError, TypeError):
            continue
    raise UntrustableKeyError("no key of a kind that may be trusted")


def read(text: str, trusted: trust.TrustList, audience: str) -> Opened:
    """Read and verify one claim for an audience. Never raises for what the token is."""
    bare = claims.Claim("", ids.Digest(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"))
    try:
        form = _parse(text)
        said = profiles.read(form.payload)
    except (ValueError, TypeError, AttributeError, errors.JoseError, RecursionError, binascii.Error) as error:
        return Opened(_with(bare, claims.Fault.MALFORMED, str(error)[:200] or type(error).__name__))
    named = claims.Claim("", bare.digest, said.kind, said.issuer, form.key, said.id)
    found, flaw = _signed(form, said, trusted)
    if flaw is not None or found is None:
        # Nobody vouches for what it says: name the issuer it claims, and nothing else of its content.
        unsigned = claims.Claim("", bare.digest, None, said.issuer, form.key)
        return Opened(_with(unsigned, *(flaw or (claims.Fault.BAD_SIGNATURE, "nobody signed it"))))
    issuer, key = found
    flaws = (*_dates(said), *_trust(said, trusted, issuer, key), *_audience(said, audience))
    whole = claims.Claim(
        "", named.digest, said.kind, said.issuer, key.id, said.id, said.issued.date(), said.valid_to, tuple(flaws)
    )
    return Opened(whole, said)


def _with(claim: claims.Claim, fault: claims.Fault, detail: str) -> claims.Claim:
    return claims.Claim(
        claim.path, claim.digest, claim.kind, claim.issuer, claim.key, claim.id, flaws=(claims.Flaw(fault, detail),)
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """A token taken apart. Exactly one of ``compact`` and ``envelope`` is there."""

    payload: Mapping[str, Any]
    key: str | None
    algorithm: str | None = None
    compact: str = ""
    envelope: dsse.Envelope | None = field(default=None)


def _parse(text: str) -> _Form:
    if not text or len(text) > CLAIM_MAX:
        raise ValueError(f"a claim has 1 to {CLAIM_MAX} characters, and a field at most {CLAIMS_MAX} claims")
    if text.startswith(DSSE):
        envelope = dsse.parse(_json(profiles.from_base64url(text.removeprefix(DSSE))))
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ValueError(f"an envelope of {envelope.payload_type[:80]!r}, not {PAYLOAD_TYPE}")
        return _Form(_mapping(_json(envelope.payload)), envelope.signatures[0][0], envelope=envelope)
    compact = text.removeprefix(JWS)
    parts = compact.split(".")
    if len(parts) != 3:
        raise ValueError("a compact JWS has three parts")
    header = _mapping(_json(profiles.from_base64url(parts[0])))
    if "crit" in header or header.get("b64") is False:
        raise ValueError("a header that must be understood, and is not")
    algorithm, key = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not (key is None or isinstance(key, str)):
        raise ValueError("the header names alg, and kid as text")
    payload = _mapping(_json(profiles.from_base64url(parts[1])))
    profiles.from_base64url(parts[2])  # the library reads more than one spelling of a signature
    return _Form(payload, key, _SAME.get(algorithm, algorithm), compact)


def _json(data: bytes) -> Any:
    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in one object")
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    return json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=constant)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


_Flaw = tuple[claims.Fault, str]


def _signed(
    form: _Form, said: profiles.Said, trusted: trust.TrustList
) -> tuple[tuple[trust.Issuer, trust.Key] | None, _Flaw | None]:
    """Return the issuer and the key that signed, or the fault."""
    if form.envelope is None and form.algorithm not in trust.ALGORITHMS:
        text = f"alg {str(form.algorithm)[:40]!r} is not accepted; {', '.join(trust.ALGORITHMS)} are"
        return None, (claims.Fault.BAD_SIGNATURE, text)
    issuer = trusted.issuer(said.issuer)
    if issuer is None:
        return None, (claims.Fault.UNTRUSTED_ISSUER, f"the trust list does not name {said.issuer[:200]}")
    keys = [key for key in issuer.keys if _may_be(key, form)]
    if not keys:
        named = f"key {form.key}" if form.key else f"a key for {form.algorithm}"
        return None, (claims.Fault.UNTRUSTED_ISSUER, f"the trust list has no {named} of this issuer"[:300])
    for key in keys:
        if _holds(form, key):
            return (issuer, key), None
    return None, (claims.Fault.BAD_SIGNATURE, "the signature is not that of the issuer's key over this content")


def _may_be(key: trust.Key, form: _Form) -> bool:
    if form.envelope is not None:
        return key.algorithm == "Ed25519" and form.key in (key.id, dsse.key_id(_raw(key.jwk)))
    return key.algorithm == form.algorithm and form.key in (None, key.id)


def _holds(form: _Form, key: trust.Key) -> bool:
    if form.envelope is not None:
        return dsse.verify(form.envelope, _raw(key.jwk))
    try:
        jws.deserialize_compact(form.compact, _key(key.jwk), registry=_REGISTRY)
    except (errors.JoseError, ValueError, TypeError):
        return False
    return True


class _Registry(jws.JWSRegistry):
    """Only what trust lists allow, whatever the library learns; the two names of Ed25519 are one."""

    max_header_length = _HEADER_MAX

    def get_alg(self, name: str) -> Any:
        name = _SAME.get(name, name)
        if name not in trust.ALGORITHMS:
            raise errors.UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY = _Registry(strict_check_header=False)


@functools.lru_cache(maxsize=256)
def _key(text: str) -> Any:
    return jwk.import_key(json.loads(text))


@functools.lru_cache(maxsize=256)
def _raw(text: str) -> bytes:
    return profiles.from_base64url(json.loads(text).get("x", ""))


def _dates(said: profiles.Said) -> list[claims.Flaw]:
    ends = f"it ends at {said.until.isoformat()}"
    found = [claims.Flaw(claims.Fault.EXPIRED, ends, first=said.valid_to + dt.timedelta(days=1))]
    if said.attestation:
        found = []  # Hours matter there: the rules look at the moments themselves.
    day = said.start
    found.append(claims.Flaw(claims.Fault.NOT_YET_VALID, f"it begins on {day}", last=day - dt.timedelta(days=1)))
    return found


def _trust(said: profiles.Said, trusted: trust.TrustList, issuer: trust.Issuer, key: trust.Key) -> list[claims.Flaw]:
    found = []
    if not issuer.certifies(said.kind):
        text = f"{issuer.id} is trusted for {', '.join(issuer.kinds)}, not for {said.kind}"[:300]
        found.append(claims.Flaw(claims.Fault.UNTRUSTED_ISSUER, text))
    issued = said.issued.date()
    starts = [day for day in (issuer.first, key.first) if day is not None]
    ends = [day for day in (issuer.last, key.last) if day is not None]
    if any(issued < day for day in starts) or any(issued > day for day in ends):
        text = f"it was issued on {issued}, when the trust list did not name this issuer or key"
        found.append(claims.Flaw(claims.Fault.UNTRUSTED_ISSUER, text))
    elif ends:
        text = f"the trust list names this issuer and key to {min(ends)}"
        found.append(claims.Flaw(claims.Fault.UNTRUSTED_ISSUER, text, first=min(ends) + dt.timedelta(days=1)))
    revoked = trusted.revoked(issuer.id, key.id, said.id)
    if revoked is not None:
        what = "the claim" if revoked.claim else f"key {key.id}" if revoked.key else "the issuer"
        text = f"{what} is revoked since {revoked.on}: {revoked.why}"[:300]
        found.append(claims.Flaw(claims.Fault.REVOKED, text, first=revoked.on))
    return found


def _audience(said: profiles.Said, audience: str) -> list[claims.Flaw]:
    if audience in said.audience or (not said.audience and not said.attestation):
        return []
    named = ", ".join(said.audience)[:200] or "nobody"
    return [claims.Flaw(claims.Fault.WRONG_AUDIENCE, f"it is meant for {named}; here is {audience}")]
