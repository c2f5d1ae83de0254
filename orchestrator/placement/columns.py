"""The columns of all sites as numpy arrays: the row reading's values, laid side by side.

Built once and changed row by row: ``set_site`` when a document changed, ``set_offer`` when a cycle brings a new
offer or promise. Text becomes a small number by a vocabulary (0: not stated), so that membership in a set is one
look-up table. Columns that depend on a currency or an origin are made when first asked for and kept.
Rows follow the order of site names, which is what breaks ties.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from orchestrator.domain import ids, offers, sites
from orchestrator.placement import requirements, rows

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNKNOWN = -1
"""Price or amount that nobody stated."""
PRICE_MAX = 2**62
"""Prices above count as this; nobody's limit reaches it."""
NO_BOUND = np.iinfo(np.int64).max
"""Slots or nodes without a bound."""
DERIVED_MAX = 64
"""Currencies and origins kept at once; older ones are made again."""
STANDING_MAX = 128
"""Outcomes of the standing filters kept at once; one over 10,000 sites is 80 kB."""

_INT_NAMES = (
    "node_cpu", "node_memory", "node_accelerators", "total_cpu", "total_memory", "total_accelerators",
    "free_cpu", "free_memory", "free_accelerators", "free_slots", "nodes_max", "accelerator_memory",
    "lists_to", "clear_from", "clear_to",
)  # fmt: skip
_CODE_NAMES = ("country", "accelerator", "interconnect", "owner")
_BOOL_NAMES = ("offered", "reachable", "cordoned", "queues", "isolation_none", "country_stated",
    "identity_changed", "identity_shared", "elsewhere",
    "unattested", "misattested", "frozen",
)  # fmt: skip


class Vocabulary:
    """Gives each text a small number; None and "" are 0."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def code(self, text: str | None) -> int:
        """Return the number of ``text``, giving it one when it is new."""
        return self.codes.setdefault(text, len(self.codes) + 1) if text else 0

    def mask(self, texts: Collection[str], column: Ints) -> Bools:
        """Say for each row of ``column`` whether its text is one of ``texts``; not stated is in no collection."""
        table = np.zeros(len(self.codes) + 1, dtype=np.bool_)
        codes = self.codes
        if len(texts) < len(codes):
            table[[codes[text] for text in texts if text in codes]] = True
        else:
            table[[code for text, code in codes.items() if text in texts]] = True
        return table[column]


@dataclass(slots=True)
class _Derived:
    """A column that depends on a currency and its rate, or on an origin."""

    question: requirements.Question
    values: Ints | Floats
    kind: str


@dataclass(slots=True)
class Columns:
    """All sites of one snapshot. ``items`` is the same, row by row."""

    items: list[rows.Row] = field(default_factory=list)
    names: list[ids.SiteName] = field(default_factory=list)
    index: dict[ids.SiteName, int] = field(default_factory=dict)
    ints: dict[str, Ints] = field(default_factory=dict)
    codes: dict[str, Ints] = field(default_factory=dict)
    bools: dict[str, Bools] = field(default_factory=dict)
    capabilities: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    has_accelerator: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    grams: Floats = field(default_factory=lambda: np.zeros(0))
    """Grams per accelerator and hour; NaN: unknown."""
    wait_us: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Expected wait where the site queues, microseconds; NO_BOUND: unknown."""
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    derived: dict[object, _Derived] = field(default_factory=dict)
    version: int = 0
    """Grows when anything changed that answers of standing filters and scores rest on."""
    standing: dict[object, npt.NDArray[np.uint64]] = field(default_factory=dict)
    """Refusals of the standing filters in this version, by what they read of a question."""

    def __len__(self) -> int:
        return len(self.items)

    def set_row(self, position: int, row: rows.Row) -> None:
        """Replace one row; what did not change costs nothing."""
        old = self.items[position]
        self.items[position] = row
        if row.site is not old.site:
            _write_site(self, position, row.site)
        if row.site is not old.site or _standing(row) != _standing(old):
            self.version += 1
            self.standing.clear()
        _write_offer(self, position, row)

    def keep_standing(self, key: object, bits: npt.NDArray[np.uint64]) -> None:
        """Remember refusals of the standing filters until something changes."""
        if len(self.standing) >= STANDING_MAX:
            self.standing.clear()
        self.standing[key] = bits

    def member(self, column: str, texts: Collection[str]) -> Bools:
        """Say for each site whether its ``column`` is one of ``texts``."""
        return self.vocabularies[column].mask(texts, self.codes[column])

    def unit_price(self, question: requirements.Question) -> Ints:
        """Return each pool's price in the question's currency, micro-units; UNKNOWN where it is not known."""
        return self._derive("price", (question.requirement.currency, question.rates), question)  # type: ignore[return-value]  # "price" makes whole numbers

    def rtt_ms(self, question: requirements.Question) -> Floats:
        """Return the round-trip time from the job's origin; NaN where it is not known."""
        return self._derive("rtt", question.distances, question)  # type: ignore[return-value]  # "rtt" makes floats

    def _derive(self, kind: str, key: object, question: requirements.Question) -> Ints | Floats:
        full_key = (kind, key)
        known = self.derived.get(full_key)
        if known is None:
            if len(self.derived) >= DERIVED_MAX:
                self.derived.clear()
            found = [_derived_value(kind, row.site, question) for row in self.items]
            values: Ints | Floats = np.array(found, np.int64) if kind == "price" else np.array(found, np.float64)
            known = self.derived[full_key] = _Derived(question, values, kind)
        return known.values


