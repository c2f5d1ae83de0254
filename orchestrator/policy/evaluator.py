"""The evaluator: one table of rules, read column by column to judge many sites, row by row to explain one.

Both readings call the same predicates on the same instances; ``judge`` keeps a bit per rule and site, ``explain``
makes the sentences. What cannot be judged (a missing pack, a constraint without a rule, a rule that raises) is a
refusal in both. The version names the meaning of predicates and effects: a decision that was made by ``eval 1``
can be judged again only by it.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
from dataclasses import dataclass

import numpy as np

from orchestrator.domain import obligations, reasons
from orchestrator.policy import (
    attributes,
    columns,
    dated,
    instances,
    operands,
    programs,
    rendering,
    rows,
    rulebook,
    rules,
    sentences,
    table,
)
from orchestrator.policy.cedar import judging

EVALUATOR_VERSION = "eval 1"

REFUSED = programs.REFUSED
FIRST_RULE = programs.FIRST_RULE


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
    own: Own | None = None
    """What policies of the house's own said; None where there are none."""

    def denying(self) -> tuple[rules.Rule, ...]:
        """Return the rules that deny some site, in table order."""
        return tuple(rule for rule in _somewhere(self) if rule.effect is reasons.Effect.DENY)

    def fired(self, row: int) -> tuple[rules.Rule, ...]:
        """Return the rules that fire at the site in ``row``, in table order."""
        book = self.book.rules
        found = []
        for word in range(self.bits.shape[0]):
            value = int(self.bits[word, row])
            while value:
                low = value & -value
                bit = word * 64 + low.bit_length() - 1
                if FIRST_RULE <= bit < FIRST_RULE + len(book):
                    found.append(book[bit - FIRST_RULE])
                value ^= low
        return tuple(found)

    def duties(self) -> tuple[int, ...]:
        """Return the bits with which policies of the house's own oblige."""
        if self.own is None:
            return ()
        first, rules_ = FIRST_RULE + len(self.book.rules), self.own.rules
        return tuple(first + bit for bit in range(len(rules_.codes)) if not rules_.denies >> bit & 1)

    def codes(self) -> dict[str, int]:
        """Return the code of every denial and at how many sites it stands, as sentences would name it.

        No sentence is made, so it stays cheap at any number of sites; a code that depends on an attribute of the
        site, and a rule that raised, is named by its form (``a.<x>``).
        """
        return _codes(self)

    def explained(
        self, wanted: table.Bools | None = None, full: table.Bools | None = None
    ) -> list[tuple[reasons.Reason, ...]]:
        """Return the sentences of the wanted sites (else of all), row by row; others have none.

        Sites in ``full`` get all that ``explain`` says, caveats included, others what ``reasons`` says.
        """
        none = np.zeros(len(self.sites), dtype=np.bool_)
        return _explained(self, ~none if wanted is None else wanted, none if full is None else full)

    def whole(self, row: int) -> tuple[reasons.Reason, ...]:
        """Return every sentence about the site in ``row``, caveats included."""
        return explain(self.job, self.sites.sites[row], self.book, self.at)

    def reasons(self, row: int) -> tuple[reasons.Reason, ...]:
        """Return the sentences of what fired at the site in ``row``: denials and duties, without caveats."""
        refused = bool(int(self.bits[0, row]) & 1)
        found = self.row_reader.refusals() if refused else []
        # A rule that raised has no bit, so where the evaluator itself refuses every rule is asked again.
        for rule in self.book.rules if refused else self.fired(row):
            found += self.row_reader.remembered(rule, self.sites, row)
        if self.own is not None:
            found += self.own.reasons(row, self)
        return rendering.united(found)

    def refusing(self, row: int) -> frozenset[str]:
        """Return the codes of what denies at the site in ``row``: those of ``reasons``, without their sentences."""
        if not self.denied[row]:
            return frozenset()
        if int(self.bits[0, row]) & 1:
            return frozenset(one.code for one in self.reasons(row) if one.effect is reasons.Effect.DENY)
        found: set[str] = set()
        for rule in self.fired(row):
            if rule.effect is reasons.Effect.DENY:
                found |= self.row_reader.codes(rule, self.sites.sites[row])
        own = self.own.reasons(row, self) if self.own is not None else []
        return frozenset(found | {one.code for one in own if one.effect is reasons.Effect.DENY})

    def owed(self, row: int) -> tuple[obligations.Duty, ...]:
        """Return what placing a job at the site in ``row`` obliges to: one duty a code, sorted, the earliest day of
        several; just the codes of the duties among ``reasons``."""
        if not self.obliged[row]:
            return ()
        found: dict[str, obligations.Duty] = {}
        for rule in self.fired(row):
            if rule.effect is reasons.Effect.OBLIGE:
                for one in self.row_reader.remembered(rule, self.sites, row):
                    _owe(found, one, rule.source, rule.due_days)
        if self.own is not None:
            for one, source, due_days in self.own.duties(row, self):
                _owe(found, one, source, due_days)
        return tuple(found[code] for code in sorted(found))


