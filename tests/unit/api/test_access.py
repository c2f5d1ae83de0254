"""Who may what: enumerated from the router, so that a route nobody thought of is in it."""

import re

import asgi
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
    "GET /v1/obligations",
    "POST /v1/jobs/{id}:explain",
    "POST /v1/plans",
}
_BACKENDS = {f"POST /v1/backends/{{name}}:{verb}" for verb in ("challenge", "check", "cordon", "uncordon", "drain")}
_HELD = {"GET /v1/changes", "POST /v1/changes/{name}:confirm"} | {
    "GET /v1/freezes",
    "POST /v1/freezes",
    "POST /v1/freezes:end",
}
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
        *_HELD,
    },
    "facts": {"POST /v1/operators/{name}:answer", "GET /v1/obligations", "POST /v1/jobs/{id}:fulfil"},
    "policy": {
        "POST /v1/plans",
        "POST /v1/policies:test",
        "POST /v1/operators/{name}:answer",
        "GET /v1/obligations",
        *_HELD,
    },
    "audit": {
        *_READS,
        "GET /v1/changes",
        "GET /v1/freezes",
        "GET /v1/events",
        "GET /v1/log/checkpoint",
        "POST /v1/log:verify",
        "GET /metrics",
    },
    "steward": {*_READS, "POST /v1/datasets/{name}:declassify", "POST /v1/jobs/{id}:fulfil"},
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
    """Whatever one does with the name of somebody else's data set, tenant or queue is answered as for a free name."""
    mine = installation.client()
    mine.put("/v1/datasets/taken", json=document("DataSet", "taken", classes=["health"]))
    mine.put("/v1/tenants/default", json=document("Tenant", "default", hq="FR"))
    mine.put("/v1/queues/taken", json=document("Queue", "taken", tenant="default", weight=3))
    other = installation.client("submit", "operate", "facts", "policy", "audit", "steward", tenant="other")
    for kind, names in (
        ("DataSet", ("taken", "freed")), ("Tenant", ("default", "nobodys")), ("Queue", ("taken", "freed"))
    ):  # fmt: skip
        url = f"/v1/{kind.lower()}s"
        found = [_everything(other, kind, f"{url}/{name}", name) for name in names]
        assert found[0] == found[1]
        assert found[0][1][0] == (404 if kind == "Tenant" else 201)
        assert other.get(url).json()["items"] == []
    for name in ("taken", "freed"):
        refused = other.post("/v1/jobs", json=job(queue=name, data={"reads": [{"name": name}]}))
        assert {one["code"] for one in refused.json()["errors"]} == {f"queue.unknown:{name}", f"data.unknown:{name}"}
    assert mine.get("/v1/datasets/taken").json()["spec"] == {"classes": ["health"]}
    assert mine.get("/v1/tenants/default").json()["spec"] == {"hq": "FR"}
    assert mine.get("/v1/queues/taken").json()["spec"] == {"tenant": "default", "weight": 3}


def _everything(client: asgi.Client, kind: str, url: str, name: str) -> list[tuple[int, str]]:
    """Return what each verb answers for a name, without the name, versions and moments; leaves nothing behind."""
    body = document(kind, name, **({"tenant": "other"} if kind == "Queue" else {}))
    answers = [
        client.get(url),
        client.put(url, json=body),
        client.put(f"{url}?dryRun=true", json=body),
        client.put(url, json=body, headers={"If-None-Match": "*"}),
        client.delete(f"{url}?dryRun=true"),
        client.delete(url),
        client.delete(url),
    ]
    return [
        (
            one.status_code,
            re.sub(r'"(version|createdAt|updatedAt)":[^,}]+|version [0-9]+', "", one.text.replace(name, "X")),
        )
        for one in answers
    ]


