"""Obligations over HTTP: what is owed, who may say that it was done, and what is kept of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import asgi
import pytest
from installations import Installation, job

from orchestrator.domain import decisions, ids, jobs, obligations, reasons
from orchestrator.inventory import obligations as owings
from orchestrator.ports import stores

CODE, WATCH = "eu-gdpr.art46:US", "us-ear.hq-carry-over-until-further-notice"
DONE: dict[str, Any] = {"code": CODE, "evidence": {"ref": "register no. 17"}, "by": "A. Martin, DPO"}
DIGEST = "sha256:" + "a" * 64


def owe(installation: Installation, id: str, *codes: str) -> None:
    """Note what the loop would note when it places the job."""
    row = installation.store.job(ids.JobId(id))
    assert row is not None
    placed = decisions.Placement(
        key=ids.attempt_key(row.id, 1),
        job=row.id,
        number=1,
        site=ids.SiteName("b/p"),
        decision=ids.NO_DIGEST,
        policy=ids.NO_DIGEST,
        facts=ids.NO_DIGEST,
        expires=None,
        placed_at=installation.clock.now(),
        term=ids.Term(0),
    )
    duties = [
        obligations.Duty(code, reasons.Basis.LAW, "keep to it", "Art. 46", None if code == WATCH else 30)
        for code in codes
    ]
    settled = owings.settle(installation.store, {row.id: row}, [owings.Brought(placed, duties)], "controller")
    changes = stores.Changes(
        jobs=tuple(settled.rows.values()), obligations=settled.obligations, entries=settled.entries
    )
    installation.store.commit(changes)


@pytest.fixture
def owing(installation: Installation) -> str:
    """Return a job that owes two things."""
    id = str(installation.client().post("/v1/jobs", json=job()).json()["id"])
    owe(installation, id, CODE, WATCH)
    return id


def fulfil(client: asgi.Client, id: str, **more: Any) -> Any:
    """Say that it was done."""
    return client.post(f"/v1/jobs/{id}:fulfil", json=DONE | more)


def states(client: asgi.Client, id: str) -> dict[str, str]:
    """Return the states that the job's status lists."""
    status = client.get(f"/v1/jobs/{id}").json()["status"]
    return {one["code"]: one["state"] for one in status.get("obligations", [])}


def test_a_job_lists_what_it_owes(installation: Installation, owing: str) -> None:
    """By id and by name, with source and day; one without a day says so; a job that owes nothing has no list."""
    client = installation.client()
    status = client.get(f"/v1/jobs/{owing}").json()["status"]
    first, second = status["obligations"]
    assert first == {
        "job": owing, "code": CODE, "state": "open", "message": "keep to it", "basis": "law", "source": "Art. 46",
        "site": "b/p", "attempt": 1, "placedAt": "2026-11-22T10:00:00Z", "dueAt": "2026-12-22T10:00:00Z",
    }  # fmt: skip
    assert (second["code"], second["dueAt"]) == (WATCH, None)
    assert client.get("/v1/jobs:find", params={"job": owing}).json()["status"] == status
    other = client.post("/v1/jobs", json=job()).json()["id"]
    assert "obligations" not in client.get(f"/v1/jobs/{other}").json()["status"]


def test_it_is_fulfilled_once(installation: Installation, owing: str) -> None:
    """Person, evidence and token are kept; the same words again are the same answer; others are refused by name."""
    client = installation.client()
    shown = {"ref": "register no. 17", "digest": DIGEST}
    first = fulfil(client, owing, evidence=shown, note="signed on paper")
    assert first.status_code == 200, first.text
    body = first.json()
    assert (body["state"], body["by"], body["evidence"], body["note"]) == (
        "fulfilled", "A. Martin, DPO", shown, "signed on paper",
    )  # fmt: skip
    assert fulfil(client, owing, evidence=shown, note="signed on paper").json() == body
    again = fulfil(client, owing, by="Somebody Else")
    assert (again.status_code, again.json()["code"]) == (409, "obligation.fulfilled")
    assert "A. Martin, DPO" in again.json()["detail"]
    assert states(client, owing) == {CODE: "fulfilled", WATCH: "open"}
    entries = [one.entry for one in installation.store.entries(subject=f"job/{owing}")]
    (entry,) = [one for one in entries if one.kind == "obligation.fulfilled"]
    assert (entry.body["by"], entry.body["evidence"], entry.actor) == ("A. Martin, DPO", shown, body["actor"])


