"""A pretended verifier: signs attestation results for attempts, and lies in one chosen way. To test and to try out.

The token is an EAT with an EAR (RFC 9711; draft-ietf-rats-ear) as compact JWS, made by hand: three pieces of base64url.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from backends.simulated import settings

CLAIM = "https://comity.dev/claim/v1"
HOUR = dt.timedelta(hours=1)


class Verifier:
    """Appraises whatever it is shown. Remembers the first challenge, to show it again where it is to lie so."""

    def __init__(self, wanted: settings.Attestation) -> None:
        self._wanted = wanted
        self._first: str | None = None

    def result(self, key: str, nonce: str, audience: str, now: dt.datetime) -> str | None:
        """Return a result for the challenge of an attempt; None where it is silent."""
        wanted, lie = self._wanted, self._wanted.lie
        if lie == "silent":
            return None
        self._first = self._first or nonce
        issued = now - 30 * HOUR if lie == "expired" else now
        payload: dict[str, Any] = {
            "iss": wanted.verifier,
            "aud": "somebody-else" if lie == "audience" else audience,
            "jti": hashlib.sha256(f"{key} {nonce}".encode()).hexdigest()[:32],
            "iat": int(issued.timestamp()),
            "exp": int((issued + 12 * HOUR).timestamp()),
            "eat_nonce": [_nonce(lie, nonce, self._first)],
            "submods": {wanted.tee: {"ear.status": "contraindicated" if lie == "unaffirmed" else "affirming"}},
        }
        if wanted.facts:
            payload[CLAIM] = {"kind": f"attestation/{wanted.tee}", "facts": wanted.facts}
        return self._signed(payload)

    def _signed(self, payload: dict[str, Any]) -> str:
        wanted, lie = self._wanted, self._wanted.lie
        seed = bytes.fromhex(wanted.key)
        head = _base64url(json.dumps({"alg": "Ed25519", "kid": wanted.kid}).encode())
        body = _base64url(json.dumps(payload).encode())
        if lie in ("untrusted", "signature"):
            seed = hashlib.sha256(seed).digest()  # nobody listed this one
        if lie == "untrusted":
            head = _base64url(json.dumps({"alg": "Ed25519", "kid": "nobody-listed-it"}).encode())
        signature = ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(f"{head}.{body}".encode())
        return f"jws:{head}.{body}.{_base64url(signature)}"


def _nonce(lie: str, nonce: str, first: str) -> str:
    match lie:
        case "replayed":
            return first
        case "other-job":
            return hashlib.sha256(nonce.encode()).hexdigest()
        case _:
            return nonce


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
