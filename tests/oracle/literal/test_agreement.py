"""The product against the literal evaluator on random cases: a hundred thousand as a rule, a million at full size.

``COMITY_TEST_SEED`` repeats the cases of a run, ``COMITY_TEST_CASES`` says how many. Cases that once disagreed are in
``tests/golden/policy``.
"""

from __future__ import annotations

import concurrent.futures
import os

import pytest

from orchestrator.sources import packs
from tests.oracle.literal import agreement, evaluator, generate, transfers

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
NUMBER = int(os.environ.get("COMITY_TEST_CASES") or (1_000_000 if FULL else 100_000))
SEED = int(os.environ.get("COMITY_TEST_SEED") or 20261122)
PART = 10_000
PROCESSES = 2


def _part(seed: int, number: int) -> str:
    """Return the report of one part, empty where all agree."""
    book = packs.load()
    assert not book.failed
    found = agreement.disagreements(list(generate.cases(seed, number)), book)
    return f"seed {seed}: {agreement.report(found, book)}" if found else ""


def test_product_and_literal_evaluator_agree() -> None:
    """No random case is answered differently, neither in its decision nor in its rules."""
    sizes = [min(PART, NUMBER - first) for first in range(0, NUMBER, PART)]
    seeds = [SEED + number for number in range(len(sizes))]
    if len(sizes) == 1:
        reports = [_part(seeds[0], sizes[0])]
    else:
        with concurrent.futures.ProcessPoolExecutor(PROCESSES) as pool:
            reports = list(pool.map(_part, seeds, sizes))
    assert not any(reports), "\n".join(filter(None, reports))


def test_a_wrong_rule_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal evaluator that forgets the Russian rule is told so within a thousand cases, in a case of few words."""
    rules = tuple(rule for rule in evaluator.RULES if rule is not transfers.ru_local)
    monkeypatch.setattr(evaluator, "RULES", rules)
    book = packs.load()
    found = agreement.disagreements(list(generate.cases(SEED, 1_000)), book)
    assert found
    text = agreement.report(found[:1], book)
    assert "ru-local.collection" in text or "ru-local.cross-border-notice" in text
    assert len(text) < 500
