"""Issuers with keys of their own, real tokens, and the trust list that names them: for tests of signed claims."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from joserfc import jwk, jws

from orchestrator.domain import trust
from orchestrator.evidence import claims, dsse, profiles

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
HERE = "comity.dev/0123456789ab"
MAKERS: Mapping[str, Any] = {
    "Ed25519": lambda: jwk.OKPKey.generate_key("Ed25519"),
    "ES256": lambda: jwk.ECKey.generate_key("P-256"),
    "RS256": lambda: jwk.RSAKey.generate_key(2048),
}


def seconds(at: dt.datetime) -> int:
    """Return a moment as tokens write it."""
    return int(at.timestamp())


@dataclasses.dataclass
class Issuer:
    """Somebody who signs. ``kinds`` are what the trust list lets it certify."""

    id: str = "did:web:certs.example"
    kinds: tuple[str, ...] = ("certification/*", "evidence/*", "location", "operator", "operations", "hardware", "seal")
    algorithm: str = "Ed25519"
    kid: str = "k1"
    key: Any = None

    def __post_init__(self) -> None:
        self.key = self.key or MAKERS[self.algorithm]()

    def trusted(self, **changes: Any) -> trust.Issuer:
        """Return it as a trust list has it."""
        dates = {name: changes.pop(name, None) for name in ("key_first", "key_last")}
        public = claims.public_key(self.kid, self.key.as_dict(private=False), dates["key_first"], dates["key_last"])
        return dataclasses.replace(trust.Issuer(self.id, self.kinds, (public,), "A. Martin", "accredited"), **changes)

    def sign(self, payload: Mapping[str, Any] | bytes, **header: Any) -> str:
        """Return a compact JWS."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = {"alg": self.algorithm, "kid": self.kid} | header
        head = {name: value for name, value in head.items() if value is not None}
        return f"jws:{jws.serialize_compact(head, data, self.key, registry=_Any())}"

    def claim(self, kind: str, subject: str, *, certifies: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Return a claim of ours as JWS, for a year from yesterday."""
        return self.sign(self.payload(kind, subject, certifies=certifies, **changes))

    def payload(
        self, kind: str, subject: str, *, certifies: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Return what such a claim says."""
        made = {
            "iss": self.id,
            "sub": subject,
            "jti": f"{kind}-1",
            "iat": seconds(NOW - dt.timedelta(days=1)),
            "exp": seconds(NOW + dt.timedelta(days=365)),
            profiles.CLAIM: {"kind": kind, **(certifies or {})},
        }
        return {name: value for name, value in (made | changes).items() if value is not None}

    def enveloped(self, kind: str, subject: str, **changes: Any) -> str:
        """Return the same in a DSSE envelope."""
        raw = profiles.from_base64url(self.key.as_dict(private=True)["d"])
        signer = _Signer(ed25519.Ed25519PrivateKey.from_private_bytes(raw))
        data = json.dumps(self.payload(kind, subject, **changes)).encode()
        made = dsse.sign(data, signer, signer.public, payload_type=claims.PAYLOAD_TYPE)
        return "dsse:" + base64url(json.dumps(made.as_json()).encode())

    def attests(self, backend: str, tee: str = "tdx", **changes: Any) -> str:
        """Return an attestation result of this hour (EAT with EAR)."""
        made = {
            "iss": self.id,
            "aud": HERE,
            "jti": "result-1",
            "iat": seconds(NOW),
            "exp": seconds(NOW + dt.timedelta(hours=12)),
            "eat_nonce": [f"backend/{backend}"],
            "submods": {tee: {"ear.status": "affirming"}},
        }
        return self.sign({name: value for name, value in (made | changes).items() if value is not None})


class _Any(jws.JWSRegistry):
    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


class _Signer:
    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        self.key_id = f"sha256:{hashlib.sha256(self.public).hexdigest()}"

    def sign(self, payload: bytes) -> bytes:
        return self._key.sign(payload)


def base64url(data: bytes) -> str:
    """Return bytes as tokens write them."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def trusting(*issuers: trust.Issuer, **changes: Any) -> trust.TrustList:
    """Return a trust list."""
    return trust.TrustList(issuers, **changes)
