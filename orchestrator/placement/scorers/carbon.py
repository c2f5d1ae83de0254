"""How much carbon dioxide does an hour of the job emit there?"""

from __future__ import annotations

import numpy as np

from orchestrator.domain import jobs
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.scorers import base

MICRO_PER_GRAM = base.MICRO / 1000
"""One unit is a kilogram."""


class Carbon(base.Scorer):
    """``carbon``: emissions of an hour of the whole job, one unit a kilogram of CO2 equivalent.

    Nominal power of the accelerators x PUE of the pool x carbon intensity of its power. If one of the three is not
    stated, the site is worst: an unmeasured site is never the greenest.
    """

    name = "carbon"

    def weight(self, objective: jobs.Objective) -> float:
        """See the class."""
        return objective.carbon

    def scores(self, question: requirements.Question, table: columns.Columns) -> columns.Ints:
        """See the class."""
        wanted = question.requirement
        units = np.where(table.has_accelerator, wanted.billed_units(True), wanted.billed_units(False))
        return base.capped_column(table.grams * units * MICRO_PER_GRAM)

    def score(self, question: requirements.Question, row: rows.Row) -> int:
        """See the class."""
        grams = rows.grams_per_hour(row.site, question)
        return base.capped(None if grams is None else grams * MICRO_PER_GRAM)
