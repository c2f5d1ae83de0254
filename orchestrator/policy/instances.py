"""What both readers of the table share: which instances a rule has for a job, and how an expression is combined.

An instance binds the scopes of ``for_each`` (one data set, one denied country ...). The guard, which reads the job
only, is settled here once, in order: the first condition that does not hold ends it; one that raises makes the whole
instance unjudgeable, which both readers turn into a refusal. The body is evaluated whole, never short-circuited, so
that what raises does not depend on who reads.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.policy import attributes, dated, operands, rules


@dataclass(frozen=True, slots=True)
class Instance:
    """One binding of a rule that its guard lets through. ``problem``: the guard raised."""

    binding: operands.Binding
    problem: str | None = None


def value_of(arg: rules.Arg, binding: Mapping[str, Any], day: dated.DayFacts) -> Any:
    """Return what an argument stands for."""
    match arg:
        case rules.Const(value):
            return value
        case rules.SetRef(name):
            return day.sets[name]
        case operands.Operand():
            return arg.read(binding[arg.scope])


def test(leaf: rules.Leaf, binding: Mapping[str, Any], day: dated.DayFacts, at: dt.datetime) -> bool:
    """Evaluate one predicate on bound values at the policy clock ``at``, a moment of ``day``."""
    clock = at if leaf.predicate.timed else day.day
    return leaf.predicate.test(clock, *(value_of(arg, binding, day) for arg in leaf.args))


def bindings(rule: rules.Rule, job: attributes.JobAttributes, day: dated.DayFacts) -> Iterator[operands.Binding | None]:
    """Yield what the instances of a rule bind, whatever their guard says; None: what to run over raised."""
    try:
        spaces = [tuple(operands.DOMAINS[scope](job, day)) for scope in rule.for_each]
    except Exception:  # noqa: BLE001 - whatever a rule meets must become a refusal
        yield None
        return
    for values in itertools.product(*spaces):
        yield {operands.JOB: job, **dict(zip(rule.for_each, values, strict=True))}


def guarded(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts, at: dt.datetime) -> Instance | None:
    """Return the instance of a binding; None where its guard does not hold."""
    try:
        if not all(_holds(expr, binding, day, at) for expr in rule.guard):
            return None
    except Exception as error:  # noqa: BLE001 - whatever a rule meets must become a refusal
        return Instance(binding, describe(error))
    return Instance(binding)


def instances(
    rule: rules.Rule, job: attributes.JobAttributes, day: dated.DayFacts, at: dt.datetime
) -> Iterator[Instance]:
    """Yield the instances of a rule for a job, in a fixed order."""
    for binding in bindings(rule, job, day):
        if binding is None:
            yield Instance({operands.JOB: job}, f"what {rule.id} runs over could not be read")
        elif (instance := guarded(rule, binding, day, at)) is not None:
            yield instance


def _holds(expr: rules.Expr, binding: Mapping[str, Any], day: dated.DayFacts, at: dt.datetime) -> bool:
    # Job-only conditions are cheap; evaluating every leaf keeps errors independent of the order inside one condition.
    return bool(combine(expr, lambda leaf: test(leaf, binding, day, at), _PLAIN))


class Algebra(Protocol):
    """How truth values combine: plain booleans for one site, arrays for many."""

    def both(self, left: Any, right: Any) -> Any:
        """Return the conjunction."""

    def either(self, left: Any, right: Any) -> Any:
        """Return the disjunction."""

    def negate(self, value: Any) -> Any:
        """Return the negation."""


class _Plain:
    def both(self, left: bool, right: bool) -> bool:
        return left and right

    def either(self, left: bool, right: bool) -> bool:
        return left or right

    def negate(self, value: bool) -> bool:
        return not value


_PLAIN: Algebra = _Plain()


def combine(expr: rules.Expr, read: Callable[[rules.Leaf], Any], algebra: Algebra) -> Any:
    """Evaluate an expression bottom-up, reading every leaf."""
    match expr:
        case rules.Leaf():
            return read(expr)
        case rules.Not(item):
            return algebra.negate(combine(item, read, algebra))
        case rules.All(items):
            result: Any = True
            for item in items:
                result = algebra.both(combine(item, read, algebra), result)
            return result
        case rules.Some(items):
            result = False
            for item in items:
                result = algebra.either(combine(item, read, algebra), result)
            return result


def plain(expr: rules.Expr, read: Callable[[rules.Leaf], bool]) -> bool:
    """Evaluate an expression for one site."""
    return bool(combine(expr, read, _PLAIN))


def describe(error: Exception) -> str:
    """Return an error as a refusal says it; bounded."""
    return f"{type(error).__name__}: {error}"[:200]


def utc_day(at: dt.datetime) -> dt.date:
    """Return the UTC date of the policy clock. Raises ``ValueError`` for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("the policy clock needs a time zone")
    return at.astimezone(dt.UTC).date()
