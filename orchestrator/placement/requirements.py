"""What a job asks of a place, and the same question put on one day.

A :class:`Requirement` is the part of a job that filters and scorers read: equal values are answered alike. It holds
names as written (country sets, currencies). A :class:`Question` is a requirement on a day, with every name resolved:
plain data, so that it can be stored beside a decision and be asked again years later. Neither judges anything.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol

from orchestrator.domain import facts, jobs, money, offers

REFERENCE_CURRENCY = "EUR"
"""Prices are compared in this currency where the job names no limit."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one job, or each element of an array, asks of a site. Amounts are per node.

    ``accelerators_any_of`` holds slugs of the catalogue; empty with a count means that any accelerator does.
    ``capabilities`` are values of ``offers.Capability``. Every list of ``countries_allow`` must hold the country.
    """

    tenant: str
    nodes: int = 1
    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: int = 0
    accelerators_any_of: tuple[str, ...] = ()
    accelerator_memory_gb: int | None = None
    interconnect: str | None = None
    capabilities: tuple[str, ...] = ()
    countries_allow: tuple[tuple[str, ...], ...] = ()
    countries_deny: tuple[str, ...] = ()
    price_per_hour_max: money.Money | None = None
    rtt_ms_max: int | None = None
    latency_from: str | None = None
    start_within: dt.timedelta | None = None
    objective: jobs.Objective = field(default_factory=jobs.Objective)
    attested: bool = False
    """Whether it asks for a trusted execution environment, or for attested facts."""

    @property
    def room(self) -> offers.Room:
        """Return what one attempt takes, all its nodes together."""
        return offers.Room(
            cpu_milli=self.cpu_milli * self.nodes,
            memory_bytes=self.memory_bytes * self.nodes,
            accelerators=self.accelerators * self.nodes,
            slots=1,
        )

    @property
    def currency(self) -> str:
        """Return the currency in which prices are compared: that of the limit, else the reference."""
        return self.price_per_hour_max.currency if self.price_per_hour_max else REFERENCE_CURRENCY

    def billed_units(self, has_accelerator: bool) -> int:
        """Return how many times a pool's price is due for an hour of the whole job.

        A pool with accelerators is priced per accelerator; a job that takes none of them still keeps others from
        one, so each of its nodes is billed as one. A pool without accelerators is priced per node.
        """
        return self.nodes * max(self.accelerators, 1) if has_accelerator else self.nodes


def room_of(spec: jobs.JobSpec) -> offers.Room:
    """Return what one attempt of ``spec`` takes of a site, all its nodes together."""
    wanted = spec.resources.accelerators
    return offers.Room(
        cpu_milli=spec.resources.cpu_milli * spec.nodes,
        memory_bytes=spec.resources.memory_bytes * spec.nodes,
        accelerators=wanted.count * spec.nodes if wanted else 0,
        slots=1,
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """An exchange rate with dates: one ``base`` is ``micro`` millionths of a ``quote``. The last day is included."""

    base: str
    quote: str
    micro: int
    valid_from: dt.date
    valid_to: dt.date | None = None
    source: str | None = None

    def holds(self, day: dt.date) -> bool:
        """Say whether it may be used on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Round-trip times in milliseconds from one place (region or country) to others, measured or documented.

    ``stamp`` says where they come from; ``stamps`` that of places whose figure comes from elsewhere.
    """

    origin: str
    places: Mapping[str, float]
    stamp: facts.FactStamp = field(default_factory=facts.FactStamp)
    stamps: Mapping[str, facts.FactStamp] = field(default_factory=dict)


NO_DISTANCES = Distances("", {})
"""Nobody stated any."""


class CountrySets(Protocol):
    """The dated country sets of the fact base, frozen for one day (``policy.dated.DayFacts`` is one)."""

    def countries(self, names: Iterable[str]) -> tuple[Collection[str], tuple[str, ...]]:
        """Return the country codes that the names stand for, and the names that stand for nothing."""

    def nearest(self, name: str) -> str | None:
        """Return the country or set that somebody who wrote ``name`` probably meant, or None."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Data that questions are resolved with. What it does not say is unknown: there is no default distance."""

    rates: tuple[Rate, ...] = ()
    distances: Mapping[str, Distances] = field(default_factory=dict)
    """By origin."""


