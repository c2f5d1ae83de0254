"""Signed claims as a certifier, a verifier or somebody who would like to be one makes them."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.evidence import profiles
from orchestrator.telemetry import clocks

DAY_S = 86_400


class Issuer:
    """Somebody with a key."""

    def __init__(self, id: str, key: str) -> None:
        self.id, self.key = id, key
        self._private = ed25519.Ed25519PrivateKey.generate()

    def trusted(self, *kinds: str) -> str:
        """Return a trust list that names this one for these kinds of fact."""
        raw = {"kty": "OKP", "crv": "Ed25519", "x": _text(self._private.public_key().public_bytes_raw())}
        row = {"id": self.id, "kinds": list(kinds), "by": "A. Martin", "why": "invented for the attack"}
        issuer = row | {"keys": [{"id": self.key, "jwk": raw}]}
        return json.dumps({"asOf": "2026-11-01", "issuers": [issuer]})

    def _signed(self, payload: dict[str, Any]) -> str:
        head = {"alg": "EdDSA", "kid": self.key}
        body = f"{_text(json.dumps(head).encode())}.{_text(json.dumps(payload).encode())}"
        return f"jws:{body}.{_text(self._private.sign(body.encode()))}"

    def location(self, backend: str, country: str, *, id: str, days: int = 300, **more: Any) -> str:
        """Return a claim that a backend stands in a country; ``days`` below 0: it ended so long ago."""
        now = int(clocks.SystemClock().now().timestamp())
        claim = {"kind": "location", "facts": {"location.country": country}}
        until = now + days * DAY_S
        times = {"iat": min(now, until) - 400 * DAY_S, "exp": until}
        return self._signed(
            {"iss": self.id, "sub": f"backend/{backend}", "jti": id, **times, profiles.CLAIM: claim} | more
        )

    def attestation(self, backend: str, audience: str, *, id: str) -> str:
        """Return an attestation result that answers the challenge of a backend."""
        now = int(clocks.SystemClock().now().timestamp())
        said = {"submods": {"tdx": {"ear.status": "affirming"}}, "eat_nonce": [f"backend/{backend}"]}
        times = {"iat": now - 5, "exp": now + 3600}
        return self._signed({"iss": self.id, "sub": f"backend/{backend}", "jti": id, "aud": audience, **times, **said})


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
