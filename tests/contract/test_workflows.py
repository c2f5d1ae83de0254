"""What runs elsewhere is what was reviewed: every action is named by its commit, and every command by the Makefile."""

import pathlib
import re
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
PINNED = re.compile(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}")


def steps(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return every step of a workflow."""
    found = yaml.safe_load(path.read_text())
    return [step for job in found["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    """What follows holds for something."""
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_named_by_its_commit(path: pathlib.Path) -> None:
    """With the version beside it, for people: a tag can be moved."""
    used = [str(step["uses"]) for step in steps(path) if "uses" in step]
    assert used
    assert [name for name in used if not PINNED.fullmatch(name)] == []
    text = path.read_text()
    assert [name for name in used if not re.search(rf"{re.escape(name)}  # v[0-9]", text)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_target_of_a_workflow_is_in_the_makefile(path: pathlib.Path) -> None:
    """And the workflow may read the repository, and nothing else."""
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wanted = [word for step in steps(path) for word in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))]
    assert wanted
    assert set(wanted) <= set(made)
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
