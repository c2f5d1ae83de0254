"""``policy fulfil``, and how obligations are listed and told."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

ID = "01J00000000000000000000000"
CODE = "eu-gdpr.art46:US"
SAID = ("--evidence", "register no. 17", "--by", "A. Martin, DPO")
OWED = {
    "job": ID, "code": CODE, "state": "overdue", "message": "keep to it", "basis": "law", "source": "Art. 46",
    "site": "b/p", "attempt": 1, "placedAt": "2026-11-22T10:00:00Z", "dueAt": "2026-12-22T10:00:00Z",
}  # fmt: skip
JOB = {
    "metadata": {"name": "hello", "id": ID},
    "spec": {},
    "status": {"phase": "RUNNING", "conditions": [], "attempts": [], "obligations": [OWED]},
}


def test_evidence_and_person_are_sent(run: Run, server: stubs.Server) -> None:
    """An id is taken as it is: who states facts may not read jobs."""
    done = OWED | {"state": "fulfilled", "by": "A. Martin, DPO", "evidence": {"ref": "register no. 17"}}
    server.routes["POST", f"/v1/jobs/{ID}:fulfil"] = done
    ran = run("policy", "fulfil", ID.lower(), CODE, *SAID, "--digest", "sha256:" + "a" * 64, "--note", "on paper")
    assert (ran.code, ran.out) == (0, f"jobs/{ID} {CODE} fulfilled\n")
    assert "A. Martin, DPO: register no. 17" in ran.err
    assert [one.path for one in server.asked] == [f"/v1/jobs/{ID}:fulfil"]
    assert server.asked[-1].json() == {
        "code": CODE,
        "evidence": {"ref": "register no. 17", "digest": "sha256:" + "a" * 64},
        "by": "A. Martin, DPO",
        "note": "on paper",
    }


@pytest.mark.parametrize("left_out", [0, 2])
def test_nothing_is_sent_without_evidence_and_person(run: Run, server: stubs.Server, left_out: int) -> None:
    """Both are needed: usage, code 2."""
    ran = run("policy", "fulfil", ID, CODE, *SAID[:left_out], *SAID[left_out + 2 :])
    assert ran.code == 2
    assert SAID[left_out] in ran.err
    assert server.asked == []


def test_lists_say_what_is_due(run: Run, server: stubs.Server) -> None:
    """Of all jobs with a filter, or of one job by its name."""
    server.routes["GET", "/v1/obligations"] = {"items": [OWED], "cursor": None}
    server.routes["GET", "/v1/jobs:find"] = JOB
    ran = run("get", "obligations", "--filter", "state=overdue")
    heading, row = ran.out.splitlines()
    assert heading.split() == ["JOB", "CODE", "STATE", "DUE", "SITE", "BY"]
    assert row.split() == [ID, CODE, "overdue", "2026-12-22", "b/p", "-"]
    assert run("get", "obligations", "hello").out == ran.out
    assert server.asked[-1].query.startswith(f"filter=job%3D{ID}")


def test_a_job_is_told_with_what_it_owes(run: Run, server: stubs.Server) -> None:
    """``describe job`` has a table of its own for it."""
    server.routes["GET", "/v1/jobs:find"] = JOB
    lines = run("describe", "job", "hello").out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("CODE"))
    assert lines[at].split() == ["CODE", "STATE", "DUE", "SITE", "BY"]
    assert lines[at + 1].split() == [CODE, "overdue", "2026-12-22", "b/p", "-"]