NO_TABLES = Tables()
"""Nothing is known: every foreign currency and every distance is unknown."""


@dataclass(frozen=True, slots=True)
class Question:
    """A requirement on one day, every name resolved.

    ``allowed`` None: no list allows anything in particular. ``unknown_sets`` are names, on any list, that stand for
    nothing: they deny every country, because nobody knows whom they meant. ``meant`` says of some what they probably
    were.
    """

    requirement: Requirement
    day: dt.date
    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    unknown_sets: tuple[str, ...] = ()
    meant: tuple[tuple[str, str], ...] = ()
    rates: tuple[Rate, ...] = ()
    """Into the currency of the question, in force on the day; at most one a base."""
    distances: Distances = NO_DISTANCES
    """From the job's origin."""

    def rate(self, currency: str) -> int | None:
        """Return millionths of the question's currency for one unit of ``currency``; None: no dated rate."""
        if currency == self.requirement.currency:
            return money.MICRO
        found = self.rate_of(currency)
        return found.micro if found is not None else None

    def rate_of(self, currency: str) -> Rate | None:
        """Return the dated rate from another currency; None: there is none, or none is needed."""
        return next((rate for rate in self.rates if rate.base == currency), None)

    def rtt_ms(self, region: str | None, country: str | None) -> float | None:
        """Return the round-trip time to a region, else to its country; None: nobody stated it."""
        return self.distances.places.get(self.measured(region, country) or "")

    def measured(self, region: str | None, country: str | None) -> str | None:
        """Return the place whose distance counts for a site: its region where that is stated, else its country."""
        places = self.distances.places
        return region if region in places else country if country in places else None


_PRICED = {"requirement", "price_per_hour_max", "objective", "rates"}
_UNPRICED_REQUIREMENT = operator.attrgetter(*(f.name for f in fields(Requirement) if f.name not in _PRICED))
_UNPRICED_QUESTION = operator.attrgetter(*(f.name for f in fields(Question) if f.name not in _PRICED))


def unpriced(question: Question) -> Hashable:
    """Return everything of a question but price limit, objective and rates: what most filters read of it."""
    return _UNPRICED_REQUIREMENT(question.requirement), _UNPRICED_QUESTION(question)


def ask(requirement: Requirement, day: dt.date, sets: CountrySets | None, tables: Tables) -> Question:
    """Put a requirement on a day. ``sets`` None: no named set is known, and codes are taken as written."""
    resolved = [_resolve(sets, names) for names in requirement.countries_allow]
    denied, unknown = _resolve(sets, requirement.countries_deny)
    unknown = tuple(sorted({*unknown, *(name for _, names in resolved for name in names)}))
    meant = [(name, guess) for name in unknown if sets is not None and (guess := sets.nearest(name))]
    currency = requirement.currency
    in_force = [r for r in tables.rates if r.quote == currency and r.holds(day)]
    rates = {r.base: r for r in sorted(in_force, key=lambda r: r.valid_from)}
    return Question(
        requirement=requirement,
        day=day,
        allowed=frozenset.intersection(*(codes for codes, _ in resolved)) if resolved else None,
        denied=denied,
        unknown_sets=unknown,
        meant=tuple(meant),
        rates=tuple(rates.values()),
        distances=tables.distances.get(requirement.latency_from or "", NO_DISTANCES),
    )


def next_change(question: Question, tables: Tables) -> dt.date | None:
    """Return the next day on which a rate that the question could use starts or ends."""
    currency = question.requirement.currency
    days = [r.valid_from for r in tables.rates if r.quote == currency]
    days += [r.valid_to + dt.timedelta(days=1) for r in tables.rates if r.quote == currency and r.valid_to]
    return min((day for day in days if day > question.day), default=None)


def _resolve(sets: CountrySets | None, names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    if not names:
        return frozenset(), ()
    if sets is None:
        return frozenset(names), ()
    codes, unknown = sets.countries(names)
    return frozenset(codes), unknown
