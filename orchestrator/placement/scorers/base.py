"""What a scorer is: one number for a job at a site, row by row or for all sites at once.

Scores are absolute, so that adding a site never reorders the others: one unit is one unit of currency per hour, one
kilogram of CO2 equivalent per hour, one second of round trip. The objective's weights are the exchange rates between
them: ``{cost: 1, carbon: 0.1}`` says that a kilogram is worth ten cents. Whole micro-units; unknown is the worst.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np

from orchestrator.domain import jobs
from orchestrator.placement import columns, requirements, rows

MICRO = 1_000_000
WORST = 10**12
"""A million units: what nobody stated, and the cap of everything stated. Keeps weighted sums exact in a double."""
WEIGHT_MAX = 1000.0
"""Heavier weights count as this."""


class Scorer(abc.ABC):
    """One number. The docstring of a subclass is its manual page."""

    name: ClassVar[str]

    @abc.abstractmethod
    def weight(self, objective: jobs.Objective) -> float:
        """Return the objective's weight of this number."""

    @abc.abstractmethod
    def scores(self, question: requirements.Question, table: columns.Columns) -> columns.Ints:
        """Return the score of every site."""

    @abc.abstractmethod
    def score(self, question: requirements.Question, row: rows.Row) -> int:
        """Return the score of one site."""


def capped(value: float | None) -> int:
    """Return a whole score between 0 and WORST; None is WORST. Halves go to the even neighbour, as numpy's do."""
    return WORST if value is None or value != value else int(min(max(round(value), 0), WORST))


def capped_column(values: columns.Floats) -> columns.Ints:
    """Return whole scores between 0 and WORST; NaN is WORST."""
    known: columns.Floats = np.where(np.isnan(values), float(WORST), values)
    whole: columns.Ints = np.clip(np.rint(known), 0, WORST).astype(np.int64)
    return whole


def weighted(score: int, weight: float) -> int:
    """Return a score times its weight, whole."""
    return round(score * min(max(weight, 0.0), WEIGHT_MAX))


def weighted_column(scores: columns.Ints, weight: float) -> columns.Ints:
    """Return scores times their weight, whole."""
    if weight == 1.0:
        return scores
    whole: columns.Ints = np.rint(scores * min(max(weight, 0.0), WEIGHT_MAX)).astype(np.int64)
    return whole
