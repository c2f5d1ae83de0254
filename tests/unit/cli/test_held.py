"""``policy changes`` and ``policy confirm``: what they send, and what they say."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

HELD = {
    "id": "ch-1", "state": "held", "at": "2026-11-22T12:00:00Z", "codes": ["cedar.own.no"], "documents": [],
    "stops": 8, "tenants": [],
}  # fmt: skip
SAID = ("--by", "A. Martin", "--reason", "the licence did end")


def test_held_changes_are_listed(run: Run, server: stubs.Server) -> None:
    """A line a change, with codes and how many it would stop; names alone; and that there is none."""
    server.routes["GET", "/v1/changes"] = {"items": [HELD], "cursor": None}
    heading, row = run("policy", "changes").out.splitlines()
    assert heading.split() == ["CHANGE", "STATE", "SINCE", "STOPS", "CODES", "DOCUMENTS"]
    assert row.split() == ["ch-1", "held", "2026-11-22T12:00:00Z", "8", "cedar.own.no", "-"]
    assert run("policy", "changes", "-o", "name").out == "ch-1\n"
    server.routes["GET", "/v1/changes"] = {"items": [], "cursor": None}
    ran = run("policy", "changes")
    assert (ran.out, "no change is held" in ran.err) == ("", True)


def test_who_confirms_and_why_are_sent(run: Run, server: stubs.Server) -> None:
    """Person and reason go into the body; without one of them nothing is sent."""
    server.routes["POST", "/v1/changes/ch-1:confirm"] = HELD | {"state": "confirmed"}
    ran = run("policy", "confirm", "ch-1", *SAID)
    assert (ran.code, ran.out) == (0, "changes/ch-1 confirmed\n")
    assert server.asked[-1].json() == {"by": "A. Martin", "reason": "the licence did end"}
    sent = len(server.asked)
    assert run("policy", "confirm", "ch-1", *SAID[:2]).code == 2
    assert len(server.asked) == sent


def test_a_dry_run_says_whom_it_would_hit(run: Run, server: stubs.Server, tmp_path: Path) -> None:
    """Tenants, numbers and ids, on stderr; other tenants without a name; all of it in JSON."""
    hit = {"tenant": "default", "stops": 22, "running": 30, "jobs": ["01A", "01B"]}
    other = {"tenant": None, "stops": 1, "running": 1, "jobs": []}
    impact = {
        "stops": [hit, other], "graces": [], "unplaceable": [other], "codes": ["countries.FR"], "held": True,
        "complete": False,
    }  # fmt: skip
    answer = {"change": "updated", "document": {}, "hits": [], "impact": impact}
    server.routes["PUT", "/v1/tenants/default"] = answer
    file = tmp_path / "tenant.yaml"
    file.write_text("apiVersion: comity.dev/v1\nkind: Tenant\nmetadata: {name: default}\nspec: {hq: FR}\n")
    ran = run("apply", "-f", str(file), "--dry-run")
    assert [line.strip() for line in ran.err.splitlines()] == [
        "would stop 22 of 30 running jobs of tenant default: 01A, 01B and 20 more",
        "would stop 1 of 1 running jobs of another tenant",
        "would leave without any place 1 of 1 queued jobs of another tenant",
        "by countries.FR",
        "would be held: running jobs go on until somebody confirms it (comity policy confirm)",
        "there are more live jobs than were looked at",
    ]
    assert '"unplaceable"' in run("apply", "-f", str(file), "--dry-run", "-o", "json").out
