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


def equal(_day: dt.date, left: object, right: object) -> bool:
    """A parameter of the pack has this value."""
    return left == right


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


def weaker(_day: dt.date, level: int | None, least: int) -> bool:
    """The assurance is below the least that is demanded, or nobody stated it."""
    return level is None or level < least


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


def holds_one(day: dt.date, papers: Iterable[attributes.Paper], kinds: Collection[str]) -> bool:
    """A paper of one of these kinds is present, in scope and valid on the day; the kinds stand in the rule."""
    return any(paper.kind in kinds and paper.valid(day) for paper in papers)


def within(day: dt.date, start: dt.date | None, end: dt.date | None) -> bool:
    """The day lies in the window, whose days are both included; a missing end is open."""
    return (start is None or start <= day) and (end is None or day <= end)


def above_lowest(_day: dt.date, classes: Collection[str], count: int, table: dated.LiveSet) -> bool:
    """The count lies above the lowest limit among the classes that have one in the table."""
    return any(
        member.amount is not None and count > member.amount for name, member in table.members.items() if name in classes
    )


def level_known(_day: dt.date, levels: Iterable[tuple[str, int]], objective: str) -> bool:
    """The level of this objective is stated."""
    return any(name == objective for name, _ in levels)


def level_below(_day: dt.date, levels: Iterable[tuple[str, int]], objective: str, least: int | None) -> bool:
    """The level of this objective is stated and below the least; without a least it never is."""
    return least is not None and any(name == objective and level < least for name, level in levels)


def score_below(_day: dt.date, levels: Iterable[tuple[str, int]], least: float, weights: dated.LiveSet) -> bool:
    """Every weighted level is known, and sum(weight x level / 4) is below the least; weights add up to 100."""
    known = dict(levels)
    if any(name not in known for name in weights.members):
        return False
    total = sum((member.amount or 0) * known[name] for name, member in weights.members.items())
    return total < 4 * least


def fresh(at: dt.datetime, attested: attributes.Attested | None, hours: float) -> bool:
    """The attestation was verified, has not ended, and is at most so many hours old; unknown age is too old."""
    if attested is None or not attested.verified or (attested.until is not None and at > attested.until):
        return False
    if attested.at is not None:
        return dt.timedelta(0) <= at - attested.at <= dt.timedelta(hours=hours)
    return attested.age_hours is not None and 0 <= attested.age_hours <= hours


def outside(_day: dt.date, place: str, territory: str | None, union: dated.LiveSet) -> bool:
    """The place lies outside the territory; that of a member of the union is the union, an unknown one is empty."""
    if territory is None:
        return True
    return place not in union if territory in union else place != territory


def licensed(day: dt.date, place: str, licences: Iterable[attributes.Licence], user: str | None) -> bool:
    """A licence valid on the day names the place among its destinations, and the user unless it names nobody."""
    return any(
        licence.valid(day) and place in licence.destinations and (not licence.end_users or user in licence.end_users)
        for licence in licences
    )


def adequate(_day: dt.date, place: str | None, frameworks: Collection[str], table: dated.LiveSet) -> bool:
    """The place is a live member of the set, and the recipient takes part in the framework it depends on, if any."""
    if place is None:
        return False
    member = table.members.get(place)
    return member is not None and (member.condition is None or member.condition in frameworks)


def seated(_day: dt.date, places: Iterable[str], regime: str, table: dated.LiveSet) -> bool:
    """At least one of the places is a live member of the set, as one of this regime (its condition)."""
    return any((member := table.members.get(place)) is not None and member.condition == regime for place in places)


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
    timed: bool = False
    """It is given the moment of the policy clock instead of the day; nothing it says is remembered."""


def _table(rows: dict[str, tuple[Callable[..., Any], tuple[str, ...]]]) -> dict[str, Predicate]:
    return {name: Predicate(name, test, kinds, test is fresh) for name, (test, kinds) in rows.items()}


PREDICATES = _table(
    {
        "in": (in_, (VALUE, SET)),
        "any_in": (any_in, (VALUE, SET)),
        "is": (is_, (VALUE, LITERAL)),
        "equal": (equal, (LITERAL, LITERAL)),
        "same": (same, (VALUE, VALUE)),
        "missing": (missing, (VALUE,)),
        "known": (known, (VALUE,)),
        "past": (past, (VALUE,)),
        "before": (before, (VALUE, LITERAL)),
        "at_least": (at_least, (VALUE, LITERAL)),
        "weaker": (weaker, (VALUE, VALUE)),
        "empty": (empty, (VALUE,)),
        "has": (has, (VALUE, VALUE)),
        "holds": (holds, (VALUE, LITERAL)),
        "holds_named": (holds, (VALUE, VALUE)),
        "holds_any": (holds_any, (VALUE, VALUE)),
        "holds_one": (holds_one, (VALUE, SET)),
        "within": (within, (VALUE, VALUE)),
        "above_lowest": (above_lowest, (VALUE, VALUE, SET)),
        "level_known": (level_known, (VALUE, VALUE)),
        "level_below": (level_below, (VALUE, VALUE, VALUE)),
        "score_below": (score_below, (VALUE, VALUE, SET)),
        "fresh": (fresh, (VALUE, LITERAL)),
        "outside": (outside, (VALUE, VALUE, SET)),
        "licensed": (licensed, (VALUE, VALUE, VALUE)),
        "adequate": (adequate, (VALUE, VALUE, SET)),
        "seated": (seated, (VALUE, VALUE, SET)),
        "reached": (reached, (VALUE, VALUE, LITERAL, SET)),
        "admits": (admits, (VALUE, VALUE, SET, SET)),
        "among": (among, (VALUE, VALUE)),
    }
)
"""Every predicate by the name that rule files use."""
