"""Who gets in: tokens, tenants and roles at the real server; what is not yours is as unknown as what is not."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e._planes import Answer, Plane, contents, document, job, wait_until

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""An id that nobody has."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane with a backend of this machine and one that is simulated."""
    found = Plane(tmp_path_factory.mktemp("doors"))
    found.init()
    found.start()
    yield found
    assert "Traceback" not in found.log, found.log[-5000:]
    found.close()


def _same_as_unknown(known: Answer, unknown: Answer, words: tuple[str, str]) -> None:
    """Assert that two answers differ in nothing but the name that was asked for."""
    assert known.status == unknown.status == 404, (known, unknown)
    assert known.body.replace(words[0].encode(), b"X") == unknown.body.replace(words[1].encode(), b"X")


def test_another_tenants_job_is_as_unknown_on_every_route(plane: Plane) -> None:
    """Each route that takes a job's id answers a stranger exactly as for an id that nobody has."""
    mine, yours = plane.token_of("ours", "submit", "audit"), plane.token_of("theirs", "submit", "audit", "steward")
    made = plane.submit(job("secret-name", "echo", "canary"), token=mine)
    assert made.status == 202, made
    id = made.json["id"]
    wait_until(lambda: plane.job(id, token=mine)["status"]["phase"] == "SUCCEEDED", what="its end")
    routes = [("GET", rest) for rest in ("", "/logs", "/decisions", "/evidence", "/outputs", "/outputs/a", ":wait")]
    routes += [("POST", f":{verb}") for verb in ("cancel", "retry", "explain")]
    routes += [("GET", "[0]"), ("POST", "[0]:cancel"), ("GET", "[0]/logs")]
    for method, rest in routes:
        answers = [plane.call(method, f"/v1/jobs/{one}{rest}", token=yours) for one in (id, ULID)]
        _same_as_unknown(*answers, (id, ULID))
    for words in ((id, ULID), ("secret-name", "nobodys-nam"), (id[:12], ULID[:12])):
        answers = [plane.call("GET", f"/v1/jobs:find?job={word}", token=yours) for word in words]
        _same_as_unknown(*answers, words)
    for query in ("", "?filter=name=secret-name", f"?filter=id={id[:8]}"):
        assert plane.call("GET", f"/v1/jobs{query}", token=yours).json["items"] == []
    answers = [plane.call("GET", f"/v1/jobs?filter=parent={one}", token=yours) for one in (id, ULID)]
    _same_as_unknown(*answers, (id, ULID))
    events = _events(plane, token=yours)
    assert id.encode() not in events
    assert b"secret-name" not in events


def test_another_tenants_documents_are_as_unknown(plane: Plane) -> None:
    """Data sets, queues and tenants of others can neither be read, changed, withdrawn, used nor guessed."""
    mine, yours = (
        plane.token_of("mine", "facts", "steward", "submit"),
        plane.token_of("yours", "facts", "steward", "submit"),
    )
    made = plane.put(document("DataSet", "mine-only", {"classes": ["open"], "location": {"country": "FR"}}), token=mine)
    assert made.status == 201, made
    for method in ("GET", "DELETE"):
        names = ("mine-only", "nobodys-x")
        answers = [plane.call(method, f"/v1/datasets/{name}", token=yours) for name in names]
        _same_as_unknown(*answers, names)
    assert plane.call("GET", "/v1/datasets", token=yours).json["items"] == []
    using = plane.submit(job("spy", data={"reads": [{"name": "mine-only"}]}), token=yours)
    unknown = plane.submit(job("spy", data={"reads": [{"name": "nobodys-x"}]}), token=yours)
    assert using.status == unknown.status == 422
    assert using.body.replace(b"mine-only", b"X") == unknown.body.replace(b"nobodys-x", b"X")
    assert plane.call("GET", "/v1/datasets/mine-only", token=mine).status == 200


def test_the_same_key_of_two_tenants_is_two_jobs(plane: Plane) -> None:
    """A key says nothing about what others did."""
    ids = {
        plane.submit(job("k"), "same", token=plane.token_of(tenant, "submit")).json["id"]
        for tenant in ("mine", "yours")
    }
    assert len(ids) == 2


