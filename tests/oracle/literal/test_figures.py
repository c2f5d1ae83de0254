"""Each figure of the literal tables is one that random cases turn on: a wrong one would be seen.

A figure is a member of a set, a threshold, a day or a condition. Each is made wrong, alone, and the literal evaluator
so spoiled must differ from the right one on some case; so a wrong figure in the product differs there too.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.oracle.literal import evaluator, generate, tables

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
NUMBER = 150_000
GROUPS = ("_A5", "A6", "D1", "_D4", "_D4_POSSIBLY")
WITHOUT_EFFECT = {"AE_MOVED"}
"""The Emirates are a destination before and after; the day is seen by that of Supplement 8, which has its own entry."""


def _spoiled() -> Iterator[tuple[str, Any]]:
    """Yield the name of a table and a value with one figure wrong."""
    for name, value in [*vars(tables).items()]:
        if isinstance(value, frozenset) and name not in ("FIVE_EYES", "_D4_POSSIBLY"):
            yield from ((name, value - {code}) for code in sorted(value))
        elif isinstance(value, dict) and not name.startswith("__") and name != "NAMED_SETS":
            for key, entry in value.items():
                yield name, {other: item for other, item in value.items() if other != key}
                yield from ((name, {**value, key: wrong}) for wrong in _wrong(entry))
        elif isinstance(value, (dt.date, int)) and name not in WITHOUT_EFFECT:
            yield from ((name, wrong) for wrong in _wrong(value))


def _wrong(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [(*value[:at], wrong, *value[at + 1 :]) for at, item in enumerate(value) for wrong in _wrong(item)]
    if isinstance(value, dt.date):
        ends = (tables.ALWAYS, tables.NEVER_ENDS)
        return [] if value in ends else [value - dt.timedelta(days=1), value + dt.timedelta(days=1)]
    if isinstance(value, int):
        return [value - 1, value + 1] if value < 10**20 else [value * 999 // 1000, value * 1001 // 1000]
    return [None] if isinstance(value, str) else []


def _destinations() -> list[frozenset[str]]:
    days = (dt.date(2025, 1, 1), tables.CAMBODIA_LEFT, tables.AE_MOVED)
    return [tables.licence_destinations(day) for day in days]


@pytest.mark.skipif(not FULL, reason="a minute: at full size only")
def test_every_figure_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure can be made wrong without a random case that shows it; members that stand in two groups may."""
    items = list(generate.cases(77, NUMBER))
    right = [evaluator.judge(*case) for case in items]
    unseen, spoiled = [], 0
    for name, value in _spoiled():
        before, was = _destinations(), getattr(tables, name)
        monkeypatch.setattr(tables, name, value)
        same = name in GROUPS and _destinations() == before
        if not same:
            spoiled += 1
            if all(evaluator.judge(*case) == answer for case, answer in zip(items, right, strict=True)):
                unseen.append(f"{name}: {was!r} as {value!r}")
        monkeypatch.setattr(tables, name, was)
    assert spoiled > 250
    assert not unseen, "\n".join(unseen)
