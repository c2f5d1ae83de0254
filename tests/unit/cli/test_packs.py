"""``comity policy packs``: what is in force, since when, on which source."""

from __future__ import annotations

import json

import click.testing

from orchestrator.cli import main


def run(*words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main.main, ["policy", "packs", *words])


def test_the_table_names_every_pack_and_its_state() -> None:
    """Previews are listed, and off."""
    lines = run().stdout.splitlines()
    assert lines[0].split() == ["PACK", "VERSION", "STATE", "RULES", "DOUBTS", "WHAT"]
    assert any(line.startswith("eu-cada ") and "preview, off" in line for line in lines)
    assert any(line.startswith("us-ear ") and " on " in line for line in lines)


def test_one_pack_shows_windows_parameters_sets_and_doubts() -> None:
    """Who reads a rule sees since when it holds and what is not known."""
    text = run("us-ear", "eu-aiact").stdout
    assert "from 2026-05-31" in text
    assert "to 2027-12-01" in text
    assert "retention_days_min" in text
    assert "unverified" in text
    assert "D:1 and D:4" in text
    assert "not legal advice" in text


def test_a_program_gets_the_same_as_data() -> None:
    """Rules with windows and sources, sets with their day."""
    (pack,) = json.loads(run("us-ear", "-o", "json").stdout)["items"]
    rule = next(one for one in pack["rules"] if one["id"] == "us-ear.hq")
    assert (rule["from"], rule["to"], rule["effect"]) == ("2026-05-31", None, "deny")
    assert next(one for one in pack["sets"] if one["name"] == "ear-d1")["marks"] == ["unverified"]


def test_an_unknown_pack_is_named_with_those_that_exist() -> None:
    """A misspelt name lists the names."""
    found = run("eu-gpdr")
    assert found.exit_code == 2
    assert "eu-gdpr" in found.output
