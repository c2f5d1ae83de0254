"""The literal evaluator and the golden cases: two readings of the policy table by hand must be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.sources import yamls
from tests.oracle.literal import evaluator, readings

FOLDER = Path(__file__).parents[2] / "golden" / "policy"
FILES = sorted(FOLDER.glob("*.yaml"))
OUTSIDE_THE_TABLE = ("core.unsupported:", "core.assurance:")
_BY_REGIME = frozenset({"listed_by", "bound_by", "barred"})
"""Whose lists name an operator, and whom they bind: said in prose below the table, without a line of its own."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_golden_case_has_the_literal_answer(path: Path) -> None:
    """Each golden case states what the literal evaluator says; refusals that are no rules of the table stay out."""
    rows = yamls.read(path).data["cases"]
    judged = [row for row in rows if not any(rule.startswith(OUTSIDE_THE_TABLE) for rule in row["rules"])]
    judged = [row for row in judged if not _BY_REGIME & _said_of_parties(row)]
    assert judged or path.stem == "sanctions"
    wrong = []
    for row in judged:
        got = evaluator.judge(row["job"], row["backend"], row["at"])
        if got != (row["decision"], tuple(sorted(row["rules"]))):
            wrong.append(f"{row['id']} {row['title']}: {got}")
    assert not wrong, "\n".join(wrong)


def _said_of_parties(row: dict[str, Any]) -> set[str]:
    return {*row["backend"].get("operator", {}), *row["job"].get("tenant", {})}


def test_the_table_of_cases_is_long() -> None:
    """The table holds the reference decisions and more than a hundred and fifty at borders and waivers."""
    assert len(yamls.read(FOLDER / "table.yaml").data["cases"]) > 37 + 150


def test_each_reading_is_said_once() -> None:
    """Readings name a rule and a sentence, and none stands twice."""
    assert len(set(readings.READINGS)) == len(readings.READINGS) > 20
    assert all(rule and sentence.endswith(".") for rule, sentence in readings.READINGS)