def test_the_tenant_of_a_body_is_not_believed(plane: Plane) -> None:
    """Nobody submits for somebody else by saying so."""
    yours = plane.token_of("yours", "submit")
    given = job("claims") | {"metadata": {"name": "claims", "tenant": "mine"}}
    answer = plane.submit(given, token=yours)
    assert answer.status == 422 or answer.json["metadata"]["tenant"] == "yours", answer


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("audit", "POST", "/v1/jobs"),
        ("facts", "POST", "/v1/jobs"),
        ("submit", "PUT", "/v1/backends/b"),
        ("submit", "POST", "/v1/backends/local:cordon"),
        ("submit", "POST", "/v1/tokens"),
        ("operate", "POST", "/v1/tokens"),
        ("audit", "POST", "/v1/tokens"),
        ("submit", "GET", "/v1/tokens"),
        ("submit", "GET", "/metrics"),
        ("facts", "POST", "/v1/backends/local:cordon"),
        ("operate", "PUT", "/v1/tenants/other"),
    ],
)
def test_a_role_is_not_another(plane: Plane, role: str, method: str, path: str) -> None:
    """What a role may not do is 403 (or 404 where the thing itself is hidden), and nothing happens."""
    kind = {"backends": "Backend", "tenants": "Tenant"}.get(path.split("/")[2] if path.count("/") > 2 else "", "Job")
    body = document(kind, path.rsplit("/", 1)[-1], {"adapter": "local"} if kind == "Backend" else {})
    if path == "/v1/tokens":
        body = {"tenant": "mine", "roles": ["admin"]}
    answer = plane.call(method, path, job("x") if path == "/v1/jobs" else body, token=plane.token_of("mine", role))
    assert answer.status in (403, 404), answer
    assert answer.code.startswith(("auth.", "document.", "tenant.")), answer


def test_a_token_ends_at_once_and_lies_nowhere_in_clear(plane: Plane) -> None:
    """A revoked or expired token is 401 with the next request; no file of the state folder holds its text."""
    made = plane.call("POST", "/v1/tokens", {"tenant": "mine", "roles": ["submit"]}).json
    assert set(made) >= {"id", "token", "tenant", "roles", "expires"}
    assert plane.call("GET", "/v1/jobs", token=made["token"]).status == 200
    for bad in (made["token"][:-1], made["token"] + "x", made["token"].swapcase(), "nothing", made["id"], " ", "é"):
        head = {"Authorization": f"Bearer {bad}".encode().decode("latin-1")}
        assert plane.call("GET", "/v1/jobs", token=None, headers=head).status == 401, bad
    assert plane.call("DELETE", f"/v1/tokens/{made['id']}").status == 204
    assert plane.call("GET", "/v1/jobs", token=made["token"]).status == 401
    short = plane.call("POST", "/v1/tokens", {"tenant": "mine", "roles": ["submit"], "expires": "1s"}).json
    wait_until(lambda: plane.call("GET", "/v1/jobs", token=short["token"]).status == 401)
    for path, content in contents(plane.state):
        if path.name != "admin.token":
            assert made["token"].encode() not in content, path
            assert plane.token.encode() not in content, path
    assert made["token"] not in plane.log
    assert plane.token not in plane.log


def test_no_route_but_two_answers_without_a_token(plane: Plane) -> None:
    """Every path, known or not, is 401 without a token; only health answers, and says no more than that."""
    for path in (
        "/v1/jobs",
        "/v1/jobs:batch",
        "/v1/sites",
        "/metrics",
        "/openapi.json",
        "/v1/events",
        "/",
        "/x",
        "/docs",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            assert plane.call(method, path, token=None).status == 401, (method, path)
    for path in ("/healthz", "/readyz"):
        assert len(plane.call("GET", path, token=None).body) < 100


def _events(plane: Plane, **more: Any) -> bytes:
    """Return the whole journal as it is shown."""
    found, after = b"", 0
    for _ in range(100):
        page = plane.call("GET", f"/v1/events?follow=false&limit=500&after={after}", **more)
        assert page.status == 200, page
        found += page.body
        if not page.json["items"]:
            break
        after = page.json["items"][-1]["seq"]
    return found


def test_settings_of_a_backend_and_variables_of_a_job_are_not_for_everybody(plane: Plane) -> None:
    """A stranger to operations sees no settings; what a job's variables hold is in no log, event, metric or list."""
    canary = "c4n4ry-" + "9" * 12
    made = plane.submit(job("env", env={"SECRET": canary})).json["id"]
    assert plane.ended(made)["status"]["phase"] == "SUCCEEDED"
    assert made.encode() in _events(plane)
    assert canary.encode() not in _events(plane)
    for path in ("/metrics", "/v1/backends", "/v1/sites", "/v1/tokens"):
        assert canary.encode() not in plane.call("GET", path).body
    assert canary not in plane.log
    shown = plane.call("GET", "/v1/backends/local", token=plane.token_of("mine", "submit"))
    assert "settings" not in json.dumps(shown.json["spec"])
