"""Judges one class of jobs against all sites at once, and ranks those that may take it.

In two steps, because they change at different speeds. A :class:`Verdict` is what documents and dates say: policy's
judgement, the standing filters, the scores, the order. It is kept until something of that changes. A
:class:`Selection` is a verdict in one cycle, after the filters that depend on offers. Every reason is kept as a bit;
``explanations`` makes sentences of them when somebody reads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.domain import ids
from orchestrator.placement import columns, judgements, requirements
from orchestrator.placement.filters import base as filter_base
from orchestrator.placement.filters import registry as filters
from orchestrator.placement.scorers import base as scoring
from orchestrator.placement.scorers import registry as scorers

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What documents and dates say about one class of jobs at every site.

    ``bits`` are the refusals of the standing filters (bit k: ``filters.registry.FILTERS[k]``). ``order`` lists the
    rows that nothing here refuses, best first, ties by name. ``scores`` holds the scorers whose weight is not zero.
    """

    question: requirements.Question
    judgement: judgements.Judgement
    bits: Words
    permitted: columns.Bools
    scores: Mapping[str, columns.Ints]
    totals: columns.Ints
    order: columns.Ints
    expires: dt.datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A verdict in one cycle. ``ranking`` lists the rows that may take a job of the class now, best first.

    ``bits`` are all refusals of each site: the verdict's and those of the filters that depend on offers.
    """

    verdict: Verdict
    bits: Words
    ranking: columns.Ints
    names: list[ids.SiteName]

    @property
    def chosen(self) -> ids.SiteName | None:
        """Return the best site that may take the job now."""
        return self.names[self.ranking[0]] if len(self.ranking) else None

    @property
    def allowed(self) -> columns.Bools:
        """Say for each site whether nothing refuses."""
        free: columns.Bools = self.bits == 0
        return free & ~self.verdict.judgement.denied

    @property
    def waits(self) -> columns.Ints:
        """Return the rows, best first, that only offers refuse (full, not reachable): waiting may help there."""
        order = self.verdict.order
        waiting: columns.Ints = order[self.bits[order] != 0]
        return waiting


def judge(
    question: requirements.Question,
    table: columns.Columns,
    judgement: judgements.Judgement,
    *,
    expires: dt.datetime | None = None,
) -> Verdict:
    """Run the standing filters and scorers over all sites. ``expires`` bounds the verdict besides the judgement."""
    bits = _standing(question, table)
    permitted: columns.Bools = bits == 0
    permitted &= ~judgement.denied
    objective = question.requirement.objective
    scores: dict[str, columns.Ints] = {}
    totals: columns.Ints | None = None
    for scorer in scorers.SCORERS:
        weight = scorer.weight(objective)
        if weight > 0:
            scores[scorer.name] = own = scorer.scores(question, table)
            part = scoring.weighted_column(own, weight)
            totals = part if totals is None else totals + part
    if totals is None:
        totals = np.zeros(len(table), dtype=np.int64)
    rows = permitted.nonzero()[0]
    # Rows follow names, so a stable sort breaks ties by name.
    order = rows[totals[rows].argsort(kind="stable")]
    ends = [end for end in (judgement.expires, expires) if end is not None]
    return Verdict(question, judgement, bits, permitted, scores, totals, order, min(ends, default=None))


def choose(verdict: Verdict, table: columns.Columns) -> Selection:
    """Run the filters that depend on offers, and rank what is left."""
    bits = _ask(filters.PASSING, verdict.question, table, verdict.bits)
    return Selection(verdict, bits, verdict.order[bits[verdict.order] == 0], table.names)


def _standing(question: requirements.Question, table: columns.Columns) -> Words:
    """Return the refusals of the standing filters; those that read no price are remembered by what they read."""
    key = requirements.unpriced(question)
    known = table.standing.get(key)
    if known is None:
        known = _ask(filters.UNPRICED, question, table, np.zeros(len(table), dtype=np.uint64))
        table.keep_standing(key, known)
    return _ask(filters.PRICED, question, table, known)


def _ask(
    items: tuple[tuple[int, filter_base.Filter], ...],
    question: requirements.Question,
    table: columns.Columns,
    known: Words,
) -> Words:
    """Return ``known`` with a bit for each filter that refuses a site."""
    bits = known.copy()
    for bit, item in items:
        refused = item.refused(question, table)
        if refused is not None:
            bits |= refused * np.uint64(1 << bit)
    return bits


def select(question: requirements.Question, table: columns.Columns, judgement: judgements.Judgement) -> Selection:
    """Judge and choose in one go."""
    return choose(judge(question, table, judgement), table)
