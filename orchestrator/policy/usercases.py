"""The tests that a policy of the house's own brings along: its rules alone, on compact cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.domain import policies
from orchestrator.policy import cases, instances, rulebook
from orchestrator.policy.cedar import judging


def read(tests: Sequence[Any]) -> tuple[cases.Case, ...]:
    """Read the tests of a policy. Raises ``cases.CaseError``; its paths begin with ``cases``."""
    return cases.read({"cases": list(tests)})


def run(
    policy: policies.CedarPolicy, found: Sequence[cases.Case], book: rulebook.RuleBook
) -> tuple[cases.Disagreement, ...]:
    """Ask the rules of one policy alone about each case; return those whose answer is another one.

    ``book`` gives the named sets of countries. The dates of the policy count: before its first day it says nothing.
    """
    rules = judging.rules_of((policy,), book.public_sets)
    wrong = []
    for case in found:
        day = book.facts.on(instances.utc_day(case.at))
        for site in case.sites:
            bits = rules.row(case.job, site, day, case.at)
            got = cases.answer(rules.reasons(bits, case.job, site))
            if got != case.expected:
                wrong.append(cases.Disagreement(case.id, case.title, site.name, case.expected, got))
    return tuple(wrong)
