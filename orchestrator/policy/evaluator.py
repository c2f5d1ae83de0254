"""The evaluator: one table of rules, read column by column to judge many sites, row by row to explain one.

Both readings call the same predicates on the same instances; ``judge`` keeps a bit per rule and site, ``explain``
makes the sentences. What cannot be judged (a missing pack, a constraint without a rule, a rule that raises) is a
refusal in both. The version names the meaning of predicates and effects: a decision that was made by ``eval 1``
can be judged again only by it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from orchestrator.domain import reasons
from orchestrator.policy import attributes, columns, instances, rendering, rows, rulebook, rules, table

EVALUATOR_VERSION = "eval 1"

REFUSED = 0
"""Bit 0 of every site: refused by the evaluator itself (``core.unsupported``), not by a rule."""
FIRST_RULE = 1
"""Bit of the first rule of the book's table."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What one class of jobs gets from every site of a table.

    ``bits[word, row]``: bit ``FIRST_RULE + k`` (counted over the words) says that rule ``book.rules[k]`` fires at the
    site in that row. ``expires``: the first moment at which a dated fact, rule or paper could change any of it.
    """

    bits: table.Words
    denied: table.Bools
    obliged: table.Bools
    expires: dt.datetime | None
    job: attributes.JobAttributes
    sites: table.SiteTable
    book: rulebook.RuleBook
    at: dt.datetime
    row_reader: rows.RowReader

    def fired(self, row: int) -> tuple[rules.Rule, ...]:
        """Return the rules that fire at the site in ``row``, in table order."""
        book = self.book.rules
        found = []
        for word in range(self.bits.shape[0]):
            value = int(self.bits[word, row])
            while value:
                low = value & -value
                bit = word * 64 + low.bit_length() - 1
                if bit >= FIRST_RULE:
                    found.append(book[bit - FIRST_RULE])
                value ^= low
        return tuple(found)

    def reasons(self, row: int) -> tuple[reasons.Reason, ...]:
        """Return the sentences of what fired at the site in ``row``: denials and duties, without caveats."""
        refused = bool(int(self.bits[0, row]) & 1)
        found = self.row_reader.refusals() if refused else []
        # A rule that raised has no bit, so where the evaluator itself refuses every rule is asked again.
        for rule in self.book.rules if refused else self.fired(row):
            found += self.row_reader.remembered(rule, self.sites, row)
        return rendering.united(found)


def judge(job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime) -> Judgement:
    """Judge a job at every site of the table at the policy clock ``at``. Pure; never raises for what a rule meets."""
    day = instances.utc_day(at)
    facts_then = book.facts.on(day)
    count = len(sites)
    bits: table.Words = np.zeros((table.words_for(FIRST_RULE + len(book.rules)), count), dtype=np.uint64)
    denied: table.Bools = np.zeros(count, dtype=np.bool_)
    obliged: table.Bools = np.zeros(count, dtype=np.bool_)
    refused: columns.Truth = bool(book.refusals(job, day))
    reader = columns.ColumnReader(job, sites, facts_then)
    for number, rule in enumerate(book.rules, FIRST_RULE):
        if not rule.active(day):
            continue
        fires, broken = reader.read(rule)
        if broken is not False:
            refused = columns.ARRAYS.either(refused, broken)
        if fires is False:
            continue
        _set(bits, number, fires)
        if rule.effect is reasons.Effect.DENY:
            denied |= fires
        else:
            obliged |= fires
    _set(bits, REFUSED, refused)
    denied |= refused
    return Judgement(
        bits, denied, obliged, expiry(job, sites, book, at), job, sites, book, at, rows.RowReader(job, book, day)
    )


def _set(bits: table.Words, number: int, where: columns.Truth) -> None:
    word, shift = divmod(number, 64)
    if isinstance(where, bool):
        if where:
            bits[word] |= np.uint64(1 << shift)
        return
    bits[word] |= where.astype(np.uint64) << np.uint64(shift)


def expiry(
    job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime
) -> dt.datetime | None:
    """Return the first moment after ``at`` at which anything dated that these judgements could read changes."""
    day = instances.utc_day(at)
    days = [change for change in (*book.changes, *job.boundaries()) if change > day]
    change = sites.next_change(day)
    if change is not None:
        days.append(change)
    return rulebook.midnight(min(days)) if days else None


def explain(
    job: attributes.JobAttributes, site: attributes.SiteAttributes, book: rulebook.RuleBook, at: dt.datetime
) -> tuple[reasons.Reason, ...]:
    """Return every reason for and against a site, caveats included, sorted by code."""
    reader = rows.RowReader(job, book, instances.utc_day(at))
    found = reader.refusals()
    for rule in (*book.rules, *book.caveats):
        found += reader.read(rule, site)
    return rendering.united([*found, *rendering.caveats(book, reader.facts, reader.weak)])
