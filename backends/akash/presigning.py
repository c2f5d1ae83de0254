"""Addresses of objects that carry their own signature: version 4 of AWS, which every S3 store knows. Pure.

Source: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", API reference of Amazon S3, read
2026-11-23.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import urllib.parse

from backends.akash import settings

VALID_MAX = dt.timedelta(days=7)
"""Longer than this no store takes one."""
_ALGORITHM = "AWS4-HMAC-SHA256"


def url(store: settings.Store, method: str, name: str, now: dt.datetime, valid: dt.timedelta) -> str:
    """Return the URL of an object by which ``method`` may be done until ``valid`` is over.

    :param name: of the object, below the bucket; slashes are kept.
    :raises ValueError: for a time that no store takes.
    """
    if not dt.timedelta(seconds=1) <= valid <= VALID_MAX:
        raise ValueError(f"an address may be good for a second to {VALID_MAX.days} days, not {valid}")
    moment = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{store.region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{store.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(int(valid.total_seconds())),
        "X-Amz-SignedHeaders": "host",
    }
    host = urllib.parse.urlsplit(store.url).netloc
    path = urllib.parse.quote(f"/{store.bucket}/{name}", safe="/-_.~")
    asked = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote, safe="-_.~")
    canonical = "\n".join([method, path, asked, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    said = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{store.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return f"{store.url}{path}?{asked}&X-Amz-Signature={hmac.digest(key, said.encode(), hashlib.sha256).hex()}"
