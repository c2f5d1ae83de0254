"""What does an hour of the job cost there?"""

from __future__ import annotations

import numpy as np

from orchestrator.domain import jobs
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.scorers import base


class Cost(base.Scorer):
    """``cost``: the price of an hour of the whole job, in the currency of its limit, else in euro.

    One unit is one unit of that currency. A price that nobody stated, or in a currency without a dated rate, is worst.
    """

    name = "cost"

    def weight(self, objective: jobs.Objective) -> float:
        """See the class."""
        return objective.cost

    def scores(self, question: requirements.Question, table: columns.Columns) -> columns.Ints:
        """See the class."""
        unit = table.unit_price(question)
        wanted = question.requirement
        with_accelerator, without = wanted.billed_units(True), wanted.billed_units(False)
        values: columns.Ints = np.minimum(unit, base.WORST)
        values *= with_accelerator
        if with_accelerator != without:
            values = np.where(table.has_accelerator, values, np.minimum(unit, base.WORST) * without)
        values[unit < 0] = base.WORST
        np.minimum(values, base.WORST, out=values)
        return values

    def score(self, question: requirements.Question, row: rows.Row) -> int:
        """See the class."""
        price = rows.price_per_hour(row.site, question)
        return base.WORST if price is None else min(price.micro, base.WORST)
