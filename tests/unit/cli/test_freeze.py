"""``freeze`` and ``unfreeze``: what they send, and what they say."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

STOP = {
    "country": "FR",
    "reason": "an incident",
    "by": "t1",
    "at": "2026-11-23T12:00:00+00:00",
    "sites": ["a/p", "b/p"],
}


def test_a_stop_is_sent_with_its_extent_and_reason(run: Run, server: stubs.Server) -> None:
    """And answered by how many sites it closes; without a reason nothing is sent."""
    server.routes["POST", "/v1/freezes"] = STOP
    ran = run("freeze", "--country", "FR", "--reason", "an incident")
    assert (ran.code, ran.out) == (0, "freezes/country=FR in force\n")
    assert "nothing new is placed at 2 sites" in ran.err
    assert server.asked[-1].json() == {"country": "FR", "reason": "an incident"}
    server.routes["POST", "/v1/freezes"] = {key: value for key, value in STOP.items() if key != "country"}
    assert run("freeze", "--reason", "an incident").out == "freezes/all in force\n"
    sent = len(server.asked)
    assert run("freeze", "--country", "FR").code == 2
    assert run("freeze", "--list", "--country", "FR").code == 2
    assert len(server.asked) == sent


def test_stops_are_listed(run: Run, server: stubs.Server) -> None:
    """A line a stop; or that there is none."""
    server.routes["GET", "/v1/freezes"] = {"items": [STOP], "cursor": None}
    heading, row = run("freeze", "--list").out.splitlines()
    assert heading.split() == ["STOPPED", "SINCE", "BY", "SITES", "REASON"]
    assert row.split() == ["country=FR", STOP["at"], "t1", "2", "an", "incident"]
    assert json.loads(run("freeze", "--list", "-o", "json").out) == {"items": [STOP]}
    server.routes["GET", "/v1/freezes"] = {"items": [], "cursor": None}
    ran = run("freeze", "--list")
    assert (ran.out, "nothing is stopped" in ran.err) == ("", True)


def test_a_stop_is_ended_by_its_own_words(run: Run, server: stubs.Server) -> None:
    """And what is still in force is said."""
    server.routes["POST", "/v1/freezes:end"] = {"country": "FR", "left": [STOP | {"country": "DE"}]}
    ran = run("unfreeze", "--country", "FR")
    assert (ran.code, ran.out) == (0, "freezes/country=FR ended\n")
    assert "still in force: country=DE" in ran.err
    assert server.asked[-1].json() == {"country": "FR"}
