"""``comity policy packs``: what is in force, since when, on which source."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Run


def test_the_table_names_every_pack_and_its_state(run: Run) -> None:
    """Previews are listed, and off."""
    lines = run("policy", "packs").out.splitlines()
    assert lines[0].split() == ["PACK", "VERSION", "STATE", "RULES", "DOUBTS", "WHAT"]
    assert any(line.startswith("eu-cada ") and "preview, off" in line for line in lines)
    assert any(line.startswith("us-ear ") and " on " in line for line in lines)


def test_one_pack_shows_windows_parameters_sets_and_doubts(run: Run) -> None:
    """Who reads a rule sees since when it holds and what is not known."""
    text = run("policy", "packs", "us-ear", "eu-aiact").out
    assert "from 2026-05-31" in text
    assert "to 2027-12-01" in text
    assert "retention_days_min" in text
    assert "unverified" in text
    assert "D:1 and D:4" in text
    assert "not legal advice" in text


def test_a_program_gets_the_same_as_data(run: Run) -> None:
    """Rules with windows and sources, sets with their day."""
    (pack,) = json.loads(run("policy", "packs", "us-ear", "-o", "json").out)["items"]
    rule = next(one for one in pack["rules"] if one["id"] == "us-ear.hq")
    assert (rule["from"], rule["to"], rule["effect"]) == ("2026-05-31", None, "deny")
    assert next(one for one in pack["sets"] if one["name"] == "ear-d1")["marks"] == ["unverified"]


def test_an_unknown_pack_is_named_with_those_that_exist(run: Run) -> None:
    """A misspelt name lists the names."""
    found = run("policy", "packs", "eu-gpdr")
    assert found.code == 2
    assert "eu-gdpr" in found.err
