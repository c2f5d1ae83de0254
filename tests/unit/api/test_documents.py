"""Documents over HTTP: declare, read, change, withdraw; backends as an operator handles them; outputs."""

import pytest
from installations import Installation, document, job

from orchestrator.domain import errors
from orchestrator.ports import environment


def test_a_document_is_created_changed_and_unchanged(installation: Installation) -> None:
    """Each PUT says what it did, and only a change makes a new version."""
    client = installation.client()
    answers = [
        client.put("/v1/operators/acme", json=document("Operator", "acme", legalCountry=country))
        for country in ("FR", "FR", "DE")
    ]
    assert [(one.status_code, one.json()["change"]) for one in answers] == [
        (201, "created"),
        (200, "unchanged"),
        (200, "updated"),
    ]
    etags = [one.headers["etag"] for one in answers]
    assert etags[0] == etags[1] != etags[2]
    assert client.get("/v1/operators/acme").headers["etag"] == etags[2]


@pytest.mark.parametrize("kind", ["ControlPlane", "Operator", "Backend", "DataSet", "Tenant", "Queue"])
def test_labels_and_annotations_of_every_kind_are_kept(installation: Installation, kind: str) -> None:
    """They come back as declared; changing one is a change; without them there is no word of them."""
    client = installation.client()
    spec = {"adapter": "simulated"} if kind == "Backend" else {}
    bare = document(kind, "default", **spec)
    url = f"/v1/{kind.lower()}s/default"
    answers = []
    for metadata in ({}, {"labels": {"team": "a"}, "annotations": {"note": "long"}}, {"labels": {"team": "b"}}):
        answers.append(client.put(url, json=bare | {"metadata": {"name": "default", **metadata}}).json())
        assert client.get(url).json()["metadata"] == {"name": "default", **metadata}
    assert [one["change"] for one in answers] == ["created", "updated", "updated"]


def test_documents_are_filtered_by_label(installation: Installation) -> None:
    """A list keeps what has all the labels; pages go on from what was kept; nonsense is refused."""
    client = installation.client()
    for number in range(6):
        labels = {"team": "ab"[number % 2], "big": "yes" if number > 2 else "no"}
        body = document("Operator", f"o{number}") | {"metadata": {"name": f"o{number}", "labels": labels}}
        client.put(f"/v1/operators/o{number}", json=body)

    def names(filter: str, **more: str) -> tuple[list[str], str | None]:
        page = client.get("/v1/operators", params={"filter": filter, **more}).json()
        return [one["metadata"]["name"] for one in page["items"]], page["cursor"]

    assert names("label=team:a") == (["o0", "o2", "o4"], None)
    assert names("label=team:a;label=big:yes") == (["o4"], None)
    assert names("label=team:c") == ([], None)
    first, cursor = names("label=team:b", limit="2")
    assert cursor is not None
    assert (first, names("label=team:b", limit="2", cursor=cursor)) == (["o1", "o3"], (["o5"], None))
    for wrong in ("team=a", "label=team", "label", "phase=RUNNING"):
        assert client.get("/v1/operators", params={"filter": wrong}).status_code == 400


def test_a_pool_names_an_accelerator_that_the_catalogue_has(installation: Installation) -> None:
    """No field of a pool gives a device's figures, so an unknown name is an error by path, dry run or not."""
    client = installation.client()
    pools = [{"name": "a", "accelerator": "h100"}, {"name": "b", "accelerator": "nvidia-h10-sxm"}, {"name": "c"}]
    body = document("Backend", "here", adapter="local", pools=pools)
    for url in ("/v1/backends/here", "/v1/backends/here?dryRun=true"):
        answer = client.put(url, json=body)
        assert answer.status_code == 422
        assert [(one["path"], one["remedy"]) for one in answer.json()["errors"]] == [
            ("spec.pools[1].accelerator", "did you mean nvidia-h100-sxm?")
        ]
    pools[1]["accelerator"] = "nvidia-h200-sxm"
    assert client.put("/v1/backends/here", json=body).status_code == 201


def test_preconditions_hold_or_are_412(installation: Installation) -> None:
    """If-Match wants this version, If-None-Match wants none, and a foreign ETag is malformed."""
    client = installation.client()
    body = document("Operator", "acme")
    url = "/v1/operators/acme"
    assert client.put(url, json=body, headers={"If-Match": '"1"'}).status_code == 412
    etag = client.put(url, json=body, headers={"If-None-Match": "*"}).headers["etag"]
    assert client.put(url, json=body, headers={"If-None-Match": "*"}).status_code == 412
    other = document("Operator", "acme", legalCountry="FR")
    assert client.put(url, json=other, headers={"If-Match": etag}).status_code == 200
    assert client.put(url, json=body, headers={"If-Match": etag}).status_code == 412
    assert client.delete(url, headers={"If-Match": etag}).status_code == 412
    assert client.put(url, json=body, headers={"If-Match": "latest"}).status_code == 400


