"""Data is sticky, over HTTP: what a job writes is judged by what was read, until a named person declassifies."""

from __future__ import annotations

import dataclasses
from typing import Any

import asgi
import pytest
from installations import Installation, document, job

from orchestrator.ports import stores

HERE = {"country": "US"}
REFUSALS = {"eu-gdpr.transfer:US", "fr-hds.location", "fr-hds.certificate"}
READS = {"reads": [{"name": "patients-fr"}], "writes": ["weights-fr"]}
DONE = {"from": "patients-fr", "by": "A. Martin, DPO", "reason": "no personal data is left in the weights"}


@pytest.fixture
def client(installation: Installation) -> asgi.Client:
    """Give an administrator of an installation with one place in the US, health data and empty weights."""
    client = installation.client()
    declared = (
        ("controlplanes", document("ControlPlane", "self", location=HERE, adminFrom=["US"])),
        ("operators", document("Operator", "op", legalCountry="US", ultimateParentHq="US")),
        (
            "backends",
            document("Backend", "b", adapter="simulated", operator="op", location=HERE, pools=[{"name": "p"}]),
        ),
        ("datasets", patients()),
        ("datasets", weights()),
    )
    for kinds, body in declared:
        assert client.put(f"/v1/{kinds}/{body['metadata']['name']}", json=body).status_code == 201
    return client


def patients() -> dict[str, Any]:
    """Return health data of people in France."""
    return document("DataSet", "patients-fr", controller={"country": "FR"}, classes=["health"], subjects=["FR"])


def weights(**more: Any) -> dict[str, Any]:
    """Return a data set that says nothing about people."""
    return document("DataSet", "weights-fr", classes=["model"], location=HERE, **more)


def refusals(client: asgi.Client, name: str = "weights-fr") -> set[str]:
    """Return why a job that reads a data set may not go to the one place, of the codes that matter here."""
    plan = client.post("/v1/plans", json=job(data={"reads": [{"name": name}]})).json()
    return {reason["code"] for reason in plan["sites"][0]["reasons"] if reason["effect"] == "deny"} & REFUSALS


def inherits(client: asgi.Client) -> list[str]:
    """Return what the weights inherit from, as their status says."""
    status = client.get("/v1/datasets/weights-fr").json()["status"]
    return [one["from"] for one in status.get("inherits", [])]


def submit(client: asgi.Client, **spec: Any) -> str:
    """Submit a job and return its id."""
    answer = client.post("/v1/jobs", json=job(**spec))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_what_a_live_job_will_write_inherits_already(client: asgi.Client) -> None:
    """From the submission on, before there is any output, whoever reads it is judged by what the job reads."""
    assert refusals(client) == set()
    submit(client, data=READS)
    assert refusals(client) == refusals(client, "patients-fr") == REFUSALS
    assert inherits(client) == ["patients-fr"]


def test_an_output_that_becomes_a_data_set_inherits(client: asgi.Client) -> None:
    """``outputs[].as`` is writing too."""
    outputs = [{"path": "model.pt", "as": "weights-fr"}]
    submit(client, data={"reads": [{"name": "patients-fr"}]}, outputs=outputs)
    assert refusals(client) == REFUSALS


def test_rules_stick_over_generations(client: asgi.Client) -> None:
    """What is made from what was made from patients is under the rules of the patients."""
    client.put("/v1/datasets/small", json=document("DataSet", "small", classes=["model"]))
    submit(client, data=READS)
    submit(client, data={"reads": [{"name": "weights-fr"}], "writes": ["small"]})
    assert refusals(client, "small") == REFUSALS


def test_silence_about_data_sticks_too(client: asgi.Client) -> None:
    """A job judged as reading the tenant's default data passes it on; `data: none` passes nothing on."""
    default = {"classes": ["health"], "subjects": ["FR"]}
    client.put("/v1/tenants/default", json=document("Tenant", "default", hq="US", defaultData=default))
    outputs = [{"path": "model.pt", "as": "weights-fr"}]
    submit(client, data="none", outputs=outputs)
    assert refusals(client) == set()
    submit(client, data=None, outputs=outputs)
    assert refusals(client) == REFUSALS
    assert inherits(client) == ["@defaultData"]


def test_controlled_models_make_controlled_weights(client: asgi.Client) -> None:
    """The items that control a model control what a job writes with it."""
    model = {"id": "m", "controller": {"country": "US"}, "exportControl": [{"regime": "us-ear", "item": "3E001"}]}
    submit(client, model=model, data="none", outputs=[{"path": "model.pt", "as": "weights-fr"}])
    plan = client.post("/v1/plans", json=job(data={"reads": [{"name": "weights-fr"}]})).json()
    codes = {reason["code"] for reason in plan["sites"][0]["reasons"]}
    assert "tech-export.unlicensed:us-ear:US" in codes


def test_every_way_to_submit_records(client: asgi.Client) -> None:
    """Batches, applied jobs and retries are submissions."""
    names = ("w1", "w2", "w3")
    for name in names:
        client.put(f"/v1/datasets/{name}", json=document("DataSet", name, classes=["model"]))
    specs = [job(name, data={**READS, "writes": [name]}) for name in names]
    assert client.post("/v1/jobs:batch", json={"documents": specs[:2]}).status_code == 202
    assert client.put("/v1/jobs/w3", json=specs[2]).status_code in (200, 201, 202)
    assert [refusals(client, name) for name in names] == [REFUSALS] * 3


