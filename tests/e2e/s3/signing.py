"""Signature version 4 of AWS, for tests: written from its documentation, so that it checks what an adapter writes.

Source: "Authenticating Requests (AWS Signature Version 4)", API reference of Amazon S3 (read 2026-11-23).
"""

import datetime as dt
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping

UNSIGNED = "UNSIGNED-PAYLOAD"


def headers(
    method: str, url: str, access: str, secret: str, region: str, now: dt.datetime, body: bytes
) -> dict[str, str]:
    """Return the headers that sign one request, its body included."""
    digest = hashlib.sha256(body).hexdigest()
    signed = {
        "host": urllib.parse.urlsplit(url).netloc,
        "x-amz-content-sha256": digest,
        "x-amz-date": _moment(now),
    }
    scope = _scope(region, now)
    proof = _proof(method, url, signed, digest, secret, region, now)
    names = ";".join(sorted(signed))
    told = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={proof}"
    return {**signed, "authorization": told}


def presigned(
    method: str, url: str, access: str, secret: str, region: str, now: dt.datetime, valid_s: int = 3600
) -> str:
    """Return a URL that carries its own signature and needs no key, for as long as it is valid."""
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access}/{_scope(region, now)}",
        "X-Amz-Date": _moment(now),
        "X-Amz-Expires": str(valid_s),
        "X-Amz-SignedHeaders": "host",
    }
    parts = urllib.parse.urlsplit(url)
    full = parts._replace(query=urllib.parse.urlencode(query, quote_via=urllib.parse.quote)).geturl()
    proof = _proof(method, full, {"host": parts.netloc}, UNSIGNED, secret, region, now)
    return f"{full}&X-Amz-Signature={proof}"


def _moment(now: dt.datetime) -> str:
    return now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def _scope(region: str, now: dt.datetime) -> str:
    return f"{_moment(now)[:8]}/{region}/s3/aws4_request"


def _proof(
    method: str, url: str, signed: Mapping[str, str], digest: str, secret: str, region: str, now: dt.datetime
) -> str:
    parts = urllib.parse.urlsplit(url)
    pairs = sorted(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in pairs)
    lines = "".join(f"{name}:{text}\n" for name, text in sorted(signed.items()))
    asked = "\n".join([method, parts.path or "/", query, lines, ";".join(sorted(signed)), digest])
    text = "\n".join(
        ["AWS4-HMAC-SHA256", _moment(now), _scope(region, now), hashlib.sha256(asked.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in (_moment(now)[:8], region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")
