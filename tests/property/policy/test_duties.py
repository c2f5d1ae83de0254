"""What is owed for a placement is what its decision says: no duty is lost, none is made up, none is owed twice."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from orchestrator.domain import policies, reasons
from orchestrator.policy import cases, evaluator, rulebook, table
from orchestrator.sources import packs
from tests.oracle.literal import agreement, generate

NUMBER = 20_000 if os.environ.get("COMITY_TEST_SIZE") == "full" else 1_500
OWN = """
@id("watch") @effect("oblige") @due("none") forbid(principal, action, resource) when { true };
@id("sign") @effect("oblige") @due("3d") forbid(principal, action, resource)
  when { resource has country && resource.country == "DE" };
@id("never") forbid(principal, action, resource) when { resource has country && resource.country == "FR" };
"""


def asked(seed: int, number: int) -> Iterator[cases.Case]:
    """Yield random cases over every pack."""
    rows = agreement.as_rows(generate.cases(seed, number))
    yield from cases.read({"cases": rows})


def owed_and_said(book: rulebook.RuleBook, case: cases.Case) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (code, sentence) of what is owed for placing the job there, and of the duties among the reasons."""
    judged = evaluator.judge(case.job, table.SiteTable([case.sites[0]]), book, case.at)
    found = evaluator.explain(case.job, case.sites[0], book, case.at)
    said = [(one.code, one.message) for one in found if one.effect is OBLIGE]
    if judged.denied[0]:
        return [], []  # nothing is placed there
    return [(duty.code, duty.message) for duty in judged.owed(0)], said


OBLIGE = reasons.Effect.OBLIGE


def test_no_duty_is_lost() -> None:
    """Each duty among the reasons of a site that may take the job is owed once, with the words of its reason."""
    book = packs.load()
    seen: set[str] = set()
    for case in asked(21, NUMBER):
        owed, said = owed_and_said(book, case)
        assert owed == said, case
        seen.update(code.partition(":")[0] for code, _ in owed)
    assert len(seen) >= 5, f"too few duties were met to say anything: {sorted(seen)}"


def test_duties_of_the_house_are_owed_too() -> None:
    """Rules of the house's own oblige beside the packs, each with its own day."""
    book = rulebook.with_policies(packs.load(), [policies.CedarPolicy("house", OWN)])
    days: dict[str, int | None] = {}
    for case in asked(22, NUMBER // 10):
        owed, said = owed_and_said(book, case)
        assert owed == said, case
        judged = evaluator.judge(case.job, table.SiteTable([case.sites[0]]), book, case.at)
        days |= {duty.code: duty.due_days for duty in judged.owed(0)}
    own = {code: due for code, due in days.items() if code.startswith("cedar.")}
    assert own == {"cedar.house.sign": 3, "cedar.house.watch": None}


def test_several_rules_of_one_code_are_one_duty_of_the_earliest_day() -> None:
    """A code is owed once, and in time for the rule that wants it first."""
    book = packs.load()
    for case in asked(23, NUMBER):
        judged = evaluator.judge(case.job, table.SiteTable([case.sites[0]]), book, case.at)
        duties = judged.owed(0)
        if duties:
            break
    fired = [rule for rule in judged.fired(0) if rule.effect is OBLIGE]
    twin = dataclasses.replace(fired[0], due_days=2)
    doubled = dataclasses.replace(book, rules=(*book.rules, twin, dataclasses.replace(twin, due_days=None)))
    again = evaluator.judge(case.job, table.SiteTable([case.sites[0]]), doubled, case.at)
    assert [duty.code for duty in again.owed(0)] == [duty.code for duty in duties]
    assert 2 in {duty.due_days for duty in again.owed(0)}
