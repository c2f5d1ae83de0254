"""Every lie of the threat model is told to a real server and ends as the table says, and as the page says."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Sequence

import pytest

from tests.attack import lies, stage, table

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "threat-model.md"
NOBODY = lies.Lie(lies.Attacker.USER, "a lie", lambda found: found, by="something")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[lies.Told]]:
    """Tell all lies once, to one server and the few that need another."""
    found = stage.Stage.fresh(tmp_path_factory.mktemp("attack"))
    try:
        yield list(table.tell(found, table.everything()))
    finally:
        found.close()


def test_every_lie_ends_as_the_table_says(told: Sequence[lies.Told]) -> None:
    """What should be caught is; what is not caught is said to be so."""
    wrong = [f"{one.lie.text}: {one.verdict} ({one.seen.text})" for one in told if not one.as_meant]
    assert not wrong, "\n".join(wrong)


def test_every_attacker_lies_and_some_lies_are_not_caught(told: Sequence[lies.Told]) -> None:
    """The table covers each attacker, no sentence stands twice for one, and it owns up to what nothing catches."""
    assert {one.lie.attacker for one in told} == set(lies.Attacker)
    assert len({(one.lie.attacker, one.lie.text) for one in told}) == len(told) > 80
    assert 0 < sum(not one.seen.caught for one in told) < len(told) / 2


def test_the_threat_model_says_what_was_seen(told: Sequence[lies.Told]) -> None:
    """`python -m tests.attack --write docs/threat-model.md` writes the table of the page again."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == table.placed(page, table.markdown(told))


def test_a_lie_that_changes_sides_fails_the_command() -> None:
    """One that escapes, one that is caught by now, and one that could not be told are all not as meant."""
    escaped = lies.Told(NOBODY, lies.Seen(False, "placed"))
    late = lies.Told(lies.Lie(lies.Attacker.USER, "another", NOBODY.tell, why="w", would="x"), lies.Seen(True, "no"))
    broken = lies.Told(NOBODY, lies.Seen(True, ""), "KeyError: x")
    fine = lies.Told(NOBODY, lies.Seen(True, "refused"))
    assert [one.as_meant for one in (escaped, late, broken, fine)] == [False, False, False, True]
    shown = table.text([escaped, late, broken, fine])
    for words in ("ESCAPED", "and the table says that it is not", "COULD NOT BE TOLD", "3 NOT AS THE TABLE SAYS"):
        assert words in " ".join(shown.split()), shown
    assert json.loads(table.as_json([escaped, fine]))["ok"] is False