def test_two_tenants_use_one_name(installation: Installation) -> None:
    """Each tenant's jobs, lists and withdrawals mean the own data set and queue of a name, before a shared one."""
    clients = {name: installation.client("submit", "operate", "steward", tenant=name) for name in ("a", "b")}
    installation.client().put("/v1/queues/q", json=document("Queue", "q", priorities={"low": -1}))
    for tenant, client in clients.items():
        body = document("Queue", "q", tenant=tenant, priorities={f"only-{tenant}": 1})
        assert client.put("/v1/queues/q", json=body).status_code == 201
        assert client.put("/v1/datasets/d", json=document("DataSet", "d", owner=tenant)).status_code == 201
    for tenant, client in clients.items():
        assert [one["spec"]["owner"] for one in client.get("/v1/datasets").json()["items"]] == [tenant]
        assert [one["spec"].get("tenant") for one in client.get("/v1/queues").json()["items"]] == [None, tenant]
        assert client.get("/v1/queues/q").json()["spec"]["tenant"] == tenant
        asked = job(queue="q", priority=f"only-{tenant}", data={"reads": [{"name": "d"}]})
        assert client.post("/v1/jobs", json=asked).status_code == 202
        asked["spec"]["priority"] = "only-b" if tenant == "a" else "only-a"
        assert client.post("/v1/jobs", json=asked).json()["errors"][0]["path"] == "spec.priority"
    (mine,) = clients["a"].get("/v1/jobs").json()["items"]
    for url in ("/v1/datasets/d", "/v1/queues/q"):
        assert clients["a"].delete(url).json()["referrers"] == [f"job/{mine['metadata']['id']}"]
    clients["a"].post(f"/v1/jobs/{mine['metadata']['id']}:cancel")
    assert [clients["a"].delete(url).status_code for url in ("/v1/datasets/d", "/v1/queues/q")] == [200, 200]
    assert clients["a"].get("/v1/datasets/d").status_code == 404
    assert "tenant" not in clients["a"].get("/v1/queues/q").json()["spec"]
    assert clients["b"].get("/v1/datasets/d").json()["spec"]["owner"] == "b"


def test_a_queue_for_another_tenant_is_refused_in_one_way(installation: Installation) -> None:
    """Who is no administrator declares own and shared queues only, whether or not the other tenant has one."""
    admin = installation.client()
    for tenant in ("default", "b"):
        assert admin.put("/v1/queues/q", json=document("Queue", "q", tenant=tenant)).status_code == 201
    client = installation.client("operate", tenant="a")
    found = [
        client.put("/v1/queues/q", json=document("Queue", "q", tenant=tenant)).json() for tenant in ("b", "nobody")
    ]
    assert found[0] == found[1]
    assert (found[0]["status"], found[0]["code"]) == (403, "document.tenant")


def test_an_administrator_means_one_queue_by_a_name(installation: Installation) -> None:
    """The own queue, else the shared one, else the only one of its name; several are told apart by nobody."""
    admin = installation.client()
    for tenant in ("b", "c"):
        admin.put("/v1/queues/q", json=document("Queue", "q", tenant=tenant))
    admin.put("/v1/queues/only", json=document("Queue", "only", tenant="b"))
    assert admin.get("/v1/queues/only").json()["spec"] == {"tenant": "b"}
    refused = admin.get("/v1/queues/q")
    assert (refused.status_code, refused.json()["code"]) == (409, "document.ambiguous")
    pages = [admin.get("/v1/queues?limit=1").json()]
    while pages[-1]["cursor"]:
        pages.append(admin.get("/v1/queues", params={"limit": 1, "cursor": pages[-1]["cursor"]}).json())
    assert [(one["metadata"]["name"], one["spec"]["tenant"]) for page in pages for one in page["items"]] == [
        ("only", "b"),
        ("q", "b"),
        ("q", "c"),
    ]


def test_events_of_another_tenant_are_not_shown(installation: Installation) -> None:
    """An auditor sees the own tenant's entries and the installation's, and no tenant's document but the own."""
    other = installation.client(tenant="other")
    for kind, more in (("Tenant", {}), ("DataSet", {}), ("Queue", {"tenant": "other"})):
        assert other.put(f"/v1/{kind.lower()}s/other", json=document(kind, "other", **more)).status_code == 201
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
