"""How a request is signed: HMAC-SHA256 over seven parts joined by ``|``. Pure.

Source: "Authenticate requests" of the network's documentation (otoyinc.mintlify.app, read 2026-11-23). The body is
JSON with sorted keys and no spaces; a query is sorted by name and value and written as in a form. The documentation
does not say how characters beyond ASCII are hashed, so none are ever sent.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Mapping

WINDOW = dt.timedelta(minutes=5)
"""So far a request's time may be from the server's: it is taken until then, however late it arrives."""


def canonical_body(body: Mapping[str, object] | None) -> bytes:
    """Return the bytes that are hashed and sent: the very same ones. ``None``: nothing."""
    if body is None:
        return b""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def canonical_query(query: Mapping[str, str]) -> str:
    """Return the query that is signed and sent, without ``?``."""
    return urllib.parse.urlencode(sorted(query.items()))


def headers(
    public_key: str, secret_key: str, *, now: dt.datetime, nonce: str, method: str, path: str, query: str, body: bytes
) -> dict[str, str]:
    """Return the four headers of a request.

    :param now: time of signing; told in whole milliseconds since 1970.
    :param nonce: 32 hexadecimal digits that were never used with this key.
    :param path: as it stands in the request line, without the query.
    :param query: as of :func:`canonical_query`.
    """
    stamp = str(round(now.timestamp() * 1000))
    parts = (public_key, stamp, nonce, method.upper(), path, query, hashlib.sha256(body).hexdigest())
    made = hmac.new(secret_key.encode("ascii"), "|".join(parts).encode("ascii"), hashlib.sha256).hexdigest()
    return {"X-API-Key": public_key, "X-Time": stamp, "X-Nonce": nonce, "X-Signature": made}
