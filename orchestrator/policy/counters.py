"""What a pack counts towards thresholds that add up: conditions like those of a rule, a measure and a window."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.policy import rules, shapes

PERSONS = "persons"
OPERATIONS = "operations"


@dataclass(frozen=True, slots=True, eq=False)
class Counter:
    """What a pack counts. ``country``: of the subjects whose persons add up; None for operations.

    ``months``: how long a tally counts; ``year``: only in the calendar year of its day. Neither: for ever.
    """

    rule: rules.Rule
    measure: str
    country: str | None = None
    months: int | None = None
    year: bool = False

    def counts_on(self, counted: dt.date, day: dt.date) -> bool:
        """Say whether a tally of one day still counts on another. One from a later day counts: clocks go back."""
        if self.year:
            return counted.year >= day.year
        return self.months is None or counted > _months_before(day, self.months)


def _months_before(day: dt.date, months: int) -> dt.date:
    """Return the same day so many months earlier; the last of a month stands for days it does not have."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


_OWN = {"measure", "country", "months", "year"}


def read(reader: rules.RuleReader, raw: Any, path: shapes.Path) -> tuple[Counter, ...]:
    """Read the ``counts`` of a pack; problems are collected by the reader."""
    found = []
    for index, item in enumerate(shapes.items([] if raw is None else raw, path)):
        here = (*path, index)
        try:
            row = shapes.mapping(item, here, {"id", "for_each", "when", "unless", "from", "to", "source", *_OWN})
            found.append(_counter(reader, row, here))
        except shapes.BadShapeError as bad:
            reader.problems.append((bad.path, bad.text))
    return tuple(found)


def _counter(reader: rules.RuleReader, row: Mapping[str, Any], path: shapes.Path) -> Counter:
    plain = {key: value for key, value in row.items() if key not in _OWN}
    rule = reader.rule({**plain, "effect": "caveat", "basis": "law", "message": "counted"}, path)
    measure, months = row.get("measure"), row.get("months")
    if measure not in (PERSONS, OPERATIONS):
        raise shapes.BadShapeError((*path, "measure"), f"expected {PERSONS} or {OPERATIONS}")
    if months is not None and (isinstance(months, bool) or not isinstance(months, int) or months < 1):
        raise shapes.BadShapeError((*path, "months"), "expected a number of months")
    if measure == PERSONS and ("data" not in rule.for_each or not isinstance(row.get("country"), str)):
        raise shapes.BadShapeError(path, "persons are counted `for_each: [data]`, of one `country`")
    return Counter(rule, measure, row.get("country"), months, row.get("year") is True)
