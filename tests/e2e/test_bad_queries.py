"""What strangers ask for: filters, cursors, ids and idempotency keys that are none."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.e2e import _strangers as strangers
from tests.e2e._planes import Plane, job


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    with strangers.guarded(tmp_path_factory.mktemp("bad")) as found:
        yield found


QUERIES = (
    "limit=0",
    "limit=-1",
    "limit=99999999999999999999",
    "limit=1e3",
    "limit=%00",
    "cursor=%00",
    "cursor=x",
    "cursor=" + "A" * 200,
    "cursor=" + "A" * 5000,
    "cursor=..%2f..%2f",
    "cursor=%F0%28%8C%28",
    "filter=x",
    "filter=phase=NOWHERE",
    "filter=%00",
    "filter=phase",
    "filter=parent=x",
    "filter=sql=1;drop",
    "filter=" + "a" * 5000,
    "filter=%ff",
)


HARMLESS = (
    "filter=name=%27%20or%201=1--",
    "filter=name=%25",
    "filter=id=%25",
    "filter=id=_",
    "filter=label=a:%27;label=b",
    "filter=site=%2e%2e%2f",
    "filter=name=%00",
    "filter=queue=%ed%a0%80",
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_bad_query_is_malformed(plane: Plane, query: str) -> None:
    """Limits, cursors and filters that are none are refused as such."""
    strangers.refused(plane.call("GET", f"/v1/jobs?{query}"), 400, 404)


@pytest.mark.parametrize("query", HARMLESS)
def test_a_filter_matches_what_it_says_and_no_more(plane: Plane, query: str) -> None:
    """Quotes, wildcards and broken text in a filter find nothing, or are malformed."""
    answer = plane.call("GET", f"/v1/jobs?{query}")
    assert answer.status in (200, 400), answer
    assert answer.status == 400 or answer.json["items"] == []


@pytest.mark.parametrize("path", ["events", "tokens", "backends", "operators", "sites"])
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=%00", "cursor=%27", "after=-1", "after=9e99", "x=y"])
def test_other_lists_bear_bad_queries(plane: Plane, path: str, query: str) -> None:
    """No list answers a bad query with a 5xx."""
    answer = plane.call("GET", f"/v1/{path}?{query}", headers={"Last-Event-ID": "9" * 40})
    assert answer.status in (200, 400, 404, 422), answer


IDS = (
    "x",
    "%00",
    "..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "..%5c..%5c",
    "a;b",
    "%0d%0aX:%20y",
    "0" * 26,
    "0" * 26 + "[0]",
    "0" * 26 + "[99999999999999999999]",
    "0" * 26 + "[-1]",
    "*",
    "%25",
    "'%20or%201=1",
    "x" * 3000,
    "%ed%a0%80",
    "%F0%9F%92%A9",
)


@pytest.mark.parametrize("name", IDS)
def test_a_strange_id_is_unknown_everywhere(plane: Plane, name: str) -> None:
    """An id that cannot be one is 400 or 404 on every route that takes one."""
    routes = [
        ("GET", f"/v1/jobs/{name}{rest}") for rest in ("", "/logs", "/decisions", "/outputs", "/evidence", ":wait")
    ]
    routes += [("POST", f"/v1/jobs/{name}:{verb}") for verb in ("cancel", "retry", "explain", "nothing")]
    routes += [(verb, f"/v1/operators/{name}") for verb in ("GET", "DELETE")]
    routes += [("DELETE", f"/v1/tokens/{name}"), ("POST", f"/v1/backends/{name}:check")]
    routes += [("GET", f"/v1/{name}/x"), ("GET", f"/v1/{name}"), ("GET", f"/v1/jobs:find?job={name}")]
    for method, path in routes:
        answer = plane.call(method, path)
        assert answer.status in (204, 400, 404, 405, 422) or (
            (method, answer.status) == ("GET", 200) and name == ".."
        ), (
            method,
            path[:100],
            answer,
        )


@pytest.mark.parametrize(
    "key", ["", " ", "x" * 256, "x" * 60_000, "\t", "é", "\u0080", "a\tb"], ids=lambda text: ascii(text[:8])
)
def test_a_key_that_is_none_is_refused(plane: Plane, key: str) -> None:
    """Keys are 1 to 255 printable characters; what a header may not carry is no key either."""
    content, before = json.dumps(job("x")).encode(), strangers.made(plane)
    for route in ("/v1/jobs", "/v1/jobs:batch"):
        body = content if route == "/v1/jobs" else json.dumps({"documents": [job("x")]}).encode()
        head = (
            f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plane.token}\r\nConnection: close\r\n"
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
        answer = plane.raw(head.encode() + key.encode("utf-8") + b"\r\n\r\n" + body)
        assert re.match(rb"HTTP/1.1 4[0-9][0-9]", answer), (route, answer[:300])
    assert strangers.made(plane) == before


def test_two_keys_are_none(plane: Plane) -> None:
    """A request with two keys says two things."""
    body = json.dumps(job("x")).encode()
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plane.token}\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"
    assert plane.raw(head.encode() + body).startswith(b"HTTP/1.1 400")
