"""What a change of rules would have done to the placements that a real control plane recorded."""

import json
import shutil

from orchestrator.sources import packs
from tests.e2e.conftest import Shell


def test_replay_judges_what_the_journal_records(plane: Shell) -> None:
    """By the same rules all is alike; by a law that forbids France, the placement would be refused, and exit is 1."""
    ran = plane.run("comity run --name replayed -- python -c 'print(1)'")
    assert ran.returncode == 0, ran.stderr
    same = plane.run("comity policy replay -o json")
    assert same.returncode == 0, same.stderr
    found = json.loads(same.stdout)
    assert found["placements"] == found["same"] == 1
    folder = plane.folder / "packs"
    shutil.copytree(packs.BUILT_IN, folder)
    rules = folder / "core" / "rules.yaml"
    rule = (
        "- {id: core.not-here, effect: deny, basis: house, when: [{is: [site.country, FR]}], message: no, source: test}"
    )
    rules.write_text(rules.read_text().replace("rules:\n", f"rules:\n{rule}\n", 1))
    refused = plane.run(f"comity policy replay --packs {folder}")
    assert refused.returncode == 1
    assert "1 would be refused" in refused.stdout
    assert "core.not-here" in refused.stdout
    change = plane.run(f"comity policy diff --packs {folder} --state $COMITY_STATE_DIR --markdown")
    assert change.returncode == 1
    assert "| rule | `core.not-here` | added |" in change.stdout
    assert "1 recorded placements, **1** would be refused" in change.stdout


def test_a_replay_without_a_state_says_what_is_missing(plane: Shell) -> None:
    """The folder is named."""
    ran = plane.run("comity policy replay --state nowhere")
    assert ran.returncode == 2
    assert "nowhere" in ran.stderr
