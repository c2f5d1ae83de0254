"""Signatures, against vectors that were computed without this code.

Each was made with ``printf '%s' "$STRING" | openssl dgst -sha256 -hmac sk_test_0123456789``, where STRING are the seven
parts of the network's documentation, written out, and the hash of the body is ``printf '%s' "$BODY" | sha256sum``.
"""

import datetime as dt

import pytest

from backends.dispersed import signing

SECRET = "sk_test_0123456789"
NOON = dt.datetime.fromtimestamp(1706918400, dt.UTC)
BODY = {"title": "t", "task": "BATCH", "a": {"c": "y", "b": [1, "x"]}}


@pytest.mark.parametrize(
    ("now", "nonce", "method", "path", "query", "body", "signature"),
    [
        (
            NOON,
            "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
            "GET",
            "/v1/jobs",
            {"page": "1", "limit": "10"},
            None,
            "c1789b35cbcd615d3f94013d75dd26fd098775a35bc23a6550341d965a7fd3de",
        ),
        (
            NOON,
            "0" * 32,
            "post",
            "/v1/jobs",
            {},
            BODY,
            "59c9208e742a26347fc6fbb13d84610a223102344be4ecfab1b919dda5981bed",
        ),
        (
            NOON + dt.timedelta(milliseconds=123),
            "f" * 32,
            "GET",
            "/v1/job-runs",
            {"limit": "50", "filter[job_uuid]": "01234567-89ab-cdef-0123-456789abcdef"},
            None,
            "f8a2d613d862d84b8fdb83b21f55d2a5665355cbbce6371a6de67f0fc543ee17",
        ),
        (
            NOON,
            "0123456789abcdef0123456789abcdef",
            "PUT",
            "/v1/jobs/01234567-89ab-cdef-0123-456789abcdef/cancel",
            {},
            {"reason": "ended by comity"},
            "11ce10168753eafb99d0a9baa0d7066640adb6ddd8da1f83a7184056b4301bce",
        ),
    ],
    ids=["list", "create", "runs", "cancel"],
)
def test_a_request_is_signed_as_documented(
    now: dt.datetime,
    nonce: str,
    method: str,
    path: str,
    query: dict[str, str],
    body: dict[str, object] | None,
    signature: str,
) -> None:
    """Each request of the adapter has the signature that was computed by hand."""
    made = signing.headers(
        "pk_abc123",
        SECRET,
        now=now,
        nonce=nonce,
        method=method,
        path=path,
        query=signing.canonical_query(query),
        body=signing.canonical_body(body),
    )
    assert made == {
        "X-API-Key": "pk_abc123",
        "X-Time": str(1706918400000 + now.microsecond // 1000),
        "X-Nonce": nonce,
        "X-Signature": signature,
    }


def test_a_body_is_sorted_compact_and_ascii() -> None:
    """What is hashed is what is sent; nothing is nothing; a number that JSON has not is an error."""
    assert signing.canonical_body(BODY) == b'{"a":{"b":[1,"x"],"c":"y"},"task":"BATCH","title":"t"}'
    assert signing.canonical_body(None) == b""
    with pytest.raises(ValueError, match="not JSON compliant"):
        signing.canonical_body({"a": float("nan")})
