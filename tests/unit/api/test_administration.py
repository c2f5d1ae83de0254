"""The journal, metrics and the description of the API over HTTP."""

import json
import pathlib
import sqlite3

import pytest
from installations import Installation, SetClock, document, job

from orchestrator.ports import stores
from orchestrator.store import opening


def test_events_resume_after_the_last_one_seen(installation: Installation) -> None:
    """A stream goes on right after Last-Event-ID, one event an entry."""
    client = installation.client()
    for _ in range(3):
        client.post("/v1/jobs", json=job())
    text = client.get("/v1/events?follow=false").text
    blocks = [dict(line.split(": ", 1) for line in one.splitlines()) for one in text.strip().split("\n\n")]
    assert [one["event"] for one in blocks][-3:] == ["job.submitted"] * 3
    assert json.loads(blocks[-1]["data"])["seq"] == int(blocks[-1]["id"])
    rest = client.get("/v1/events?follow=false", headers={"Last-Event-ID": blocks[-2]["id"]}).text
    assert rest.strip() == text.strip().split("\n\n")[-1]
    assert client.get("/v1/events", headers={"Last-Event-ID": "x"}).status_code == 400


def test_a_checkpoint_is_signed_and_grows_with_the_journal(installation: Installation) -> None:
    """The note verifies with the key beside it, and covers the head."""
    from orchestrator.evidence import checkpoints

    client = installation.client()
    sizes = []
    for _ in range(2):
        client.post("/v1/jobs", json=job())
        found = client.get("/v1/log/checkpoint").json()
        key = bytes.fromhex(found["key"])
        assert checkpoints.verify(found["note"], origin=found["origin"], public_key=key).size == found["size"]
        assert found["hash"] == installation.store.head().hash
        sizes.append(found["size"])
    assert sizes[1] == sizes[0] + 1
    assert client.post("/v1/log:verify").json() == {"entries": sizes[1], "ok": True, "firstBad": None}


def test_metrics_have_labels_of_closed_sets(installation: Installation) -> None:
    """What a client makes up never becomes a label."""
    client = installation.client()
    client.post("/v1/jobs", json=job())
    for path in ("/canary-1", "/v1/canary-2", "/v1/operators/canary-3", "/v1/jobs/canary-4"):
        client.get(path)
    text = client.get("/metrics").text
    assert "canary" not in text
    assert 'comity_http_requests_total{route="/v1/jobs",status="2xx"} 1.0' in text
    assert 'comity_jobs{phase="QUEUED"} 1.0' in text


def test_readiness_is_503_while_the_server_cannot_work(installation: Installation) -> None:
    """The probe says so, and not why: it needs no token."""
    installation.given.unready = lambda: "the disk canary"
    answer = installation.bare(None).get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unready"})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (stores.StoreFullError("full"), 507, "store.full"),
        (stores.StoreBusyError("busy"), 503, "store.busy"),
        (stores.StoreReadOnlyError("eio"), 503, "store.read-only"),
    ],
)
def test_a_store_that_cannot_commit_is_said_with_its_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, error: stores.StoreError, status: int, code: str
) -> None:
    """A full disk is 507, a busy or read-only store 503; reads go on."""
    client = installation.client()
    id = client.post("/v1/jobs", json=job()).json()["id"]

    def fail(_: stores.Changes) -> stores.Receipt:
        raise error

    monkeypatch.setattr(installation.store, "commit", fail)
    answer = client.post("/v1/jobs", json=job())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(f"/v1/jobs/{id}").status_code == 200


def test_every_bound_stands_in_the_schema(installation: Installation) -> None:
    """Each parameter of type text has a length, each number a range."""
    found = installation.client().get("/openapi.json").json()
    unbounded = []
    for path, item in found["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                for schema in parameter["schema"].get("anyOf", [parameter["schema"]]):
                    bound = {"string": "maxLength", "integer": "maximum", "number": "maximum"}.get(schema.get("type"))
                    if bound is not None and bound not in schema:
                        unbounded.append((path, parameter["name"]))
    assert unbounded == []


def test_references_of_the_schema_resolve(installation: Installation) -> None:
    """Every $ref of the document points at something in it."""
    text = installation.client().get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    wanted = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= set(schemas)
    assert "Job" in schemas


def test_answers_fit_what_is_promised(installation: Installation) -> None:
    """A submitted job is a JobDocument with its id and notices beside it."""
    from orchestrator.wire import api

    body = installation.client().post("/v1/jobs", json=job()).json()
    del body["id"], body["notices"]
    assert api.JobDocument.model_validate_json(json.dumps(body)).status.phase == "QUEUED"


def test_a_row_that_holds_nonsense_is_said(tmp_path: pathlib.Path) -> None:
    """A column of another SQL type than was written is damage, with its code, and no bug of the server."""
    path = tmp_path / "comity.db"
    installation = Installation(opening.open_store(path, SetClock()))
    client = installation.client()
    assert client.put("/v1/queues/fast", json=document("Queue", "fast")).status_code == 201
    with sqlite3.connect(path) as rows:
        rows.execute("update documents set created_at = 'never' where name = 'fast'")
    rows.close()
    answer = client.get("/v1/queues/fast")
    assert (answer.status_code, answer.json()["code"]) == (503, "store.corrupt")
    assert "comity log verify" in answer.json()["detail"]
    installation.close()
    installation.store.close()
