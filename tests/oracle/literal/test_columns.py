"""The product's other reading against the literal evaluator: many jobs over one table of sites, as placement asks.

A table remembers what it found for earlier jobs, so jobs come one after the other over the same table.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from orchestrator.policy import cases, evaluator, table
from orchestrator.sources import packs
from tests.oracle.literal import agreement, generate, shrinking
from tests.oracle.literal import evaluator as literal

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
SITES, JOBS = (400, 400) if FULL else (60, 30)
DAYS = ("2026-11-22", "2026-07-10", "2025-04-08", "2027-12-02")


@pytest.mark.parametrize("at", DAYS)
def test_a_table_of_sites_gets_the_literal_answers(at: str) -> None:
    """Each job over each site of a table is refused, obliged or free as the literal evaluator says, by its rules."""
    found = list(generate.cases(int(at.replace("-", "")), SITES + JOBS))
    backends = [backend for _, backend, _ in found[:SITES]]
    jobs = [job for job, _, _ in found[SITES:]]
    Random(at).shuffle(backends)
    read_sites = cases.read({"cases": agreement.as_rows([({}, backend, at) for backend in backends])})
    read_jobs = cases.read({"cases": agreement.as_rows([(job, {}, at) for job in jobs])})
    sites = table.SiteTable(case.sites[0] for case in read_sites)
    book = packs.load()
    for job, read in zip(jobs, read_jobs, strict=True):
        judged = evaluator.judge(read.job, sites, book, read.at)
        for row, backend in enumerate(backends):
            decision, rules = literal.judge(job, backend, at)
            got = cases.answer(judged.reasons(row))
            case = shrinking.written((job, backend, at), (decision, rules), f"{got.decision} {got.rules}")
            assert (got.decision, got.rules) == (decision, rules), case
            assert judged.denied[row] == (decision == literal.DENIED), case
            assert judged.obliged[row] or decision != literal.OBLIGED, case
