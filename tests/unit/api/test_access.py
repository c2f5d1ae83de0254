"""Who may what: enumerated from the router, so that a route nobody thought of is in it."""

import re

import pytest
from fastapi.routing import APIRoute
from installations import Installation, document, job
from starlette.routing import Route

from orchestrator.api import app
from orchestrator.service import access

OPEN = {"/healthz", "/readyz"}
ANYBODY = {
    ("GET", "/v1/{kinds}"),
    ("GET", "/v1/{kinds}/{name}"),
    ("GET", "/v1/sites"),
    ("GET", "/openapi.json"),
}
"""Routes that every token may read; what it sees there is filtered."""


def _routes(installation: Installation) -> list[tuple[str, str]]:
    found = []
    for route in app.create_inner(installation.given).routes:
        assert isinstance(route, (APIRoute, Route))
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        found += [(method, path) for method in route.methods or () if method != "HEAD"]
    return sorted(set(found))


def _url(path: str, job_id: str = "01ARZ3NDEKTSV4RRFFQ69G5FAV") -> str:
    values = {"id": job_id, "kinds": "backends", "name": "x", "path": "model.pt"}
    if path.startswith("/v1/tokens"):
        values["id"] = "t000000000000"
    url = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)
    if path == "/v1/blobs":
        url += "?digest=sha256:" + "0" * 64
    return url + "?job=x" if path == "/v1/jobs:find" else url