def test_a_named_person_takes_a_source_off(client: asgi.Client, installation: Installation) -> None:
    """After it nothing of the source follows; who, why and when are in the status and in the journal."""
    submit(client, data=READS)
    answer = client.post("/v1/datasets/weights-fr:declassify", json=DONE)
    assert answer.status_code == 200, answer.text
    assert refusals(client) == set()
    status = answer.json()["status"]
    assert "inherits" not in status
    (said,) = status["declassified"]
    assert {word: said[word] for word in DONE} == DONE
    entries = installation.store.entries(subject="dataset/weights-fr")
    kinds = [link.entry.kind for link in entries]
    assert kinds == ["document.created", "data.inherited", "data.declassified"]
    assert dict(entries[-1].entry.body) == {"from": DONE["from"], "person": DONE["by"], "reason": DONE["reason"]}
    assert entries[-1].entry.actor != "system"


def test_a_later_job_brings_it_back(client: asgi.Client) -> None:
    """A declassification is about what was written until then."""
    submit(client, data=READS)
    client.post("/v1/datasets/weights-fr:declassify", json=DONE)
    submit(client, data=READS)
    assert refusals(client) == REFUSALS


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"from": "other"}, 409, "data.not-inherited"),
        ({"reason": "  "}, 400, "request.malformed"),
        ({"by": " "}, 400, "request.malformed"),
        ({"by": ""}, 422, "document.invalid"),
        ({"reason": None}, 422, "document.invalid"),
        ({"reason": "a\nb"}, 400, "request.malformed"),
    ],
)
def test_nothing_is_taken_off_without_name_and_reason(
    client: asgi.Client, change: dict[str, Any], status: int, code: str
) -> None:
    """Who, why and what are needed; nothing changes without them."""
    submit(client, data=READS)
    answer = client.post("/v1/datasets/weights-fr:declassify", json=DONE | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert refusals(client) == REFUSALS


def test_only_stewards_declassify(installation: Installation, client: asgi.Client) -> None:
    """Whoever submits jobs, states facts or writes policy may not; another tenant's steward sees no such data set."""
    submit(client, data=READS)
    url = "/v1/datasets/weights-fr:declassify"
    others = installation.client("submit", "facts", "policy", "operate", "audit")
    assert others.post(url, json=DONE).status_code == 403
    assert installation.client("steward", tenant="other").post(url, json=DONE).status_code == 404
    assert installation.client("steward").post(url, json=DONE).status_code == 200


def test_a_new_declaration_drops_nothing(client: asgi.Client) -> None:
    """``derivedFrom`` that disappears from the document is inherited on: only a person declassifies."""
    client.put("/v1/datasets/weights-fr", json=weights(derivedFrom=["patients-fr"]))
    refused = client.post("/v1/datasets/weights-fr:declassify", json=DONE)
    assert (refused.status_code, refused.json()["code"]) == (409, "data.declared")
    client.put("/v1/datasets/weights-fr", json=weights())
    assert refusals(client) == REFUSALS
    assert client.post("/v1/datasets/weights-fr:declassify", json=DONE).status_code == 200
    assert refusals(client) == set()


def test_declaring_again_washes_nothing(installation: Installation, client: asgi.Client) -> None:
    """Withdrawing a data set and declaring it again leaves it what it was."""
    client.put("/v1/datasets/weights-fr", json=weights(derivedFrom=["patients-fr"]))
    assert client.delete("/v1/datasets/weights-fr").status_code == 200
    client.put("/v1/datasets/weights-fr", json=weights())
    assert refusals(client) == REFUSALS


def test_a_source_in_use_is_not_withdrawn(client: asgi.Client, installation: Installation) -> None:
    """Whoever would withdraw the patients is told that the weights inherit from them."""
    id = submit(client, data=READS)
    installation.run(id, exit_code=0)
    answer = client.delete("/v1/datasets/patients-fr")
    assert (answer.status_code, answer.json()["referrers"]) == (409, ["dataset/weights-fr"])


def test_a_lineage_that_cannot_be_read_opens_nothing(client: asgi.Client, installation: Installation) -> None:
    """A damaged record: what reads the data set is refused, and nothing more is written to it."""
    submit(client, data=READS)
    kept = installation.store.document("Lineage", "weights-fr", tenant="default")
    assert kept is not None
    installation.store.commit(stores.Changes(documents=(dataclasses.replace(kept, body='{"v":2}'),)))
    read = client.post("/v1/plans", json=job(data={"reads": [{"name": "weights-fr"}]}))
    assert [one["code"] for one in read.json()["errors"]] == ["data.unknown:weights-fr"]
    assert client.post("/v1/jobs", json=job(data=READS)).status_code in (422, 503)


def test_lineages_are_nobodys_documents(client: asgi.Client) -> None:
    """The records are the store's own: no route lists, reads or writes them."""
    submit(client, data=READS)
    for kinds in ("lineages", "lineage"):
        assert client.get(f"/v1/{kinds}").status_code == 404
        assert client.put(f"/v1/{kinds}/weights-fr", json=weights()).status_code == 404


def test_the_same_again_commits_nothing_more(client: asgi.Client, installation: Installation) -> None:
    """A thousand jobs that read and write the same make one record."""
    submit(client, data=READS)
    version = installation.store.documents_version()
    submit(client, data=READS)
    assert installation.store.documents_version() == version
