"""Reasons: why a site may not take a job, or may only with a duty. Data, rendered once, at the edge.

A reason names its facts with source and date, and what would change it. A refusal is never a bare ``False``.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from orchestrator.domain import facts


class Effect(enum.Enum):
    """What a reason does to an answer."""

    __hash__ = object.__hash__  # members are single objects; hashing their names costs a call each

    DENY = "deny"
    """The site may not take the job."""
    OBLIGE = "oblige"
    """The site may take the job if somebody does something; listed on the job."""
    CAVEAT = "caveat"
    """The answer rests on something weaker than it should (an unverified fact, a pack switched off)."""


class Basis(enum.Enum):
    """On whose authority a reason stands."""

    LAW = "law"
    CONTRACT = "contract"
    HOUSE = "house"
    """The tenant's or job's own rule, or plain fitting (capacity, shape, price)."""
    DILIGENCE = "diligence"
    """Prudence: a missing or stale fact, an unverified mark."""


class RemedyKind(enum.Enum):
    """Who could change the answer, in the order in which ties are broken (architecture: nearest change)."""

    __hash__ = object.__hash__  # members are single objects; hashing their names costs a call each

    WAIT = "WAIT"
    CHANGE_JOB = "CHANGE_JOB"
    FIX_BACKEND = "FIX_BACKEND"
    CHANGE_POLICY = "CHANGE_POLICY"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would take a reason away.

    ``change`` is a sentence for a person; ``until`` is the moment after which waiting helps (WAIT only);
    ``drops_constraint`` marks a change that gives up a sovereignty constraint: offered last, and marked.
    """

    kind: RemedyKind
    change: str
    until: dt.datetime | None = None
    drops_constraint: bool = False


@dataclass(frozen=True, slots=True)
class FactCitation:
    """A fact as a reason cites it: document path, value as text, and where it comes from."""

    path: str
    value: str
    source: str | None = None
    as_of: dt.date | None = None
    valid_to: dt.date | None = None
    assurance: facts.Assurance | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One answer to "why (not)?". ``code`` is stable and documented; the message is for people."""

    code: str
    effect: Effect
    basis: Basis
    message: str
    facts: tuple[FactCitation, ...] = ()
    remedy: Remedy | None = None
