"""A double of Dispersed, not the network: who may call it. Written from "Authenticate requests" of its documentation.

Checked as it says there: four headers, a key in force, a time within five minutes, a nonce of 32 hexadecimal digits
that was not used within 24 hours, and the signature over seven parts. Its own words for what is wrong are not
published; these here are the double's.
"""

import dataclasses
import hashlib
import hmac
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping

WINDOW_MS = 300_000
NONCE_MS = 24 * 3_600_000


@dataclasses.dataclass(slots=True)
class RefusalError(Exception):
    """A request that is not taken."""

    status: int
    code: str
    message: str


class Gate:
    """Keys, clock and nonces. ``now_ms``: the server's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.keys: dict[str, str] = {}
        self.expired: set[str] = set()
        self.seen: dict[tuple[str, str], int] = {}
        self.refusals: list[str] = []
        self._lock = threading.Lock()

    def check(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> str:
        """Return the public key of a request that may pass; raises RefusalError."""
        try:
            return self._check(method, target, headers, body)
        except RefusalError as refusal:
            self.refusals.append(refusal.code)
            raise

    def _check(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> str:
        names = ("x-api-key", "x-time", "x-nonce", "x-signature")
        public, stamp, nonce, signature = (headers.get(name, "") for name in names)
        if not all((public, stamp, nonce, signature)):
            raise RefusalError(401, "MISSING_HEADERS", "X-API-Key, X-Time, X-Nonce and X-Signature are required")
        secret = self.keys.get(public)
        if secret is None:
            raise RefusalError(401, "UNKNOWN_KEY", "no such API key")
        if public in self.expired:
            raise RefusalError(401, "EXPIRED_KEY", "the API key has expired")
        now_ms = self.now_ms()
        if not re.fullmatch(r"[0-9]{13}", stamp) or abs(int(stamp) - now_ms) > WINDOW_MS:
            raise RefusalError(401, "BAD_TIME", "X-Time is further than 5 minutes from the server's time")
        if not re.fullmatch(r"[0-9a-f]{32}", nonce):
            raise RefusalError(401, "BAD_NONCE", "X-Nonce is not 16 bytes in hex")
        path, _, query = target.partition("?")
        pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = (public, stamp, nonce, method, path, urllib.parse.urlencode(pairs), hashlib.sha256(body).hexdigest())
        made = hmac.new(secret.encode(), "|".join(parts).encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made, signature) or not _canonical(body):
            raise RefusalError(401, "BAD_SIGNATURE", "the signature is not that of this request")
        with self._lock:  # marked as used only when all else holds, and before anything is done
            if now_ms - self.seen.get((public, nonce), -NONCE_MS) < NONCE_MS:
                raise RefusalError(401, "NONCE_REUSED", "this nonce was used before")
            self.seen[public, nonce] = now_ms
        return public


def _canonical(body: bytes) -> bool:
    """Say whether a server that reads the body and writes it again, sorted and compact, hashes the same bytes."""
    if not body:
        return True
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body