def test_the_router_is_what_is_documented(installation: Installation) -> None:
    """Every route stands in the OpenAPI document, and nothing else does."""
    paths = installation.client().get("/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert documented == set(_routes(installation))


@pytest.mark.parametrize("kind", ["none", "garbage", "expired", "revoked"])
def test_every_route_needs_a_living_token(installation: Installation, kind: str) -> None:
    """No token, garbage, an expired and a revoked one are 401 on each route but the two probes."""
    text = installation.token() if kind in ("expired", "revoked") else None
    if kind == "expired":
        installation.clock.pass_(days=91)
    if kind == "revoked":
        installation.client().delete(f"/v1/tokens/{text.split('_')[1]}" if text else "")
    if kind == "garbage":
        text = "nothing"
    client = installation.bare(text)
    answers = {
        (method, path): client.request(method, _url(path)).status_code
        for method, path in _routes(installation)
        if path not in OPEN
    }
    assert {key: status for key, status in answers.items() if status != 401} == {}
    assert len(answers) > 30


@pytest.mark.parametrize("role", [role.value for role in access.Role if role is not access.Role.ADMIN])
def test_every_route_refuses_a_role_that_is_not_its_own(installation: Installation, role: str) -> None:
    """What a role may reach is a closed list; everything else is 403 before anything is looked up."""
    client = installation.client(role)
    allowed = set()
    for method, path in _routes(installation):
        if path in OPEN or (method, path) in ANYBODY:
            continue
        given = {"headers": {"Accept": "application/json"}}
        if method in ("POST", "PUT") and path != "/v1/blobs":
            given["json"] = (
                job() if "jobs" in path or "plans" in path else document("Backend", "x", adapter="simulated")
            )
        answer = client.request(method, _url(path), **given)
        assert answer.status_code < 500 or answer.status_code == 501, (method, path, answer.text)
        if answer.status_code != 403:
            allowed.add(f"{method} {path}")
    assert allowed == MAY[role]


_READS = {
    "GET /v1/jobs",
    "GET /v1/jobs/{id}",
    "GET /v1/jobs/{id}:wait",
    "GET /v1/jobs:find",
    "GET /v1/jobs/{id}/decisions",
    "GET /v1/jobs/{id}/evidence",
    "POST /v1/jobs/{id}:explain",
    "POST /v1/plans",
}
_BACKENDS = {f"POST /v1/backends/{{name}}:{verb}" for verb in ("check", "cordon", "uncordon", "drain")}
MAY = {
    "submit": {
        *_READS,
        "POST /v1/jobs",
        "PUT /v1/jobs/{name}",
        "POST /v1/jobs:batch",
        "POST /v1/jobs/{id}:cancel",
        "POST /v1/jobs/{id}:retry",
        "GET /v1/jobs/{id}/logs",
        "GET /v1/jobs/{id}/outputs",
        "GET /v1/jobs/{id}/outputs/{path}",
        "POST /v1/blobs",
    },
    "operate": {
        *_READS,
        *_BACKENDS,
        "POST /v1/jobs/{id}:cancel",
        "GET /v1/jobs/{id}/logs",
        "GET /v1/events",
        "GET /metrics",
    },
    "facts": set(),
    "policy": {"POST /v1/plans", "POST /v1/policies:test"},
    "audit": {*_READS, "GET /v1/events", "GET /v1/log/checkpoint", "POST /v1/log:verify", "GET /metrics"},
    "steward": set(_READS),
}


def test_another_tenants_job_is_as_unknown(installation: Installation) -> None:
    """Every route that takes a job's id answers another tenant's exactly as one that does not exist."""
    id = installation.client("submit").post("/v1/jobs", json=job()).json()["id"]
    installation.run(id, exit_code=0)
    other = installation.client(tenant="other")
    for method, path in _routes(installation):
        if "{id}" not in path or path.startswith("/v1/tokens"):
            continue
        theirs, nobodys = (other.request(method, _url(path, one)) for one in (id, "01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        assert (theirs.status_code, theirs.json()["code"]) == (404, "job.not-found"), (method, path)
        assert theirs.text.replace(id, "X") == nobodys.text.replace("01ARZ3NDEKTSV4RRFFQ69G5FAV", "X")
    assert other.get(f"/v1/jobs:find?job={id}").status_code == 404
    assert other.get("/v1/jobs:find?job=hello").status_code == 404
    assert other.get("/v1/jobs").json()["items"] == []


def test_another_tenants_documents_are_as_unknown(installation: Installation) -> None:
    """A data set, a tenant and a queue of somebody else cannot be read, changed, deleted, named or found in a list."""
    mine = installation.client()
    mine.put("/v1/datasets/secret", json=document("DataSet", "secret", classes=["health"]))
    mine.put("/v1/tenants/default", json=document("Tenant", "default", hq="FR"))
    mine.put("/v1/queues/q", json=document("Queue", "q", tenant="default"))
    other = installation.client("submit", "operate", "facts", "policy", "audit", "steward", tenant="other")
    for path, kind in (("datasets/secret", "DataSet"), ("tenants/default", "Tenant"), ("queues/q", "Queue")):
        body = document(kind, path.partition("/")[2])
        answers = [
            other.get(f"/v1/{path}"),
            other.put(f"/v1/{path}", json=body),
            other.put(f"/v1/{path}?dryRun=true", json=body),
            other.delete(f"/v1/{path}"),
        ]
        assert [one.status_code for one in answers] == [404] * 4, path
        assert other.get(f"/v1/{path.partition('/')[0]}").json()["items"] == []
    refused = other.post("/v1/jobs", json=job(queue="q", data={"reads": [{"name": "secret"}]}))
    assert {one["code"] for one in refused.json()["errors"]} == {"queue.unknown:q", "data.unknown:secret"}


def test_events_of_another_tenant_are_not_shown(installation: Installation) -> None:
    """An auditor sees the own tenant's entries and the installation's."""
    installation.client("submit").post("/v1/jobs", json=job())
    installation.client("submit", tenant="other").post("/v1/jobs", json=job())
    page = installation.client("audit").get("/v1/events", headers={"Accept": "application/json"}).json()
    assert {one["tenant"] for one in page["items"]} <= {None, "default"}


def test_the_tenant_comes_from_the_token_only(installation: Installation) -> None:
    """A body cannot name another tenant."""
    body = job()
    body["metadata"]["tenant"] = "default"
    client = installation.client("submit", tenant="other")
    assert client.post("/v1/jobs", json=body).status_code == 422
    assert client.post("/v1/jobs", json=job()).json()["metadata"]["tenant"] == "other"


def test_settings_of_a_backend_are_shown_to_operators_only(installation: Installation) -> None:
    """A token without operate reads a backend without its settings, and the journal has none either."""
    body = document("Backend", "here", adapter="simulated", settings={"seed": 424242})
    installation.client().put("/v1/backends/here", json=body)
    assert "424242" in installation.client("operate").get("/v1/backends/here").text
    assert "424242" not in installation.client("submit").get("/v1/backends/here").text
    events = installation.client("audit").get("/v1/events", headers={"Accept": "application/json"})
    assert "424242" not in events.text


def test_a_token_is_shown_once_and_stored_as_a_hash(installation: Installation) -> None:
    """Neither the store, nor a list, nor the journal repeats a secret."""
    admin = installation.client()
    made = admin.post("/v1/tokens", json={"tenant": "t", "roles": ["submit", "audit"], "expires": "30d"}).json()
    assert set(made) == {"id", "token", "tenant", "roles", "expires"}
    listed = admin.get("/v1/tokens").text
    journal = str(installation.store.entries())
    stored = str(installation.store.tokens())
    assert made["id"] in listed
    assert made["token"] not in listed + journal + stored
    client = installation.bare(made["token"])
    assert client.post("/v1/jobs", json=job()).json()["metadata"]["tenant"] == "t"
    assert client.post("/v1/tokens", json={"roles": ["submit"]}).status_code == 403
    assert [admin.delete(f"/v1/tokens/{made['id']}").status_code for _ in range(2)] == [204, 204]
    assert client.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"roles": []},
        {"roles": ["king"]},
        {"roles": ["submit"], "tenant": "../x"},
        {"roles": ["submit"], "expires": "1y"},
    ]
    + [
        {"roles": ["submit"], "expires": moment} for moment in ("2020-01-01", "9999-12-31T23:59:59Z", "0001-01-01", "x")
    ],
)
def test_a_token_nobody_should_have_is_refused(installation: Installation, body: dict[str, object]) -> None:
    """No role, unknown roles, bad names and impossible ends are 422."""
    assert installation.client().post("/v1/tokens", json=body).status_code == 422
