"""What is remembered of attestation results that were shown."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.inventory import presentations
from orchestrator.ports import stores

UNTIL = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SHOWN = presentations.Presentation("https://verifier.example", "result-1", "gra", "sha256:1", UNTIL)


def test_a_presentation_comes_back() -> None:
    """As it was written, under a name that its verifier and id give; again over the version that is there."""
    first = presentations.document(SHOWN, None)
    assert presentations.of_document(first) == SHOWN
    assert first.name == presentations.name_of(SHOWN.verifier, SHOWN.id)
    stored = dataclasses.replace(first, version=3)
    assert presentations.document(dataclasses.replace(SHOWN, again=True), stored).version == 3


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"v": 2}', '{"v": 1, "verifier": "x"}', '{"v": 1, "until": "soon"}'])
def test_damage_is_told(body: str) -> None:
    """What cannot be read is an error, which makes every result a replay."""
    with pytest.raises(ValueError):  # noqa: PT011 -- of several makes
        presentations.of_document(stores.Document(presentations.KIND, "x", "", body))


def test_only_what_is_over_is_forgotten() -> None:
    """A margin after its end; what cannot be read stays, because it says that something is lost."""
    broken = stores.Document(presentations.KIND, "x", "", "{}")
    old = presentations.document(SHOWN, None)
    margin = dt.timedelta(days=7)
    assert presentations.over([old, broken], UNTIL + margin, margin) == []
    assert presentations.over([old, broken], UNTIL + margin + dt.timedelta(seconds=1), margin) == [old]