def build(all_rows: Iterable[rows.Row]) -> Columns:
    """Return the columns of ``all_rows``, in the order of their sites' names."""
    ordered = sorted(all_rows, key=lambda row: row.site.name)
    count = len(ordered)
    columns = Columns(items=ordered, names=[row.site.name for row in ordered])
    columns.index = {name: position for position, name in enumerate(columns.names)}
    columns.ints = {name: np.zeros(count, np.int64) for name in _INT_NAMES}
    columns.codes = {name: np.zeros(count, np.int64) for name in _CODE_NAMES}
    columns.bools = {name: np.zeros(count, np.bool_) for name in _BOOL_NAMES}
    columns.vocabularies = {name: Vocabulary() for name in (*_CODE_NAMES, "capability")}
    for power in offers.Capability:
        columns.vocabularies["capability"].code(power.value)
    columns.capabilities = np.zeros(count, np.uint64)
    columns.has_accelerator = np.zeros(count, np.bool_)
    columns.grams = np.zeros(count)
    columns.wait_us = np.zeros(count, np.int64)
    for position, row in enumerate(ordered):
        _write_site(columns, position, row.site)
        _write_offer(columns, position, row)
    return columns


def update(columns: Columns | None, wanted: Mapping[ids.SiteName, rows.Row]) -> Columns:
    """Return columns that say ``wanted``, changed in place where the sites are the same, else built anew."""
    if columns is None or len(columns) != len(wanted) or any(name not in columns.index for name in wanted):
        return build(wanted.values())
    for name, row in wanted.items():
        position = columns.index[name]
        old = columns.items[position]
        same = row.site is old.site and row.offer is old.offer
        if not same or row.reserved != old.reserved or row.backend != old.backend:
            columns.set_row(position, row)
    return columns


def _standing(row: rows.Row) -> tuple[object, ...]:
    """Return what an offer says that does not change from cycle to cycle."""
    bound = row.backend.nodes_max if row.backend else None
    return row.offer is None, row.node, row.offer and row.offer.total, row.isolation_none, row.cordoned, bound


