"""How far is the site from the job's data or users?"""

from __future__ import annotations

from orchestrator.domain import jobs
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.scorers import base

MICRO_PER_MS = base.MICRO / 1000
"""One unit is a second."""


class Latency(base.Scorer):
    """``latency``: round-trip time between the job's origin and the site, one unit a second.

    A distance that nobody stated is worst.
    """

    name = "latency"

    def weight(self, objective: jobs.Objective) -> float:
        """See the class."""
        return objective.latency

    def scores(self, question: requirements.Question, table: columns.Columns) -> columns.Ints:
        """See the class."""
        return base.capped_column(table.rtt_ms(question) * MICRO_PER_MS)

    def score(self, question: requirements.Question, row: rows.Row) -> int:
        """See the class."""
        distance = rows.rtt_ms(row.site, question)
        return base.capped(None if distance is None else distance * MICRO_PER_MS)
