"""Golden decisions: cases written by hand, judged by the packs that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.policy import cases
from orchestrator.sources import packs, yamls

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_case_of_the_file_agrees(path: Path) -> None:
    """Each case gets exactly the decision and the rules that it states."""
    found = cases.run(cases.read(yamls.read(path).data), packs.load())
    assert not found, "\n".join(str(item) for item in found)


def test_the_golden_cases_are_many_and_their_ids_unique() -> None:
    """The files together hold more than a hundred cases, and no id appears twice."""
    found = [case.id for path in FILES for case in cases.read(yamls.read(path).data)]
    assert len(found) == len(set(found)) > 100


def test_every_rule_that_ships_fires_in_some_golden_case() -> None:
    """No denying or obliging rule is without a case in which it fires. Cases have no word for assurance, and claims
    need a trust list: their rules fire in ``tests/unit/policy/test_claims.py``."""
    codes = {rule for path in FILES for case in cases.read(yamls.read(path).data) for rule in case.expected.rules}
    stems = {rule.code.partition("{")[0] for rule in packs.load().rules}
    unfired = {stem for stem in stems if not any(code.startswith(stem) for code in codes)}
    unfired = {stem for stem in unfired if not stem.startswith("claim.")}
    assert unfired == {f"core.assurance:{path}.facts" for path in ("backend", "operator", "controlPlane")}
