"""The closed list of predicates that rules may use: pure functions of plain values and one day.

A predicate never sees a whole job or site, only the values of its operands, so that the row reader and the column
reader call the very same function. A value that nobody stated is ``None``: no predicate says yes because of it,
except :func:`missing` and those whose docstring says so. Adding one is a change of the evaluator's version.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.policy import attributes, dated

VALUE = "value"
"""An operand: a name of the closed list in ``operands``."""
SET = "set"
"""The name of a dated set of the fact base, or a literal list."""
LITERAL = "literal"
"""A number, text, boolean, ``YYYY-MM-DD``, or ``$parameter`` of the pack."""


def in_(_day: dt.date, value: str | None, members: Collection[str]) -> bool:
    """The value is stated and is a member of the set."""
    return value is not None and value in members


def any_in(_day: dt.date, values: Iterable[str], members: Collection[str]) -> bool:
    """At least one of the values is a member of the set."""
    return any(value in members for value in values)


def is_(_day: dt.date, value: object, literal: object) -> bool:
    """The value equals the literal; a missing value equals nothing."""
    return value is not None and value == literal


def same(_day: dt.date, left: object, right: object) -> bool:
    """Both values are stated and equal."""
    return left is not None and left == right


def missing(_day: dt.date, value: object) -> bool:
    """Nobody stated the value."""
    return value is None


def known(_day: dt.date, value: object) -> bool:
    """The value is stated, and is not the word for an unknown place."""
    return value is not None and value != attributes.UNKNOWN


def past(day: dt.date, end: dt.date | None) -> bool:
    """The last day of validity is over; no end stated is not past."""
    return end is not None and end < day


def before(_day: dt.date, value: dt.date | None, limit: dt.date) -> bool:
    """The date is stated and lies before the limit."""
    return value is not None and value < limit


def at_least(_day: dt.date, value: float | None, limit: float) -> bool:
    """The number is stated and reaches the limit."""
    return value is not None and value >= limit


def empty(_day: dt.date, values: Collection[object]) -> bool:
    """Nothing was stated in the list."""
    return not values


def has(_day: dt.date, values: Collection[object], value: object) -> bool:
    """The value is among the values."""
    return value is not None and value in values


def holds(day: dt.date, papers: Iterable[attributes.Paper], kind: str) -> bool:
    """A paper of this kind (certificate, safeguard, licence) is present, in scope and valid on the day."""
    return any(paper.kind == kind and paper.valid(day) for paper in papers)


def holds_any(day: dt.date, papers: Iterable[attributes.Paper], kinds: Collection[str]) -> bool:
    """A paper of one of these kinds is present, in scope and valid on the day."""
    return any(paper.kind in kinds and paper.valid(day) for paper in papers)


def adequate(_day: dt.date, place: str | None, frameworks: Collection[str], table: dated.LiveSet) -> bool:
    """The place is a live member of the set, and the recipient takes part in the framework it depends on, if any."""
    if place is None:
        return False
    member = table.members.get(place)
    return member is not None and (member.condition is None or member.condition in frameworks)


def reached(
    _day: dt.date,
    country: str,
    reach: Iterable[attributes.Reach],
    percent_min: float,
    codes: Collection[str],
) -> bool:
    """The country reaches the operator with enough weight; a reach of unknown country may be any country."""
    return any(
        item.percent >= percent_min and (item.code == country or item.code is None or item.code not in codes)
        for item in reach
    )


def admits(
    _day: dt.date, terms: Iterable[str] | None, value: str | None, union: dated.LiveSet, area: dated.LiveSet
) -> bool:
    """The host names the value, or the sets ``EU`` or ``EEA`` that hold it; a host that says nothing admits all."""
    if terms is None:
        return True
    if value is None:
        return False
    return any(
        term == value or (term == "EU" and value in union) or (term == "EEA" and value in area) for term in terms
    )


def among(_day: dt.date, value: str | None, terms: Collection[str] | None) -> bool:
    """The value is one of the host's terms; a host that says nothing has them all."""
    return terms is None or (value is not None and value in terms)


@dataclass(frozen=True, slots=True, eq=False)
class Predicate:
    """A predicate as rules name it: the function and the kind of each argument after the day."""

    name: str
    test: Callable[..., bool]
    kinds: tuple[str, ...]


def _table(rows: dict[str, tuple[Callable[..., Any], tuple[str, ...]]]) -> dict[str, Predicate]:
    return {name: Predicate(name, test, kinds) for name, (test, kinds) in rows.items()}


PREDICATES = _table(
    {
        "in": (in_, (VALUE, SET)),
        "any_in": (any_in, (VALUE, SET)),
        "is": (is_, (VALUE, LITERAL)),
        "same": (same, (VALUE, VALUE)),
        "missing": (missing, (VALUE,)),
        "known": (known, (VALUE,)),
        "past": (past, (VALUE,)),
        "before": (before, (VALUE, LITERAL)),
        "at_least": (at_least, (VALUE, LITERAL)),
        "empty": (empty, (VALUE,)),
        "has": (has, (VALUE, VALUE)),
        "holds": (holds, (VALUE, LITERAL)),
        "holds_named": (holds, (VALUE, VALUE)),
        "holds_any": (holds_any, (VALUE, VALUE)),
        "adequate": (adequate, (VALUE, VALUE, SET)),
        "reached": (reached, (VALUE, VALUE, LITERAL, SET)),
        "admits": (admits, (VALUE, VALUE, SET, SET)),
        "among": (among, (VALUE, VALUE)),
    }
)
"""Every predicate by the name that rule files use."""