def _write_site(columns: Columns, position: int, site: sites.Site) -> None:
    codes, vocabularies = columns.codes, columns.vocabularies
    texts = (site.location.country, site.accelerator, site.interconnect, site.owner_tenant)
    for name, text in zip(_CODE_NAMES, texts, strict=True):
        codes[name][position] = vocabularies[name].code(text)
    columns.bools["country_stated"][position] = bool(site.location.country)
    columns.has_accelerator[position] = site.accelerator is not None
    memory = site.accelerator_memory_gb
    columns.ints["accelerator_memory"][position] = UNKNOWN if memory is None else memory
    _write_screening(columns, position, site)
    columns.bools["identity_changed"][position] = site.identity is not None and site.identity.changed_to is not None
    columns.bools["elsewhere"][position] = site.elsewhere is not None
    columns.bools["frozen"][position] = site.frozen is not None
    mark = site.unattested
    columns.bools["unattested"][position] = mark is not None
    columns.bools["misattested"][position] = mark is not None and mark.code != sites.ATTESTATION_MISSING
    columns.bools["identity_shared"][position] = site.identity is not None and bool(site.identity.contradicts)
    known = vocabularies["capability"].codes
    # A capability that this version does not know is asked for by no job, so it needs no bit.
    bits = sum(1 << known[name] for name in site.capabilities if name in known)
    columns.capabilities[position] = bits
    grams = rows.grams_per_unit_hour(site)
    columns.grams[position] = np.nan if grams is None else grams
    for derived in columns.derived.values():
        derived.values[position] = _derived_value(derived.kind, site, derived.question)


def _write_screening(columns: Columns, position: int, site: sites.Site) -> None:
    """Write days as ordinals: to when all lists may be relied on, and between which days no name match is open."""
    found = site.screening
    clear = found.clear() if found is not None else (dt.date.min, dt.date.max)
    first, last = clear if clear is not None else (dt.date.max, dt.date.min)
    columns.ints["lists_to"][position] = (found.relied_to() if found is not None else dt.date.max).toordinal()
    columns.ints["clear_from"][position] = first.toordinal()
    columns.ints["clear_to"][position] = last.toordinal()


def next_screening_change(columns: Columns, day: dt.date) -> dt.date | None:
    """Return the next day on which a list ages out, or an answer about a name begins or ends to count, at any site."""
    ints, today = columns.ints, day.toordinal()
    days = (ints["lists_to"] + 1, ints["clear_from"], ints["clear_to"] + 1)
    later = [int(found.min()) for column in days if (found := column[column > today]).size]
    first = min(later, default=dt.date.max.toordinal() + 1)
    return dt.date.fromordinal(first) if first <= dt.date.max.toordinal() else None


def _write_offer(columns: Columns, position: int, row: rows.Row) -> None:
    ints, bools = columns.ints, columns.bools
    offer, node, free = row.offer, row.node or rows.NO_ROOM, row.free
    total = offer.total if offer else rows.NO_ROOM
    ints["node_cpu"][position] = node.cpu_milli
    ints["node_memory"][position] = node.memory_bytes
    ints["node_accelerators"][position] = node.accelerators
    ints["total_cpu"][position] = total.cpu_milli
    ints["total_memory"][position] = total.memory_bytes
    ints["total_accelerators"][position] = total.accelerators
    ints["free_cpu"][position] = free.cpu_milli
    ints["free_memory"][position] = free.memory_bytes
    ints["free_accelerators"][position] = free.accelerators
    ints["free_slots"][position] = NO_BOUND if offer and free.slots is None else free.slots or 0
    bound = row.backend.nodes_max if row.backend else None
    ints["nodes_max"][position] = NO_BOUND if bound is None else bound
    bools["offered"][position] = offer is not None
    bools["reachable"][position] = row.reachable
    bools["cordoned"][position] = row.cordoned
    bools["queues"][position] = row.queues
    bools["isolation_none"][position] = row.isolation_none
    wait = offer.queue.expected_wait if offer and offer.queue and offer.queue.accepts else None
    columns.wait_us[position] = NO_BOUND if wait is None else wait // dt.timedelta(microseconds=1)


def _derived_value(kind: str, site: sites.Site, question: requirements.Question) -> float:
    if kind == "price":
        price = rows.unit_price(site, question)
        return UNKNOWN if price is None else min(price.micro, PRICE_MAX)
    distance = rows.rtt_ms(site, question)
    return float("nan") if distance is None else distance
