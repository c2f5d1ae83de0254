"""Sites as columns: each attribute dictionary-encoded once, so that a predicate runs once per distinct value.

Building a table is not on the hot path. ``updated`` makes the next table from this one and encodes only the rows
that changed; values that no site has any more are dropped once they are the greater part. A table remembers the
outcome of predicates over its columns (bounded); it holds no other state.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain import facts
from orchestrator.policy import attributes, memory, operands

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
Words = npt.NDArray[np.uint64]

Lut = tuple[Bools, Bools | None]
"""Outcome of a predicate per (distinct value, place), and where it raised (None: nowhere)."""
Spread = tuple[Bools, Bools | None]
"""The same per site."""

Picks = tuple[Codes, dict[Hashable, int]]
"""For each distinct value of a column the number of what is picked of it, -1 where nobody asked; and the numbers."""

REMEMBERED_MAX = 256
"""Outcomes kept per table and generation; one over 10,000 sites is 10 kB."""
MASKS_MAX = 64
"""Outcomes of groups of rules kept per table and generation; one over 10,000 sites is 80 kB."""
TOKENS_MAX = 4096
"""Values numbered at once."""


class Column:
    """The distinct values of one attribute, and for each site the index of its value."""

    __slots__ = ("codes", "index", "values")

    def __init__(self, values: list[Any], index: dict[Any, int], codes: Codes) -> None:
        self.values = values
        self.index = index
        self.codes = codes

    @classmethod
    def of(cls, cells: Iterable[Hashable]) -> Column:
        """Encode the cells of all sites, in their order."""
        index: dict[Any, int] = {}
        codes = [index.setdefault(cell, len(index)) for cell in cells]
        return cls(list(index), index, np.array(codes, dtype=np.intp))

    def replaced(self, rows: Sequence[int], cells: Sequence[Hashable]) -> Column:
        """Return the column with other cells in some rows; values that nobody has any more stay, harmlessly."""
        index = dict(self.index)
        codes = self.codes.copy()
        codes[list(rows)] = [index.setdefault(cell, len(index)) for cell in cells]
        return Column(list(index), index, codes)


class Combined:
    """Several attributes as one column; ``parts`` maps a combination to the value index of each attribute."""

    __slots__ = ("codes", "parts", "size")

    def __init__(self, columns: dict[str, Column], count: int) -> None:
        self.parts: dict[str, Codes] = {}
        self.size = 1
        self.codes: Codes = np.zeros(count, dtype=np.intp)
        if not columns:
            return
        stacked = np.stack([column.codes for column in columns.values()])
        distinct, inverse = np.unique(stacked, axis=1, return_inverse=True)
        self.codes = inverse.reshape(-1).astype(np.intp)
        self.size = distinct.shape[1]
        self.parts = {name: distinct[row].astype(np.intp) for row, name in enumerate(columns)}


class SiteTable:
    """Sites by row, and their attributes by column. Immutable but for what it remembers."""

    def __init__(self, sites: Iterable[attributes.SiteAttributes]) -> None:
        self.sites: tuple[attributes.SiteAttributes, ...] = tuple(sites)
        self.rows: dict[str, int] = {site.name: row for row, site in enumerate(self.sites)}
        self.columns: dict[str, Column] = {
            name: Column.of(operand.read(site) for site in self.sites) for name, operand in _SITE_OPERANDS.items()
        }
        self._luts: memory.Memory[Lut] = memory.Memory(REMEMBERED_MAX)
        self._finish()

    def _finish(self) -> None:
        places = self.columns["site.places"]
        self.locations: tuple[str, ...] = tuple(sorted({place.code for value in places.values for place in value}))
        self.location_words = self._location_words(places)
        days = {day for site in self.sites for day in _boundaries(site)}
        self._days = sorted(days)
        self._attested = sorted({moment for site in self.sites if (moment := _attested_at(site)) is not None})
        self._edges = sorted({moment for site in self.sites for moment in _attested_edges(site)})
        self._combined: dict[tuple[str, ...], Combined] = {}
        self._spreads: memory.Memory[Spread] = memory.Memory(REMEMBERED_MAX)
        self.outcomes: memory.Memory[Any] = memory.Memory(REMEMBERED_MAX)
        """Where one instance of a rule fires and where it could not be judged, by what it reads of the job."""
        self.masks: memory.Memory[tuple[tuple[int, Words], ...]] = memory.Memory(MASKS_MAX)
        """The bits of a group of rules, (word, bits by site), by what the group reads of the job."""
        self.picks: memory.Memory[Picks] = memory.Memory(REMEMBERED_MAX)
        """What keyed citations take out of the values of a column, by (column, key)."""
        self._assured: dict[facts.Assurance, SiteTable] = {}
        self._tokens: dict[Hashable, int] = {}
        self._next_token = 0

    def token(self, value: Hashable) -> int:
        """Return a number for a value, the same for equal values as long as it is remembered, never for others."""
        known = self._tokens.get(value)
        if known is None:
            if len(self._tokens) >= TOKENS_MAX:
                self._tokens.clear()
            known = self._tokens[value] = self._next_token = self._next_token + 1
        return known

    def _location_words(self, places: Column) -> Words:
        bit = {code: number for number, code in enumerate(self.locations)}
        flags = np.zeros((max(len(places.values), 1), words_for(len(bit)) * 64), dtype=np.bool_)
        for row, value in enumerate(places.values):
            for place in value:
                flags[row, bit[place.code]] = True
        return pack(flags)[places.codes] if len(self.sites) else pack(flags)[:0]

    def __len__(self) -> int:
        return len(self.sites)

    def updated(self, sites: Iterable[attributes.SiteAttributes]) -> SiteTable:
        """Return the table of these sites; rows that are the same objects as before are not encoded again."""
        sites = tuple(sites)
        if [site.name for site in sites] != [site.name for site in self.sites]:
            return SiteTable(sites)
        changed = [row for row, site in enumerate(sites) if site is not self.sites[row] and site != self.sites[row]]
        if not changed:
            return self
        if any(len(column.values) > 2 * len(sites) + 64 for column in self.columns.values()):
            return SiteTable(sites)
        table = SiteTable.__new__(SiteTable)
        table.sites = sites
        table.rows = self.rows
        table.columns = {
            name: column.replaced(changed, [_SITE_OPERANDS[name].read(sites[row]) for row in changed])
            for name, column in self.columns.items()
        }
        table._luts = self._luts.copy()  # noqa: SLF001 - the same class
        table._finish()  # noqa: SLF001 - the same class
        for level, variant in self._assured.items():
            table._assured[level] = variant.updated(attributes.assured(site, level) for site in sites)  # noqa: SLF001
        return table

    def assured(self, level: facts.Assurance | None) -> SiteTable:
        """Return the same rows as a job reads them that demands ``level``; made when first asked for."""
        if level is None or level is facts.Assurance.DECLARED:
            return self
        known = self._assured.get(level)
        if known is None:
            known = self._assured[level] = SiteTable(attributes.assured(site, level) for site in self.sites)
        return known

    def combined(self, names: tuple[str, ...]) -> Combined:
        """Return several attributes as one column."""
        known = self._combined.get(names)
        if known is None:
            known = Combined({name: self.columns[name] for name in names}, len(self.sites))
            self._combined[names] = known
        return known

    def lut(self, key: Hashable, size: int, make: Callable[[int], Lut]) -> Lut:
        """Return a predicate's outcome per distinct value; ``make(start)`` computes the values from ``start`` on.

        A column that was updated only ever has values appended, so what is known of the others stays known.
        """
        known = self._luts.get(key)
        if known is not None and known[0].shape[0] == size:
            return known
        if known is None:
            known = make(0)
        else:
            tail = make(known[0].shape[0])
            bad = None
            if known[1] is not None or tail[1] is not None:
                parts = [np.zeros_like(lut) if broken is None else broken for lut, broken in (known, tail)]
                bad = np.concatenate(parts)
            known = (np.concatenate((known[0], tail[0])), bad)
        self._luts.keep(key, known)
        return known

    def spread(self, key: Hashable, make: Callable[[], Spread]) -> Spread:
        """Return a predicate's outcome per site, remembered for this very table."""
        known = self._spreads.get(key)
        if known is None:
            known = make()
            self._spreads.keep(key, known)
        return known

    def next_change(self, day: dt.date) -> dt.date | None:
        """Return the first day after ``day`` on which a paper or stamp of any site starts or ends."""
        at = bisect.bisect_right(self._days, day)
        return self._days[at] if at < len(self._days) else None

    def next_moments(self, at: dt.datetime, hours: Iterable[float]) -> list[dt.datetime]:
        """Return the next moments after ``at`` at which an attestation begins, ends, or passes one of the ages."""
        after = bisect.bisect_right(self._edges, at)
        found = self._edges[after : after + 1]
        for age in (dt.timedelta(hours=each) for each in hours):
            first = bisect.bisect_left(self._attested, at - age)
            found += [moment + age + _TICK for moment in self._attested[first : first + 1]]
        return found


_TICK = dt.timedelta(microseconds=1)
_SITE_OPERANDS = {name: op for name, op in operands.OPERANDS.items() if op.scope == operands.SITE}


def _attested_at(site: attributes.SiteAttributes) -> dt.datetime | None:
    return site.attested.at if site.attested is not None and site.attested.verified else None


def _attested_edges(site: attributes.SiteAttributes) -> Iterable[dt.datetime]:
    """Return when the attestation of a site begins to count, and when its verifier lets it end."""
    at, until = _attested_at(site), site.attested.until if site.attested is not None else None
    return [*([at] if at is not None else []), *([until + _TICK] if until is not None else [])]


def _boundaries(site: attributes.SiteAttributes) -> Iterable[dt.date]:
    if not site.certs and not site.evidence and not site.claims and site.facts_valid_to is None:
        return ()
    return site.boundaries()


def words_for(bits: int) -> int:
    """Return how many 64-bit words hold so many bits, at least one."""
    return max(1, -(-bits // 64))


def pack(flags: Bools) -> Words:
    """Pack rows of booleans, whose length is a multiple of 64, into words; bit k of a row is flag k."""
    packed = np.packbits(flags, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64, copy=False)