def test_path_and_body_must_agree(installation: Installation) -> None:
    """Another kind or name than the path's is invalid, both at once."""
    answer = installation.client().put("/v1/operators/acme", json=document("Queue", "other"))
    assert {one["path"] for one in answer.json()["errors"]} == {"kind", "metadata.name"}


def test_a_dry_run_changes_nothing_and_says_whom_it_hits(installation: Installation) -> None:
    """The answer names the referrers, and the document stays as it is."""
    client = installation.client()
    client.put("/v1/operators/acme", json=document("Operator", "acme", legalCountry="FR"))
    client.put("/v1/backends/b", json=document("Backend", "b", adapter="simulated", operator="acme"))
    answer = client.put("/v1/operators/acme?dryRun=true", json=document("Operator", "acme", legalCountry="US"))
    assert (answer.json()["change"], answer.json()["hits"]) == ("updated", ["backend/b"])
    assert client.get("/v1/operators/acme").json()["spec"] == {"legalCountry": "FR"}


@pytest.mark.parametrize(
    ("kind", "plural", "referrer"),
    [
        ("Operator", "operators", ("backends", document("Backend", "r", adapter="simulated", operator="x"))),
        ("DataSet", "datasets", ("datasets", document("DataSet", "r", derivedFrom=["x"]))),
        ("Tenant", "tenants", ("queues", document("Queue", "r", tenant="x"))),
    ],
)
def test_what_is_referred_to_stays(
    installation: Installation, kind: str, plural: str, referrer: tuple[str, dict]
) -> None:
    """A document is not withdrawn while another names it; the list says which."""
    client = installation.client()
    client.put(f"/v1/{plural}/x", json=document(kind, "x"))
    assert client.put(f"/v1/{referrer[0]}/r", json=referrer[1]).status_code == 201
    refused = client.delete(f"/v1/{plural}/x")
    assert (refused.status_code, refused.json()["code"]) == (409, "document.referenced")
    assert refused.json()["referrers"] == [f"{referrer[1]['kind'].lower()}/r"]
    assert client.delete(f"/v1/{referrer[0]}/r").json() == {"change": "deleted", "deleted": "r", "referrers": []}
    assert client.delete(f"/v1/{plural}/x").status_code == 200
    assert client.get(f"/v1/{plural}/x").status_code == 404


def test_a_data_set_stays_while_a_live_job_reads_it(installation: Installation) -> None:
    """A live job keeps its data set and its queue; when it has ended they may go."""
    client = installation.client()
    client.put("/v1/datasets/d", json=document("DataSet", "d"))
    client.put("/v1/queues/q", json=document("Queue", "q"))
    id = client.post("/v1/jobs", json=job(data={"reads": [{"name": "d"}]}, queue="q")).json()["id"]
    assert [client.delete(f"/v1/{path}").json()["referrers"] for path in ("datasets/d", "queues/q")] == [
        [f"job/{id}"]
    ] * 2
    client.post(f"/v1/jobs/{id}:cancel")
    assert [client.delete(f"/v1/{path}").status_code for path in ("datasets/d", "queues/q")] == [200, 200]


def test_a_backend_stays_while_an_attempt_is_there(installation: Installation) -> None:
    """A job that runs at a backend keeps it registered."""
    client = installation.client()
    body = document("Backend", "here", adapter="simulated", pools=[{"name": "cpu"}])
    client.put("/v1/backends/here", json=body)
    id = client.post("/v1/jobs", json=job()).json()["id"]
    installation.run(id)
    assert client.delete("/v1/backends/here").json()["referrers"] == [f"job/{id}"]


