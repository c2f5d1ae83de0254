"""Bugs planted in the packs that ship, one at a time: golden cases, members of sets, or random cases catch each.

Sixty by a fixed draw over all packs as a rule; every one at full size. What nothing catches stands in ``EXCUSED`` with
the reason why no decision could show it, or with what does show it.
"""

from __future__ import annotations

import functools
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.policy import cases, rulebook
from orchestrator.sources import yamls
from tests.oracle.literal import agreement, generate
from tests.oracle.mutants import members, planting

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
SEED = 20261122
CHOSEN = 60
RANDOM = 12_000 if FULL else 3_000
GOLDEN = Path(__file__).parents[2] / "golden" / "policy"

_UNWORDED = "cases say nothing of assurance and claims; tests/unit/policy and tests/unit/inventory hold these rules"
_DENIED = "where it would oblige besides, another rule denies at the same place, and a denial hides duties"
_PARAMETER = "turns on a parameter that is off as shipped"
_DERIVED = "what it asks follows from another condition of the rule: without an accelerator there is no class of one"
EXCUSED: dict[str, str] = {
    r"core\.(assurance|claim)-.*": _UNWORDED,
    r"directives\.named: when\.1\.any\[[12]\] lost": "cases name neither tenant nor operator; "
    "tests/unit/control/test_house_rules.py does",
    r"eu-aiact\.logs-from-2027-12-02: to (lost|a day later)": _DENIED,
    r"(eu|uk)-gdpr\.art46: when\[[234]\] lost": _DENIED,
    r"(eu|uk)-gdpr\.transfer: unless\.2\.all\[0\] lost": "a place that nobody knows denies by core.missing as well",
    r"sa\.pdpl-art29: when\[[23]\] lost": _DENIED,
    r"us-doj\.restricted: (when\[2\]|unless\[0\]) lost": _DENIED,
    r"us-doj\.restricted: unless\.0\.all\.0\..* without (genomic|omic)": _DENIED,
    r"us-ear\.(dest|hq|is-informed): when\[0\] lost": _DERIVED,
    r"us-ear\.hq-carry-over-until-further-notice: when\[0\] lost": _DERIVED,
    r"us-ear\.iaas-training-red-flag: when\[2\] lost": _DERIVED,
    r"us-ear\.hq-carry-over-until-further-notice: when\[4\] lost": _DENIED,
    r"ear-licence-area: excludes ear-a5 lost": "no member of A:5 is left in the groups that it is taken from",
    r"us-gp10\.prc-3a090: when\.2\.any\[2\] lost": _PARAMETER,
    r"us-gp10\.prc-3a090-risk: unless\[2\] lost": _PARAMETER,
    r"us-gp10\.prc-3a090-risk: unless\[[01]\] lost": _DENIED,
}
"""Pattern of names -> why no case can catch it."""


def excuse(mutant: planting.Mutant) -> str | None:
    """Return the pattern that excuses a mutant."""
    return next((pattern for pattern in EXCUSED if re.fullmatch(pattern, mutant.name)), None)


@functools.cache
def _golden() -> tuple[cases.Case, ...]:
    found = [case for path in sorted(GOLDEN.glob("*.yaml")) for case in cases.read(yamls.read(path, yamls.CASES).data)]
    return tuple(found)


@functools.cache
def _random() -> tuple[cases.Case, ...]:
    return tuple(cases.read({"cases": agreement.as_rows(list(generate.cases(SEED, RANDOM)))}))


@functools.cache
def _of(pack: str, *, golden: bool) -> tuple[tuple[cases.Case, ...], tuple[cases.Case, ...]]:
    """Return the cases that a pack answered, and the others."""
    ours, others = [], []
    for case in _golden() if golden else _random():
        near = any(rule.startswith(f"{pack}.") for rule in case.expected.rules)
        (ours if near else others).append(case)
    return tuple(ours), tuple(others)


def catcher(book: rulebook.RuleBook, pack: str) -> str:
    """Return what sees that a book is not the one that ships; "": nothing does."""
    if book.failed:
        return "loading"
    if any(cases.run(some, book) for some in _of(pack, golden=True) if some):
        return "golden"
    if any(members.wrong(book)):
        return "members"
    return "random" if any(cases.run(some, book) for some in _of(pack, golden=False) if some) else ""


def drawn(number: int) -> Sequence[planting.Mutant]:
    """Return so many mutants by a fixed draw, turn by turn from each pack, of each rule and set once before twice."""
    rng = random.Random(SEED)
    by_pack: dict[str, list[planting.Mutant]] = {}
    for mutant in planting.mutants(planting.contents()):
        if excuse(mutant) is None:
            by_pack.setdefault(mutant.pack, []).append(mutant)
    for found in by_pack.values():
        rng.shuffle(found)
        seen: dict[str, int] = {}
        turns = [(seen.setdefault(key, 0), seen.update({key: seen[key] + 1}))[0] for key in map(_thing, found)]
        found[:] = [found[at] for at in sorted(range(len(found)), key=lambda at: turns[at])]
    picked: list[planting.Mutant] = []
    while len(picked) < number:
        for found in by_pack.values():
            if found and len(picked) < number:
                picked.append(found.pop(0))
    return picked


def _thing(mutant: planting.Mutant) -> str:
    return mutant.name.partition(": ")[0]


def test_nothing_is_seen_in_the_packs_that_ship() -> None:
    """Without a bug golden cases and members agree."""
    book = planting.book(planting.contents())
    assert not cases.run(_golden(), book)
    assert not list(members.wrong(book))


def test_each_planted_bug_is_caught() -> None:
    """Of bugs in rules and sets of every pack none goes unseen but those that are excused, and no excuse is idle."""
    content = planting.contents()
    everything = list(planting.mutants(content))
    chosen = everything if FULL else drawn(CHOSEN)
    unseen = [one for one in chosen if not catcher(planting.planted(one, content), one.pack)]
    wrong = [f"{one.pack} {one.name}" for one in unseen if excuse(one) is None]
    assert not wrong, "\n".join(wrong)
    if FULL:
        idle = set(EXCUSED) - {excuse(one) for one in unseen}
        assert not idle, idle
    assert {excuse(one) for one in everything} - {None} == set(EXCUSED), "an excuse for what is not planted any more"


def test_the_draw_reaches_every_pack() -> None:
    """Sixty bugs, none twice, of every pack that has rules in force and of sets as well."""
    chosen = drawn(CHOSEN)
    assert len({(one.pack, one.name) for one in chosen}) == CHOSEN
    packs = {one.pack for one in planting.mutants(planting.contents()) if excuse(one) is None}
    assert {one.pack for one in chosen} == packs
    assert len({_thing(one) for one in chosen}) > CHOSEN / 2
