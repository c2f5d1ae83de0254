"""Who asks, what about, and from where: tenants, queues, data sets, and the control plane as a place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain import facts, jobs, listings, sites

SHARED = ""
"""Stands for the tenant of what belongs to nobody in particular."""


@dataclass(frozen=True, slots=True)
class Controller:
    """Who decides about personal data. ``operator`` links it to a registered operator (self-hosting)."""

    operator: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much data about how many people, within a window."""

    persons: int = 0
    sensitive: int = 0
    window: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Registered data. Its rules stick to every job that reads it, and to what that job writes."""

    name: str
    tenant: str
    controller: Controller = field(default_factory=Controller)
    classes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    """Jurisdictions of the people it is about; ``EU`` means somebody in the EU."""
    counts: Counts = field(default_factory=Counts)
    location: sites.Location = field(default_factory=sites.Location)
    safeguards: tuple[sites.Evidence, ...] = ()
    derived_from: tuple[str, ...] = ()
    owner: str | None = None
    facts: facts.FactStamp = field(default_factory=facts.FactStamp)
    export_control: tuple[jobs.ExportItem, ...] = ()
    ciio: bool | None = None
    """Held by an operator of critical information infrastructure (China)."""
    primary_db: str | None = None
    """Country of the database where the data was first recorded."""
    listed: tuple[str, ...] = ()
    """Entries of lists that its controller, or an end user of its licences, may be; set where lists are in force."""
    sdf_localised: bool | None = None
    """Named by India's government as data that a significant data fiduciary keeps in the country."""


@dataclass(frozen=True, slots=True)
class DefaultData:
    """What a job that says nothing about data is judged as reading."""

    classes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the control plane: country, floor of constraints, tiers, default data."""

    name: str
    hq: str | None = None
    sector: str | None = None
    us_person: bool | None = None
    default_data: DefaultData | None = None
    floor: jobs.Sovereignty = field(default_factory=jobs.Sovereignty)
    tiers: tuple[tuple[str, jobs.Sovereignty], ...] = ()
    may_declare_no_data: tuple[str, ...] | None = None
    """Roles that may say ``data: none``; None: everybody may."""
    us_only_users: bool | None = None
    sanctions_regimes: tuple[str, ...] | None = None
    """As of ``sites.Operator``."""
    blocking_laws: tuple[listings.BlockingLaw, ...] = ()
    listed: tuple[str, ...] = ()
    """Entries of lists that it may be, and how each was found; set where lists are in force."""
    problem: str | None = None
    """Why the document cannot be read any more: nobody knows its floor, so none of its jobs can be judged."""
    """All its users are in the US and US persons."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of a tenant: weight against other queues, and named priorities (higher goes first)."""

    name: str
    tenant: str | None = None
    weight: int = 1
    priorities: tuple[tuple[str, int], ...] = ()

    def priority(self, name: str | None) -> int:
        """Return the number of a named priority; 0 for None or a name the queue does not define."""
        return dict(self.priorities).get(name or "normal", 0)


def queue_of(queues: Mapping[str, Mapping[str, Queue]], tenant: str, name: str | None) -> Queue | None:
    """Return the queue that a tenant means: its own of this name, else the one all tenants share.

    ``queues`` are by tenant and name; those that belong to nobody stand under ``""``.
    """
    for whose in (tenant, SHARED):
        found = queues.get(whose, {}).get(name or "")
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane is a place too: specs, logs and records lie here."""

    name: str = "self"
    operator: str | None = None
    location: sites.Location = field(default_factory=sites.Location)
    admin_from: tuple[str, ...] = ()
    log_store: sites.Location | None = None
    backup_store: sites.Location | None = None
    sanctions_regimes: tuple[str, ...] | None = None
    """As of ``sites.Operator``."""
    blocking_laws: tuple[listings.BlockingLaw, ...] = ()
    seats: tuple[str, ...] = ()
    """Where its operator is established and has its parent; set where operators are known."""
    listed: tuple[str, ...] = ()
    """Entries of lists that its operator may be; set where lists are in force."""
    facts: facts.FactStamp = field(default_factory=facts.FactStamp)
