"""A site as one cycle sees it, for the row reading: the site, its offer, what is promised there, its backend's state.

Prices, emissions and distances of one job at one site are computed here, once; filters, scorers and answers share
them. Unknown is ``None`` everywhere, never zero.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import money, offers, sites
from orchestrator.placement import requirements

NO_ROOM = offers.Room()
"""Nothing at all."""


@dataclass(frozen=True, slots=True)
class BackendState:
    """What is known of a backend besides its document. ``reachable`` False: its last calls failed."""

    name: str
    reachable: bool = True
    cordoned: bool = False
    nodes_max: int | None = None
    """Largest gang that its adapter starts; None: no bound stated."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One site in one cycle. ``offer`` None: the backend has not said yet what it could take.

    ``reserved`` is what attempts promised to this site take that the offer has not counted.
    """

    site: sites.Site
    offer: offers.Offer | None = None
    backend: BackendState | None = None
    reserved: offers.Room = NO_ROOM

    @property
    def reachable(self) -> bool:
        """Say whether the backend answers; one of which nothing is known is not reachable."""
        return self.backend is not None and self.backend.reachable

    @property
    def cordoned(self) -> bool:
        """Say whether somebody took the backend out of service."""
        return self.backend is not None and self.backend.cordoned

    @property
    def isolation_none(self) -> bool:
        """Say whether the site cannot keep a job from the control plane's secrets, by document or by offer."""
        return self.site.isolation_none or (self.offer is not None and self.offer.isolation_none)

    @property
    def node(self) -> offers.Room | None:
        """Return the most that one node of the pool could ever hold: its largest node, else the whole pool."""
        if self.offer is None:
            return None
        return self.offer.largest_node or self.offer.total

    @property
    def free(self) -> offers.Room:
        """Return what is left now: the offer less what is promised and not counted by it."""
        if self.offer is None:
            return NO_ROOM
        return self.offer.free if self.reserved is NO_ROOM else remaining(self.offer.free, self.reserved)

    @property
    def queues(self) -> bool:
        """Say whether the site takes jobs now although they will wait there."""
        return self.offer is not None and self.offer.queue is not None and self.offer.queue.accepts


def remaining(free: offers.Room, taken: offers.Room) -> offers.Room:
    """Return ``free`` less ``taken``; below zero where more is promised than there is."""
    return offers.Room(
        cpu_milli=free.cpu_milli - taken.cpu_milli,
        memory_bytes=free.memory_bytes - taken.memory_bytes,
        accelerators=free.accelerators - taken.accelerators,
        slots=None if free.slots is None else free.slots - (taken.slots or 0),
    )


def added(left: offers.Room, right: offers.Room) -> offers.Room:
    """Return the sum of two amounts; ``slots`` None counts as none."""
    return offers.Room(
        cpu_milli=left.cpu_milli + right.cpu_milli,
        memory_bytes=left.memory_bytes + right.memory_bytes,
        accelerators=left.accelerators + right.accelerators,
        slots=(left.slots or 0) + (right.slots or 0),
    )


def holds(free: offers.Room, wanted: offers.Room) -> bool:
    """Say whether ``wanted`` fits into ``free``. What is not wanted is never short, even where too much is promised."""
    return (
        (not wanted.cpu_milli or wanted.cpu_milli <= free.cpu_milli)
        and (not wanted.memory_bytes or wanted.memory_bytes <= free.memory_bytes)
        and (not wanted.accelerators or wanted.accelerators <= free.accelerators)
        and (not wanted.slots or free.slots is None or wanted.slots <= free.slots)
    )


def unit_price(site: sites.Site, question: requirements.Question) -> money.Money | None:
    """Return the pool's price in the question's currency, rounded down to micro-units; None: unknown."""
    return _price(site, question, 1)


def price_per_hour(site: sites.Site, question: requirements.Question) -> money.Money | None:
    """Return the price of the whole job (one element of an array) per hour; None: unknown."""
    return _price(site, question, question.requirement.billed_units(site.accelerator is not None))


def _price(site: sites.Site, question: requirements.Question, units: int) -> money.Money | None:
    price = site.price_per_hour
    rate = None if price is None else question.rate(price.currency)
    if price is None or rate is None:
        return None
    return money.Money(price.micro * rate // money.MICRO * units, question.requirement.currency)


def grams_per_unit_hour(site: sites.Site) -> float | None:
    """Return grams of CO2 equivalent per accelerator and hour at full power: W / 1000 x PUE x g/kWh; None: unknown."""
    if site.accelerator_watts is None or site.pue is None or site.carbon is None:
        return None
    return site.accelerator_watts / 1000.0 * site.pue * site.carbon.grams_per_kwh


def grams_per_hour(site: sites.Site, question: requirements.Question) -> float | None:
    """Return grams of CO2 equivalent per hour of the whole job; None: unknown."""
    unit = grams_per_unit_hour(site)
    units = question.requirement.billed_units(site.accelerator is not None)
    return None if unit is None else unit * units


def rtt_ms(site: sites.Site, question: requirements.Question) -> float | None:
    """Return the round-trip time between the job's origin and the site; None: unknown."""
    return question.rtt_ms(site.location.region, site.location.country)


def starts_in(row: Row, question: requirements.Question) -> dt.timedelta | None:
    """Return how long the job would wait there; zero where there is room now; None: unknown."""
    if row.offer is None:
        return None
    if holds(row.free, question.requirement.room):
        return dt.timedelta(0)
    return row.offer.queue.expected_wait if row.offer.queue and row.offer.queue.accepts else None
