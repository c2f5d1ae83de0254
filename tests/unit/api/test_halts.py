"""What stops every placement is told to the jobs that wait, and to who asks why; to nobody else."""

from __future__ import annotations

import datetime as dt
from typing import Any

from installations import Installation, job

from orchestrator.inventory import changes as stored
from orchestrator.ports import stores
from orchestrator.service import contexts

ROW = "document Policy//secret-rule is gone"


def differ(installation: Installation, *rows: str) -> None:
    """Let the tables differ, or agree."""
    tables = installation.context.tables
    assert isinstance(tables, contexts.NoTables)
    tables.sentences, tables.count = rows, len(rows)


def set_back(installation: Installation) -> dt.datetime:
    """Let the clock have been an hour later before."""
    floor = installation.clock.now() + dt.timedelta(hours=1)
    mark = stored.ClockMark(floor, back=True)
    installation.store.commit(stores.Changes(documents=[stored.clock_document(mark, 0)]))
    return floor


def conditions(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return type and reason of each condition that is true."""
    return [(one["type"], one["reason"]) for one in document["status"]["conditions"] if one["status"]]


def test_a_job_that_waits_says_that_tables_differ(installation: Installation) -> None:
    """Read, found, listed and waited for; with what to do, and without the rows of others; not once they agree."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    assert conditions(client.get(f"/v1/jobs/{id}").json()) == []
    differ(installation, ROW, "token t-1 is not in the journal")
    paths = (f"/v1/jobs/{id}", "/v1/jobs:find?job=hello", f"/v1/jobs/{id}:wait?timeoutS=0")
    documents = [client.get(path).json() for path in paths] + client.get("/v1/jobs").json()["items"]
    assert [conditions(one) for one in documents] == [[("TablesDiffer", "controlplane.tables-differ")]] * 4
    for one in documents:
        (said,) = one["status"]["conditions"]
        assert "2 things differ" in said["message"]
        assert "comity log verify" in said["message"]
        assert "secret-rule" not in said["message"]
    differ(installation)
    assert conditions(client.get(f"/v1/jobs/{id}").json()) == []


def test_explain_and_plan_name_what_stops_all(installation: Installation) -> None:
    """As a reason with facts and a remedy, beside the answer that stays the same; a plan of another day is of no use
    for it."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    before = client.post(f"/v1/jobs/{id}:explain").json()
    assert before["halted"] == []
    differ(installation, ROW)
    floor = set_back(installation)
    explained = client.post(f"/v1/jobs/{id}:explain").json()
    assert [one["code"] for one in explained["halted"]] == [
        "controlplane.tables-differ",
        "controlplane.clock-went-back",
    ]
    tables, clock = explained["halted"]
    assert (tables["effect"], tables["remedy"]["kind"], tables["facts"][0]["value"]) == ("deny", "WAIT", "1")
    assert clock["remedy"]["until"] == floor.isoformat().replace("+00:00", "Z")
    assert explained["digest"] == before["digest"]
    planned = client.post("/v1/plans", json=job("another")).json()
    assert planned["halted"] == explained["halted"]
    assert client.post("/v1/plans?at=2027-01-01", json=job("another")).json()["halted"] == []


def test_a_clock_that_went_back_is_told_until_it_is_past(installation: Installation) -> None:
    """The moment that it was is reached again, and the jobs wait for other things."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    set_back(installation)
    assert conditions(client.get(f"/v1/jobs/{id}").json()) == [("ClockWentBack", "controlplane.clock-went-back")]
    installation.clock.pass_(hours=1)
    assert conditions(client.get(f"/v1/jobs/{id}").json()) == []


def test_a_job_that_does_not_wait_is_not_told(installation: Installation) -> None:
    """One that runs, one that ended, one that is cancelled."""
    client = installation.client("submit")
    running, ended, cancelled = [client.post("/v1/jobs", json=job(name)).json()["id"] for name in ("a", "b", "c")]
    installation.run(running)
    installation.run(ended, exit_code=0)
    client.post(f"/v1/jobs/{cancelled}:cancel")
    differ(installation, ROW)
    for id in (running, ended, cancelled):
        assert conditions(client.get(f"/v1/jobs/{id}").json()) == []
        assert client.post(f"/v1/jobs/{id}:explain").json()["halted"] == []
    assert all(not one["status"]["conditions"] for one in client.get("/v1/jobs").json()["items"])
