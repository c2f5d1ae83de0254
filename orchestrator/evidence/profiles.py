"""The payloads of claims: ours, a Gaia-X credential as JWT, an attestation result (EAT, RFC 9711; EAR). Pure.

Each becomes the same :class:`Said`. What a profile does not foresee is an error, never a guess.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLAIM = "https://comity.dev/claim/v1"
"""Member of the payload that holds what a claim certifies."""
TEXT_MAX = 512
LIST_MAX = 64
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TEES = ("tdx", "sev-snp", "sgx", "cca", "nitro", "nvidia-cc")
"""Names of submodules of an attestation result that say by themselves of which environment they speak."""
_AFFIRMING = ("affirming", 2)
"""``ear.status`` as text, and as the trust tier of AR4SI."""
_MEMBERS = {"kind", "service", "regions", "facts", "paper"}


@dataclass(frozen=True, slots=True)
class Said:
    """What a token says. ``facts`` maps document paths below ``spec`` to values; ``paper`` is about a certificate."""

    issuer: str
    subject: str
    kind: str
    id: str
    issued: dt.datetime
    start: dt.date
    until: dt.datetime
    audience: tuple[str, ...] = ()
    service: str | None = None
    regions: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, str] = field(default_factory=dict)
    nonces: tuple[str, ...] = ()
    attestation: bool = False
    affirming: bool = False

    @property
    def valid_to(self) -> dt.date:
        """Return the last day, UTC, that lies whole before the end."""
        return (self.until - dt.timedelta(days=1) + dt.timedelta(seconds=1)).date()


def read(payload: Mapping[str, Any]) -> Said:
    """Return what a payload says. Raises ValueError."""
    if "eat_nonce" in payload or "submods" in payload or "ear.status" in payload:
        return _attestation(payload)
    if CLAIM in payload:
        return _own(payload)
    if "credentialSubject" in payload or "vc" in payload:
        return _credential(payload)
    raise ValueError(f"neither {CLAIM}, nor credentialSubject, nor eat_nonce")


def from_base64url(text: str) -> bytes:
    """Return the bytes of base64url without padding, and of no other spelling (RFC 7515). Raises ValueError."""
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("base64url is ASCII text")
    data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise ValueError("not the one spelling of base64url")
    return data


def _own(payload: Mapping[str, Any]) -> Said:
    claim = _mapping(payload[CLAIM], CLAIM)
    if unknown := set(claim) - _MEMBERS:
        raise ValueError(f"{CLAIM} has no {sorted(unknown)[0]!r}; it has {', '.join(sorted(_MEMBERS))}")
    kind = _text(claim.get("kind"), "kind")
    paper = _mapping(claim.get("paper", {}), "paper")
    if unknown := set(paper) - {"validFrom", "validTo", "digest"}:
        raise ValueError(f"a paper has no {sorted(unknown)[0]!r}")
    return Said(
        issuer=_text(payload.get("iss"), "iss"),
        subject=_text(payload.get("sub"), "sub"),
        kind=kind,
        id=_text(payload.get("jti"), "jti"),
        **_times(payload),
        audience=_audience(payload),
        service=None if claim.get("service") is None else _text(claim["service"], "service"),
        regions=None if claim.get("regions") is None else _texts(claim["regions"], "regions"),
        facts=_mapping(claim.get("facts", {}), "facts"),
        paper={name: _text(value, f"paper.{name}") for name, value in paper.items()},
    )


def _credential(payload: Mapping[str, Any]) -> Said:
    """Read a Gaia-X compliance credential: ``gx:integrity`` is the digest of what was found compliant."""
    held = _mapping(payload.get("vc", payload), "vc")
    subject = _mapping(held.get("credentialSubject"), "credentialSubject")
    if subject.get("type", subject.get("@type")) not in ("gx:compliance", "gx:LabelCredential"):
        raise ValueError("a credential of another type than gx:compliance")
    level = _text(subject.get("gx:labelLevel", "SC"), "gx:labelLevel").lower()
    if level not in ("sc", "l1", "l2", "l3"):
        raise ValueError(f"gx:labelLevel {level!r} is not SC, L1, L2 or L3")
    paper = {}
    if "gx:integrity" in subject:
        if subject.get("gx:integrityNormalization", "RFC8785") not in ("RFC8785", "RFC8785:JCS"):
            raise ValueError("gx:integrityNormalization is not RFC8785")
        paper["digest"] = _text(subject["gx:integrity"], "gx:integrity").replace("sha256-", "sha256:", 1)
    issuer = payload.get("iss", held.get("issuer"))
    issuer = issuer.get("id") if isinstance(issuer, dict) else issuer
    dated = dict(payload)
    for name, members in (("iat", ("validFrom", "issuanceDate")), ("exp", ("validUntil", "expirationDate"))):
        stated = [held[member] for member in members if member in held]
        if name not in dated and stated:
            dated[name] = (_moment(stated[0]) - EPOCH).total_seconds()
    if "iat" not in dated and "nbf" in dated:
        dated["iat"] = dated["nbf"]
    return Said(
        issuer=_text(issuer, "iss"),
        subject=_text(subject.get("id", subject.get("@id")), "credentialSubject.id"),
        kind=f"certification/gaia-x:{level}",
        id=_text(payload.get("jti", held.get("id")), "jti"),
        **_times(dated),
        audience=_audience(payload),
        paper=paper,
    )


def _attestation(payload: Mapping[str, Any]) -> Said:
    claim = _mapping(payload.get(CLAIM, {}), CLAIM)
    submods = {name: _mapping(value, name) for name, value in _mapping(payload.get("submods", {}), "submods").items()}
    tees = [name for name in submods if name in TEES]
    kind = claim.get("kind") or (f"attestation/{tees[0]}" if len(tees) == 1 else None)
    appraised = [payload["ear.status"]] if "ear.status" in payload else []
    appraised += [value.get("ear.status") for value in submods.values()]
    kind = _text(kind, "kind")
    if not kind.startswith("attestation/"):
        raise ValueError("an attestation result certifies attestation/..., nothing else")
    return Said(
        issuer=_text(payload.get("iss"), "iss"),
        subject=payload["sub"] if isinstance(payload.get("sub"), str) else "",
        kind=kind,
        id=_text(payload.get("jti"), "jti"),
        **_times(payload),
        audience=_audience(payload),
        facts=_mapping(claim.get("facts", {}), "facts"),
        nonces=_texts(payload.get("eat_nonce"), "eat_nonce"),
        attestation=True,
        affirming=bool(appraised) and all(_affirms(each) for each in appraised),
    )


def _affirms(status: Any) -> bool:
    return not isinstance(status, bool) and status in _AFFIRMING


def _times(payload: Mapping[str, Any]) -> dict[str, Any]:
    issued, until = _numeric(payload.get("iat"), "iat"), _numeric(payload.get("exp"), "exp")
    start = max(issued, _numeric(payload["nbf"], "nbf")) if "nbf" in payload else issued
    if until <= issued:
        raise ValueError("exp is not after iat")
    return {"issued": issued, "until": until, "start": start.date()}


def _numeric(value: Any, name: str) -> dt.datetime:
    # Before the year 9000: a day may be added and taken away everywhere below.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 221_845_392_000:
        raise ValueError(f"{name} is missing, or no number of seconds since 1970")
    return EPOCH + dt.timedelta(seconds=value)


def _moment(value: Any) -> dt.datetime:
    found = dt.datetime.fromisoformat(_text(value, "a date"))
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _audience(payload: Mapping[str, Any]) -> tuple[str, ...]:
    return _texts(payload["aud"], "aud") if "aud" in payload else ()


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > LIST_MAX:
        raise ValueError(f"{name} is missing, or no object of at most {LIST_MAX} members")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or not value.isprintable():
        raise ValueError(f"{name} is missing, or no printable text of at most {TEXT_MAX} characters")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not 0 < len(found) <= LIST_MAX:
        raise ValueError(f"{name} is missing, or no list of 1 to {LIST_MAX} texts")
    return tuple(_text(each, name) for each in found)
