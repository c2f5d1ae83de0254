"""What stands in front of every route: Host, Origin, sizes, bodies no program should send."""

import pytest
from installations import Installation, job

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "host", [None, "evil.example", "127.0.0.1.evil.example", "127.0.0.1:x", "[::1", "", "10.0.0.1"]
)
def test_a_missing_or_foreign_host_is_400(installation: Installation, method: str, host: str | None) -> None:
    """A name server that rebinds a name to this machine gains nothing, whatever the method."""
    assert installation.client().request(method, "/v1/jobs", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7070", "localhost:9", "LOCALHOST"])
def test_our_own_names_are_served(installation: Installation, host: str) -> None:
    """Every name and port under which a client may reach us is fine."""
    assert installation.client().get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:7070.evil.example", ""])
def test_a_foreign_origin_is_403(installation: Installation, method: str, origin: str) -> None:
    """A page of another origin is refused for every method, before its token is looked at."""
    answer = installation.bare(None).request(method, "/v1/jobs", headers={"Host": "127.0.0.1", "Origin": origin})
    assert answer.status_code == 403


def test_our_own_origin_is_served(installation: Installation) -> None:
    """A page that we served ourselves may ask."""
    headers = {"Host": "127.0.0.1:7070", "Origin": "http://127.0.0.1:7070"}
    assert installation.client().get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nothing",
        "Basic YTpi",
        "Bearer comity_t000000000000_" + "A" * 43,
        "Bearer " + "x" * 100_000,
        "Bearer \xff\xfe",
    ],
)
def test_anything_but_a_token_is_401(installation: Installation, header: str | None) -> None:
    """Nothing, garbage, and what merely looks like a token get the same answer."""
    given = {"Authorization": header.encode("latin-1") if header is not None else None}
    answer = installation.bare(None).get("/v1/jobs", headers=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert "bearer" in answer.headers["www-authenticate"].lower()


def test_only_health_is_open(installation: Installation) -> None:
    """The two probes need no token; a path nobody knows needs one before it is 404."""
    bare = installation.bare(None)
    assert [bare.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    assert [bare.get(path).status_code for path in ("/", "/docs", "/openapi.json", "/metrics", "/v1/zzz")] == [401] * 5
    assert installation.client().get("/nope").json()["code"] == "request.no-route"


def test_a_wrong_method_is_405(installation: Installation) -> None:
    """A known path with another method says so, also on the hot routes."""
    client = installation.client()
    assert [client.request("PATCH", p).status_code for p in ("/v1/jobs", "/v1/jobs/x", "/v1/sites")] == [405] * 3


def test_more_than_8_mib_is_413(installation: Installation) -> None:
    """A body over the bound is refused, whether its length is told or not."""
    client = installation.client("submit")
    body = b" " * (8 * 2**20 + 1)
    assert client.post("/v1/jobs", content=body).status_code == 413

    async def pieces() -> object:
        for _ in range(9):
            yield b" " * 2**20

    assert client.post("/v1/jobs", content=pieces()).status_code == 413


BODIES = {
    "nothing": b"",
    "truncated": b'{"a": ',
    "depth bomb": b"[" * 1_000_000,
    "object bomb": b'{"a":' * 200_000,
    "huge integer": b'{"a": ' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"a": 1e999999}',
    "NaN": b'{"a": NaN}',
    "Infinity": b"[-Infinity]",
    "lone surrogate": b'{"a": "\\ud800"}',
    "NUL": b'{"metadata": {"name": "a\\u0000b"}}',
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "duplicate keys": b'{"kind": "Job", "kind": "Backend"}',
    "not an object": b"42",
    "a list": b"[]",
    "null": b"null",
    "wide": b"[" + b"0," * 250_000 + b"0]",
    "wrong types": b'{"apiVersion": 1, "kind": ["Job"], "metadata": "x", "spec": null}',
    "unknown kind": b'{"apiVersion": "comity.dev/v1", "kind": "Jbo", "metadata": {"name": "a"}, "spec": {}}',
    "odd label": b'{"apiVersion":"comity.dev/v1","kind":"Job","metadata":{"name":"a","labels":{"":"\\u202e"}}}',
    "bad name": b'{"apiVersion":"comity.dev/v1","kind":"Job","metadata":{"name":"../../etc"},"spec":{"command":["x"]}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize(
    "route",
    [
        "POST /v1/jobs",
        "POST /v1/jobs:batch",
        "PUT /v1/jobs/a",
        "POST /v1/plans",
        "POST /v1/tokens",
        "PUT /v1/backends/a",
    ],
)
def test_no_body_is_a_5xx(installation: Installation, route: str, body: bytes) -> None:
    """Whatever is sent, the answer is a problem of 4xx with a code, and no bug is logged."""
    method, path = route.split()
    answer = installation.client().request(method, path, content=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert installation.log.lines == []


@pytest.mark.parametrize("type_", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "\xff"])
def test_another_media_type_is_refused(installation: Installation, type_: str) -> None:
    """JSON is what is read here."""
    headers = {"Content-Type": type_.encode("latin-1")}
    answer = installation.client().post("/v1/jobs", json=job(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.media-type")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%00",
        "/v1/jobs/%ff%fe",
        "/v1/jobs/" + "A" * 3000,
        "/v1/jobs/..%2f..%2fetc",
        "/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV[99999999999999999999]",
        "/v1/jobs/[0]",
        "/v1/backends/%2e%2e",
        "/v1/backends/" + "a" * 64,
        "/v1/jobs?limit=%00",
        "/v1/events?after=-1",
        "/v1/events?after=" + "9" * 400,
        "/v1/jobs/x/outputs/%252e%252e/%5c..%5c",
        "/v1/jobs/x/logs?attempt=1e9",
        "/v1/sites?cursor=%ff",
        "/v1/operators?cursor=%00&limit=1",
        "/v1/jobs:find?job=" + "%F0%9F%92%A9" * 30,
        "/v1/jobs:find?job=%00",
        "/v1/jobs?filter=name=%00",
        "/v1/jobs?filter=label=%ff:%ff",
        "/v1/jobs?filter=parent=..",
        "/v1/jobs?cursor=j1.%21",
    ],
)
def test_no_path_is_a_5xx(installation: Installation, path: str) -> None:
    """Odd paths and queries are malformed, unknown or empty, and never a bug."""
    answer = installation.client().get(path, headers={"Accept": "application/json"})
    assert answer.status_code < 500, answer.text
    assert installation.log.lines == []


def test_a_bug_is_one_line_in_the_log_and_no_trace_in_the_answer(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only a bug can break is 500 with a code, and the log has it."""

    def broken(*_: object) -> None:
        raise RuntimeError("canary-5f1c")

    monkeypatch.setattr(installation.store, "job", broken)
    answer = installation.client().get("/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "canary" not in answer.text
    assert installation.log.lines[0][0] == "request.failed"
