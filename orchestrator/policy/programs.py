"""A rule book prepared for the column reader: rules that read the same of a job, put together.

A class of jobs that nobody has seen mostly differs from others in one thing, such as its price limit, which no rule
reads. So the outcome of a group of rules is remembered by what those rules read of the job, not by the job: a new
class costs a look-up a group, and only what is new to some group is judged. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import reasons
from orchestrator.policy import operands, rules

REFUSED = 0
"""Bit 0 of every site: refused by the evaluator itself (``core.unsupported``), not by a rule."""
FIRST_RULE = 1
"""Bit of the first rule of the book's table."""

Read = Callable[[Any], Hashable]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rules with their bits, and which of the program's inputs they read."""

    inputs: tuple[int, ...]
    timed: bool
    rules: tuple[tuple[int, rules.Rule], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The table of rules in groups. ``reads`` are all inputs; ``denies`` and ``obliges`` are masks, word by word."""

    reads: tuple[Read, ...]
    groups: tuple[Group, ...]
    denies: tuple[int, ...]
    obliges: tuple[int, ...]
    timed: tuple[rules.Rule, ...]
    """The rules that read the time of the policy clock, not only its day."""


def prepare(table: Iterable[rules.Rule]) -> Program:
    """Group the rules of a book's table; bits follow its order."""
    table = tuple(table)
    numbers: dict[str, int] = {}
    groups: dict[tuple[tuple[int, ...], bool], list[tuple[int, rules.Rule]]] = {}
    words = max(1, -(-(FIRST_RULE + len(table)) // 64))
    denies, obliges = [0] * words, [0] * words
    denies[0] = 1 << REFUSED
    for bit, rule in enumerate(table, FIRST_RULE):
        read = tuple(sorted(numbers.setdefault(name, len(numbers)) for name in inputs(rule)))
        groups.setdefault((read, bool(rule.hours)), []).append((bit, rule))
        masks = denies if rule.effect is reasons.Effect.DENY else obliges
        masks[bit // 64] |= 1 << bit % 64
    return Program(
        reads=tuple(_READS[name] for name in numbers),
        groups=tuple(Group(read, timed, tuple(found)) for (read, timed), found in groups.items()),
        denies=tuple(denies),
        obliges=tuple(obliges),
        timed=tuple(rule for rule in table if rule.hours),
    )


def inputs(rule: rules.Rule) -> tuple[str, ...]:
    """Return what a rule reads of a job, sorted: attributes of the job itself, and what its instances run over."""
    found = {*rule.for_each, *(operand.name for operand in rule.job_operands)}
    if rule.per_location:
        found.add("job.places")
    return tuple(sorted(found))


_READS: dict[str, Read] = {
    **operands.DOMAIN_READS,
    **{name: operand.read for name, operand in operands.OPERANDS.items() if operand.scope == operands.JOB},
}