def test_the_condition_goes_with_the_last_one(installation: Installation, owing: str) -> None:
    """A live job says what is open and what is late until nothing is."""
    store, client = installation.store, installation.client()
    (late, _) = owings.of_jobs(store, [ids.JobId(owing)])
    late = dataclasses.replace(late, state=obligations.State.OVERDUE, overdue_at=installation.clock.now())
    row = store.job(ids.JobId(owing))
    assert row is not None
    row = owings.with_conditions(row, [late], installation.clock.now())
    store.commit(stores.Changes(jobs=[row], obligations=[late]))
    said = {one["type"]: one for one in client.get(f"/v1/jobs/{owing}").json()["status"]["conditions"]}
    assert said["ObligationOverdue"]["message"] == CODE
    fulfil(client, owing)
    said = {one["type"]: one for one in client.get(f"/v1/jobs/{owing}").json()["status"]["conditions"]}
    assert (said["ObligationOverdue"]["status"], said["Obliged"]["message"]) == (False, WATCH)
    fulfil(client, owing, code=WATCH)
    said = {one["type"]: one for one in client.get(f"/v1/jobs/{owing}").json()["status"]["conditions"]}
    assert said["Obliged"]["status"] is False


def test_what_is_not_owed_is_said(installation: Installation, owing: str) -> None:
    """An unknown code lists what there is; an unknown job, another tenant's and nonsense are refused."""
    client = installation.client()
    unknown = fulfil(client, owing, code="eu-gdpr.art46:JP")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "obligation.not-found")
    assert unknown.json()["codes"] == [CODE, WATCH]
    assert fulfil(client, "0" * 26).json()["code"] == "job.not-found"
    theirs = installation.client("steward", tenant="other")
    assert fulfil(theirs, owing).json()["code"] == "job.not-found"
    assert theirs.get("/v1/obligations").json()["items"] == []
    for wrong in ({"by": " "}, {"evidence": {"ref": ""}}, {"evidence": {"ref": "x", "digest": "sha256:1"}}, {"x": 1}):
        assert fulfil(client, owing, **wrong).status_code in (400, 422), wrong
    assert states(client, owing)[CODE] == "open"


@pytest.mark.parametrize(
    ("role", "status"), [("facts", 200), ("steward", 200), ("policy", 403), ("submit", 403), ("operate", 403)]
)
def test_who_may_say_that_it_was_done(installation: Installation, owing: str, role: str, status: int) -> None:
    """Who states facts, or the data's steward; not who wrote the rule, nor who wants to compute."""
    assert fulfil(installation.client(role), owing).status_code == status


def test_a_cancel_ends_what_lasts_as_long_as_the_job(installation: Installation, owing: str) -> None:
    """What has a day is still owed; what was withdrawn cannot be fulfilled."""
    client = installation.client()
    assert client.post(f"/v1/jobs/{owing}:cancel").json()["status"]["phase"] == "CANCELLED"
    assert states(client, owing) == {CODE: "open", WATCH: "withdrawn"}
    refused = fulfil(client, owing, code=WATCH)
    assert (refused.status_code, refused.json()["code"]) == (409, "obligation.withdrawn")
    assert fulfil(client, owing).json()["state"] == "fulfilled"
    row = installation.store.job(ids.JobId(owing))
    assert row is not None
    assert row.phase is jobs.Phase.CANCELLED


def test_lists_are_filtered_and_paged(installation: Installation, owing: str) -> None:
    """By state and job, a page at a time; a filter or cursor that is none is refused."""
    client = installation.client()
    more = [str(client.post("/v1/jobs", json=job()).json()["id"]) for _ in range(3)]
    for id in more:
        owe(installation, id, CODE)
    fulfil(client, more[0])

    def listed(**query: Any) -> list[tuple[str, str]]:
        found, cursor = [], None
        for _ in range(9):
            page = client.get("/v1/obligations", params=query | ({"cursor": cursor} if cursor else {})).json()
            found += [(one["job"], one["code"]) for one in page["items"]]
            cursor = page["cursor"]
            if cursor is None:
                return found
        raise AssertionError("too many pages")

    everything = sorted([(owing, CODE), (owing, WATCH), *((id, CODE) for id in more)])
    assert listed() == listed(limit=2) == everything
    assert listed(filter="state=fulfilled") == [(more[0], CODE)]
    assert len(listed(filter="state=open,overdue", limit=1)) == 4
    assert listed(filter=f"job={owing};state=open") == [(owing, CODE), (owing, WATCH)]
    for wrong in ({"filter": "state=late"}, {"filter": "site=x"}, {"cursor": "j1.x"}, {"limit": 0}):
        assert client.get("/v1/obligations", params=wrong).status_code == 400, wrong


def test_metrics_count_by_state(installation: Installation, owing: str) -> None:
    """Every state has its figure, the empty ones too."""
    client = installation.client()
    fulfil(client, owing)
    text = client.get("/metrics").text
    assert 'comity_obligations{state="open"} 1.0' in text
    assert 'comity_obligations{state="fulfilled"} 1.0' in text
    assert 'comity_obligations{state="overdue"} 0.0' in text
