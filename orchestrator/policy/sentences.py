"""The sentences of many sites at once: what fired is known column by column, so each distinct reason is made once.

Sites share a reason of a rule where they agree in everything that it cites or says: the picked items of a keyed
citation (the reaches from one country, say), the other attributes that it names, the stamps of the documents. The
row reader stays the slow, obvious reading; a test compares whole reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from orchestrator.domain import reasons
from orchestrator.policy import columns, operands, rendering, rulebook, rules, table, writers

Line = tuple[reasons.Reason, list[int]]
"""A reason and the rows that get it."""


class Sentences:
    """Makes the reasons of one judgement, for the rows that are wanted."""

    def __init__(self, reader: columns.ColumnReader, book: rulebook.RuleBook, wanted: table.Bools) -> None:
        self.reader = reader
        self.book = book
        self.wanted = wanted

    def of_rule(self, rule: rules.Rule) -> Iterator[Line]:
        """Yield the reasons of a rule with the rows that get them, in the order of the row reader."""
        if not rule.active(self.reader.day.day):
            return
        for binding, place, mask in self.reader.firings(rule):
            rows = np.flatnonzero(self.wanted if mask is True else self.wanted & mask)
            if len(rows):
                yield from self._lines(rule, {**binding, operands.LOCATION: place}, rows)

    def weak(self) -> list[Line]:
        """Return the caveats of facts known only weakly that spoke for a site, and of what every answer rests on."""
        day, book = self.reader.day, self.book
        base = rendering.caveats(book, day, ())
        every = np.flatnonzero(self.wanted).tolist()
        found: list[Line] = [(reason, every) for reason in base]
        spoke: dict[tuple[str, str], table.Bools] = {}
        for rule in (*book.rules, *book.caveats):
            if rule.active(day.day):
                for pair, mask in self.reader.weak(rule):
                    here = self.wanted if mask is True else self.wanted & mask
                    spoke[pair] = spoke[pair] | here if pair in spoke else here
        for pair in sorted(spoke):
            rows = np.flatnonzero(spoke[pair]).tolist()
            found += [(reason, rows) for reason in rendering.caveats(book, day, (pair,))[len(base) :] if rows]
        return found

    def _lines(self, rule: rules.Rule, binding: dict[str, Any], rows: table.Codes) -> Iterator[Line]:
        sites = self.reader.sites.sites
        try:
            codes = dict(self._codes(rule, binding, rows))
        except Exception:  # noqa: BLE001 - a key that cannot be made: each site gets its own sentence, which says so
            for row in rows.tolist():
                known = {**binding, operands.SITE: sites[row]}
                yield rendering.reason(rule, known, self.reader.day, self.book), [row]
            return
        groups = list(_alike(len(rows), codes.values()))
        firsts = np.array([group[0] for group in groups], dtype=np.intp)
        differ = {source: code[firsts].tolist() for source, code in codes.items()}
        chosen = [sites[row] for row in rows[firsts].tolist()]
        writer = writers.Writer(rule, binding, chosen, differ, self.reader.day, self.book)
        yield from zip(writer.written(), (rows[group].tolist() for group in groups), strict=True)

    def _codes(
        self, rule: rules.Rule, binding: dict[str, Any], rows: table.Codes
    ) -> Iterator[tuple[writers.Source, table.Codes]]:
        """Yield what a reason of the rule depends on, with a number for what it is at each of the rows."""
        for name in rule.said:
            column = self.reader.sites.columns[name]
            if len(column.values) > 1:
                yield name, column.codes[rows]
        for cite in rule.picked:
            assert cite.key is not None  # noqa: S101 - that is what makes it a pick
            column = self.reader.sites.columns[cite.operand.name]
            if len(column.values) > 1:
                key = rendering.fill(cite.key, rule, binding, self.reader.day)
                yield cite, self._pick(cite.operand.name, key, column, column.codes[rows])

    def _pick(self, name: str, key: str, column: table.Column, codes: table.Codes) -> table.Codes:
        """Return a number for what a keyed citation picks at each row; a table's values are looked at once each."""
        picks = self.reader.sites.picks
        known = picks.get((name, key))
        if known is None:
            known = np.full(len(column.values), -1, dtype=np.intp), {}
            picks.keep((name, key), known)
        numbers, items = known
        for code in np.unique(codes[numbers[codes] < 0]).tolist():
            item = rendering.picked(column.values[code], key)
            numbers[code] = items.setdefault(item, len(items))
        return numbers[codes]


def _alike(count: int, codes: Iterable[table.Codes]) -> list[table.Codes]:
    """Return so many rows, by position, in groups that agree in every code."""
    group: table.Codes | None = None
    for code in codes:
        if group is not None:
            code = group * (int(code.max()) + 1) + code
        # Numbered anew each time, so that the products stay small.
        group = np.unique(code, return_inverse=True)[1].reshape(-1)
    if group is None:
        return [np.arange(count)]
    order = group.argsort(kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def laid_out(lines: Iterable[Line], count: int) -> list[tuple[reasons.Reason, ...]]:
    """Return the reasons of each row, one a code, sorted; as ``rendering.united`` would."""
    found: list[list[reasons.Reason]] = [[] for _ in range(count)]
    merged: dict[tuple[int, int], reasons.Reason] = {}
    for reason, rows in sorted(lines, key=lambda line: (line[0].code, line[0].effect.value)):
        code, effect = reason.code, reason.effect
        for row in rows:
            own = found[row]
            if own and own[-1].code == code and own[-1].effect is effect:
                own[-1] = _merged(own[-1], reason, merged)
            else:
                own.append(reason)
    return [tuple(own) for own in found]


def _merged(
    first: reasons.Reason, second: reasons.Reason, known: dict[tuple[int, int], reasons.Reason]
) -> reasons.Reason:
    key = (id(first), id(second))
    if key not in known:
        known[key] = rendering.united((first, second))[0]
    return known[key]