def _owe(found: dict[str, obligations.Duty], one: reasons.Reason, source: str, due_days: int | None) -> None:
    if one.effect is not reasons.Effect.OBLIGE:
        return
    known = found.get(one.code)
    if known is None:
        found[one.code] = obligations.Duty(one.code, one.basis, one.message, source, due_days)
    elif due_days is not None and (known.due_days is None or due_days < known.due_days):
        found[one.code] = dataclasses.replace(known, due_days=due_days)


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """What policies of the house's own said: an answer a row, to be read by ``rules``. Bit k of it is ``bits`` k."""

    rules: judging.UserRules
    column: judging.Column

    def reasons(self, row: int, judgement: Judgement) -> list[reasons.Reason]:
        """Return the sentences of one row."""
        bits = self.column.of(row)
        return self.rules.reasons(bits, judgement.job, judgement.sites.sites[row]) if bits else []

    def duties(self, row: int, judgement: Judgement) -> list[judging.Owed]:
        """Return what the rules that fire at one row oblige to."""
        bits = self.column.of(row) & ~self.rules.denies
        return self.rules.duties(bits, judgement.job, judgement.sites.sites[row]) if bits else []

    def where(self, mask: int) -> table.Bools:
        """Return the rows with any of some bits."""
        return self.column.where(mask)

    def written(self, bits: table.Words, first: int) -> table.Words:
        """Return the words of the table with these bits after them, the first at number ``first``."""
        words = table.words_for(first + len(self.rules.codes))
        wide: table.Words = np.zeros((max(words, bits.shape[0]), bits.shape[1]), dtype=np.uint64)
        wide[: bits.shape[0]] = bits
        for word in range(first // 64, wide.shape[0]):
            wide[word] |= self.column.word(first, word)
        return wide


def names(book: rulebook.RuleBook) -> tuple[str, ...]:
    """Return the names of all rules in the order of their bits: those of packs by id, the house's own by code."""
    own = own_rules(book)
    return (*(rule.id for rule in book.rules), *(own.codes if own else ()))


def own_rules(book: rulebook.RuleBook) -> judging.UserRules | None:
    """Return the policies of the house's own, ready to be asked; None where there are none."""
    return judging.rules_of(book.user, book.public_sets) if book.user else None


def _own(job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime) -> Own | None:
    own = own_rules(book)
    return Own(own, own.column(job, sites, book.facts.on(instances.utc_day(at)), at)) if own is not None else None


def _somewhere(judgement: Judgement) -> tuple[rules.Rule, ...]:
    """Return the rules that fire at some site, in table order."""
    fired = np.bitwise_or.reduce(judgement.bits, axis=1).tolist()
    numbered = enumerate(judgement.book.rules, FIRST_RULE)
    return tuple(rule for bit, rule in numbered if fired[bit // 64] >> bit % 64 & 1)


def _codes(judgement: Judgement) -> dict[str, int]:
    reader = columns.ColumnReader(judgement.job, judgement.sites, judgement.row_reader.facts, judgement.at)
    count = len(judgement.sites)
    found = {reason.code: count for reason in judgement.row_reader.refusals()}
    everywhere = np.ones(count, dtype=np.bool_)
    where: dict[str, table.Bools] = {}
    for rule in judgement.denying():
        for binding, place, mask in reader.firings(rule):
            code = rendering.code(rule, {**binding, operands.LOCATION: place}, reader.day)
            here = everywhere if isinstance(mask, bool) else mask
            where[code] = where[code] | here if code in where else here
    found |= {code: int(np.count_nonzero(mask)) for code, mask in where.items()}
    if (own := judgement.own) is not None:
        for bit, code in enumerate(own.rules.codes):
            if own.rules.denies >> bit & 1 and (stands := int(np.count_nonzero(own.where(1 << bit)))):
                found[code] = stands
    if not judgement.row_reader.refusals() and (raised := int(np.count_nonzero(judgement.bits[0] & _ONE))):
        found[f"{rulebook.UNSUPPORTED}:rules.<x>"] = raised
    return found


def _explained(judgement: Judgement, wanted: table.Bools, full: table.Bools) -> list[tuple[reasons.Reason, ...]]:
    """Return the reasons of the wanted rows; those of ``full`` have their caveats too."""
    reader = columns.ColumnReader(judgement.job, judgement.sites, judgement.row_reader.facts, judgement.at)
    slow: table.Bools = (judgement.bits[0] & _ONE) != 0
    for rule in judgement.book.caveats if full.any() else ():
        broken = reader.read(rule)[1] if rule.active(reader.day.day) else False
        slow = slow | (full & broken)
    made = sentences.Sentences(reader, judgement.book, wanted & ~slow)
    lines = [line for rule in _somewhere(judgement) for line in made.of_rule(rule)]
    if full.any():
        also = sentences.Sentences(reader, judgement.book, wanted & full & ~slow)
        lines += [line for rule in judgement.book.caveats for line in also.of_rule(rule)] + also.weak()
    found = sentences.laid_out(lines, len(judgement.sites))
    if (own := judgement.own) is not None:
        for row in np.flatnonzero(wanted & ~slow & own.where(-1)).tolist():
            found[row] = rendering.united([*found[row], *own.reasons(row, judgement)])
    for row in np.flatnonzero(wanted & slow).tolist():
        found[row] = judgement.whole(row) if full[row] else judgement.reasons(row)
    return found


def judge(job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime) -> Judgement:
    """Judge a job at every site of the table at the policy clock ``at``. Pure; never raises for what a rule meets."""
    day = instances.utc_day(at)
    sites = sites.assured(job.constraints.min_assurance)
    facts_then = book.facts.on(day)
    program = book.program
    bits: table.Words = np.zeros((len(program.denies), len(sites)), dtype=np.uint64)
    if book.refusals(job, day):
        bits[0] |= _ONE
    reader = columns.ColumnReader(job, sites, facts_then, at)
    tokens = _tokens(job, sites, program)
    for group in program.groups:
        clock = at if group.timed else None
        key = None if tokens is None else (group, facts_then, clock, *[tokens[number] for number in group.inputs])
        found = None if key is None else sites.masks.get(key)
        if found is None:
            found = _mask(group, reader, facts_then)
            if key is not None:
                sites.masks.keep(key, found)
        for word, mask in found:
            bits[word] |= mask
    denied, obliged = _any(bits, program.denies), _any(bits, program.obliges)
    own = _own(job, sites, book, at)
    if own is not None:
        denied |= own.where(own.rules.denies)
        obliged |= own.where(~own.rules.denies)
        bits = own.written(bits, FIRST_RULE + len(book.rules))
    ends = expiry(job, sites, book, at)
    if own is not None and own.column.is_partial:
        ends = min(filter(None, (ends, at + judging.ASK_ON_AFTER)))
    return Judgement(bits, denied, obliged, ends, job, sites, book, at, rows.RowReader(job, book, at), own)


_ONE = np.uint64(1)


def _tokens(job: attributes.JobAttributes, sites: table.SiteTable, program: programs.Program) -> list[int] | None:
    """Return a number for each input of the program; None where one cannot be read, so that nothing is remembered."""
    try:
        return [sites.token(read(job)) for read in program.reads]
    except Exception:  # noqa: BLE001 - reading it again for a rule turns it into a refusal
        return None


def _mask(
    group: programs.Group, reader: columns.ColumnReader, facts_then: dated.DayFacts
) -> tuple[tuple[int, table.Words], ...]:
    """Judge a group of rules; words without any bit are left out."""
    found: dict[int, table.Words] = {}
    refused: columns.Truth = False
    for bit, rule in group.rules:
        if not rule.active(facts_then.day):
            continue
        fires, broken = reader.read(rule)
        refused = columns.ARRAYS.either(refused, broken)
        _set(found, bit, fires, len(reader.sites))
    _set(found, REFUSED, refused, len(reader.sites))
    return tuple((word, mask) for word, mask in found.items() if mask.any())


def _set(bits: dict[int, table.Words], number: int, where: columns.Truth, count: int) -> None:
    if where is False:
        return
    word, shift = divmod(number, 64)
    mask = bits.setdefault(word, np.zeros(count, dtype=np.uint64))
    mask |= np.uint64(1 << shift) if where is True else where.astype(np.uint64) << np.uint64(shift)


def _any(bits: table.Words, masks: tuple[int, ...]) -> table.Bools:
    found: table.Bools = (bits[0] & np.uint64(masks[0])) != 0
    for word in range(1, len(masks)):
        if masks[word]:
            found |= (bits[word] & np.uint64(masks[word])) != 0
    return found


def expiry(
    job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime
) -> dt.datetime | None:
    """Return the first moment after ``at`` at which anything dated that these judgements could read changes."""
    day = instances.utc_day(at)
    days = [change for change in job.boundaries() if change > day]
    at_next = bisect.bisect_right(book.changes, day)
    days += book.changes[at_next : at_next + 1]
    change = sites.next_change(day)
    if change is not None:
        days.append(change)
    moments = [rulebook.midnight(min(days))] if days else []
    ages = {
        age
        for rule in book.program.timed
        for _ in instances.bindings(rule, job, book.facts.on(day))
        for age in rule.hours
    }
    moments += sites.next_moments(at, sorted(ages))
    if (own := own_rules(book)) is not None and own.hour_matters(day):
        moments.append(at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1))
    return min(moments, default=None)


def explain(
    job: attributes.JobAttributes, site: attributes.SiteAttributes, book: rulebook.RuleBook, at: dt.datetime
) -> tuple[reasons.Reason, ...]:
    """Return every reason for and against a site, caveats included, sorted by code."""
    if job.constraints.min_assurance is not None:
        site = attributes.assured(site, job.constraints.min_assurance)
    reader = rows.RowReader(job, book, at)
    found = reader.refusals()
    for rule in (*book.rules, *book.caveats):
        found += reader.read(rule, site)
    if (own := own_rules(book)) is not None:
        found += own.reasons(own.row(job, site, reader.facts, at), job, site)
    return rendering.united([*found, *rendering.caveats(book, reader.facts, reader.weak)])