def test_lists_are_paged_by_name(installation: Installation) -> None:
    """A cursor goes on after the last name."""
    client = installation.client()
    for name in "cab":
        client.put(f"/v1/operators/{name}", json=document("Operator", name))
    page = client.get("/v1/operators?limit=2").json()
    rest = client.get(f"/v1/operators?limit=2&cursor={page['cursor']}").json()
    assert [one["metadata"]["name"] for one in page["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["cursor"] is None


def test_cordon_is_status_and_not_spec(installation: Installation) -> None:
    """A cordoned backend says so until it is let back in; its declaration is untouched."""
    client = installation.client()
    client.put("/v1/backends/b", json=document("Backend", "b", adapter="simulated", pools=[{"name": "cpu"}]))
    spec = client.get("/v1/backends/b").json()["spec"]
    cordoned = client.post("/v1/backends/b:cordon").json()
    assert (cordoned["spec"], cordoned["status"]["cordoned"]) == (spec, True)
    assert client.get("/v1/sites").json()["items"][0]["closed"] is True
    assert client.post("/v1/backends/b:uncordon").json()["status"]["cordoned"] is False
    assert client.post("/v1/backends/gone:cordon").status_code == 404


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (errors.TransientError("local.away", "it is away"), "local.away"),
        (TimeoutError(), "backend.timeout"),
        (environment.BulkheadFullError("full"), "backend.busy"),
        (ZeroDivisionError("canary"), "backend.failed"),
    ],
)
def test_a_dead_backend_is_503_with_its_code(installation: Installation, trouble: Exception, code: str) -> None:
    """Whatever a backend does, reading verbs answer 503 with a code, and say nothing of our insides."""
    client = installation.client()
    client.put("/v1/backends/here", json=document("Backend", "here", adapter="simulated", pools=[{"name": "cpu"}]))
    id = client.post("/v1/jobs", json=job()).json()["id"]
    installation.run(id, exit_code=0)
    _declare(installation, "FR")
    installation.fleet.members["here"] = installation.adapter
    installation.adapter.trouble = trouble
    for method, path in (
        ("POST", "/v1/backends/here:check"),
        ("GET", f"/v1/jobs/{id}/logs"),
        ("GET", f"/v1/jobs/{id}/outputs"),
        ("GET", f"/v1/jobs/{id}/outputs/model.pt"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (503, code), (method, path)
        assert "canary" not in answer.text


def test_a_live_probe_answers_what_the_adapter_can(installation: Installation) -> None:
    """A check names capabilities and offers."""
    client = installation.client()
    client.put("/v1/backends/here", json=document("Backend", "here", adapter="simulated"))
    assert client.post("/v1/backends/here:check").json()["code"] == "backend.broken"
    installation.fleet.members["here"] = installation.adapter
    assert client.post("/v1/backends/here:check").json()["capabilities"] == ["copies", "logs"]


def _declare(installation: Installation, country: str) -> None:
    client = installation.client()
    facts = {"legalCountry": country, "ultimateParentHq": country, "owners": {"coverage": 100}}
    client.put("/v1/operators/us", json=document("Operator", "us", **facts))
    place = {"operator": "us", "location": {"country": country}}
    client.put("/v1/controlplanes/self", json=document("ControlPlane", "self", **place))


def _ended(installation: Installation, country: str = "FR", **spec: object) -> str:
    _declare(installation, country)
    client = installation.client()
    installation.fleet.members["here"] = installation.adapter
    id = str(client.post("/v1/jobs", json=job(**spec)).json()["id"])
    installation.run(id, exit_code=0)
    return id


def test_an_output_is_copied_and_journaled(installation: Installation) -> None:
    """A job without data gives its files, and each copy leaves an entry before its first byte."""
    id = _ended(installation)
    client = installation.client("submit")
    assert client.get(f"/v1/jobs/{id}/outputs").json()["items"] == [{"path": "model.pt", "size": 7}]
    assert client.get(f"/v1/jobs/{id}/outputs/model.pt").content == b"weights"
    entry = installation.store.entries()[-1].entry
    assert (entry.kind, entry.body["path"]) == ("outputs.copied", "model.pt")
    assert client.get(f"/v1/jobs/{id}/outputs/gone").json()["code"] == "outputs.not-found"


@pytest.mark.parametrize("path", ["%2e%2e/x", "a/%2e%2e/b", "a%5c..%5cb", "a%00", "a//b", "a/", "%252e%252e%2f"])
def test_an_output_path_stays_below(installation: Installation, path: str) -> None:
    """A path that could leave the outputs never reaches the adapter."""
    id = _ended(installation)
    installation.adapter.files = {"../x": b"no"}
    answer = installation.client("submit").get(f"/v1/jobs/{id}/outputs/{path}")
    assert answer.json()["code"] == "outputs.not-found"


def test_copying_is_judged_like_any_movement_of_data(installation: Installation) -> None:
    """Health data of French patients stays away from a control plane in the United States, with reasons."""
    admin = installation.client()
    data = document("DataSet", "patients", classes=["health"], subjects=["FR"], controller={"country": "FR"})
    assert admin.put("/v1/datasets/patients", json=data).status_code == 201
    id = _ended(installation, "US", data={"reads": [{"name": "patients"}]})
    answer = installation.client("submit").get(f"/v1/jobs/{id}/outputs/model.pt")
    assert (answer.status_code, answer.json()["code"]) == (422, "outputs.refused")
    assert {one["effect"] for one in answer.json()["reasons"]} == {"deny"}
    assert any(one["code"].startswith("eu-gdpr.") for one in answer.json()["reasons"])
    assert "outputs.copied" not in {one.entry.kind for one in installation.store.entries()}


def test_a_constraint_of_the_job_binds_its_outputs_too(installation: Installation) -> None:
    """A job that may only be in the EEA gives its files to a control plane there, and to no other."""
    id = _ended(installation, "CH", sovereignty={"countries": {"allow": ["EEA"]}})
    answer = installation.client("submit").get(f"/v1/jobs/{id}/outputs/model.pt")
    assert answer.json()["code"] == "outputs.refused"
    _declare(installation, "FR")
    assert installation.client("submit").get(f"/v1/jobs/{id}/outputs/model.pt").content == b"weights"
