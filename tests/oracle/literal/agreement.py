"""Asks the product what the literal evaluator was asked, by the entry that `comity policy test` uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.policy import cases, rulebook
from tests.oracle.literal import evaluator, shrinking

AT_ONCE = 2000
SHOWN = 3


def as_rows(items: Iterable[shrinking.Case]) -> list[dict[str, Any]]:
    """Return cases as a file of golden cases holds them, with the answers of the literal evaluator."""
    rows = []
    for number, (job, backend, at) in enumerate(items):
        decision, rules = evaluator.judge(job, backend, at)
        row = {"id": str(number), "title": "random", "at": at, "job": job, "backend": backend}
        rows.append({**row, "decision": decision, "rules": list(rules)})
    return rows


def disagreements(items: list[shrinking.Case], book: rulebook.RuleBook) -> list[tuple[shrinking.Case, cases.Answer]]:
    """Return the cases that the product answers differently, and how."""
    found = []
    for first in range(0, len(items), AT_ONCE):
        some = items[first : first + AT_ONCE]
        for item in cases.run(cases.read({"cases": as_rows(some)}), book):
            found.append((some[int(item.case)], item.got))
    return found


def answers(items: list[shrinking.Case], book: rulebook.RuleBook) -> list[cases.Answer]:
    """Return what the product answers to each case."""
    plain = [{**row, "decision": cases.ALLOW, "rules": []} for row in as_rows(items)]
    others = {int(item.case): item.got for item in cases.run(cases.read({"cases": plain}), book)}
    return [others.get(number, cases.Answer(cases.ALLOW, ())) for number in range(len(items))]


def report(found: list[tuple[shrinking.Case, cases.Answer]], book: rulebook.RuleBook) -> str:
    """Return the first disagreements, each made small, as golden cases that the literal evaluator answered."""
    lines = [f"{len(found)} cases disagree"]
    for case, _ in found[:SHOWN]:
        small = shrinking.shrink(case, lambda item: _disagrees(item, book))
        got = disagreements([small], book)[0][1]
        lines.append(shrinking.written(small, evaluator.judge(*small), f"{got.decision} {', '.join(got.rules)}"))
    return "\n".join(lines)


def _disagrees(case: shrinking.Case, book: rulebook.RuleBook) -> bool:
    try:
        return bool(disagreements([case], book))
    except cases.CaseError:
        return False
