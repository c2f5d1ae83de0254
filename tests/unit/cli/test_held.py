"""``policy changes`` and ``policy confirm``: what they send, and what they say."""

from __future__ import annotations

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
