"""Obligations: what somebody has to do because a job was placed where it was. One for each job and code.

A rule with effect ``oblige`` lets a placement through and asks for something in return: a transfer assessment, an
entry in a register, a notice to an authority. From the commit of the placement on it is kept beside the job, due on a
day, until a named person fulfils it with evidence. What is not done in time is overdue, and stays so until it is done.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
from dataclasses import dataclass

from orchestrator.domain import ids, reasons

DUE_DAYS_DEFAULT = 30
"""Days after the placement within which a duty is done whose rule says nothing else."""
DUE_DAYS_MAX = 3_650
_DUE = re.compile(r"([0-9]{1,4})d", re.ASCII)
_STANDING = "none"
OBLIGED = "Obliged"
"""Condition of a job for whose placement something has to be done."""
OVERDUE = "ObligationOverdue"
"""Condition of a live job of which something was not done in time."""


class State(enum.Enum):
    """What became of an obligation."""

    OPEN = "open"
    """To be done, and not late."""
    OVERDUE = "overdue"
    """Its day passed. No clock takes that back: only doing it, or ``WITHDRAWN``."""
    FULFILLED = "fulfilled"
    """Done: somebody named the evidence."""
    WITHDRAWN = "withdrawn"
    """Void: the attempt was never launched, or it was to last as long as the job, which has ended."""

    @property
    def pending(self) -> bool:
        """Say whether it is still to be done."""
        return self in (State.OPEN, State.OVERDUE)


def parse_due(text: str) -> int | None:
    """Return the days that a rule gives (``14d``), None for ``none``: while the job lives. Raises ValueError."""
    if text == _STANDING:
        return None
    found = _DUE.fullmatch(text)
    if found is None or int(found[1]) > DUE_DAYS_MAX:
        raise ValueError(f"expected days after the placement, as 14d, of {DUE_DAYS_MAX} at most; or {_STANDING}")
    return int(found[1])


def due_text(days: int | None) -> str:
    """Return days as a rule writes them."""
    return _STANDING if days is None else f"{days}d"


PENDING = frozenset(state for state in State if state.pending)


@dataclass(frozen=True, slots=True)
class Duty:
    """What a rule asks for at one site. ``due_days`` are whole days after the placement; None: while the job lives."""

    code: str
    basis: reasons.Basis
    message: str
    source: str
    due_days: int | None = DUE_DAYS_DEFAULT


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """Who did it, and what shows it. ``actor`` is the token that said so, ``by`` the person who answers for it."""

    reference: str
    digest: str
    by: str
    note: str
    actor: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Obligation:
    """One duty of one job. ``site``, ``attempt`` and ``placed_at`` are those of the placement that brought it.

    ``version`` is that of its row, 0 for a new one. ``ended_at`` says when it was withdrawn, ``reason`` why.
    """

    job: ids.JobId
    tenant: str
    duty: Duty
    site: ids.SiteName
    attempt: int
    placed_at: dt.datetime
    due_at: dt.datetime | None
    state: State = State.OPEN
    overdue_at: dt.datetime | None = None
    fulfilment: Fulfilment | None = None
    reason: str = ""
    ended_at: dt.datetime | None = None
    version: int = 0

    @property
    def key(self) -> tuple[ids.JobId, str]:
        """Return what it is kept under: job and code."""
        return (self.job, self.duty.code)

    def late(self, now: dt.datetime) -> bool:
        """Say whether its day has passed and nobody has noted it."""
        return self.state is State.OPEN and self.due_at is not None and now >= self.due_at


def recorded(
    old: Obligation | None,
    duty: Duty,
    *,
    job: ids.JobId,
    tenant: str,
    site: ids.SiteName,
    attempt: int,
    placed_at: dt.datetime,
) -> Obligation:
    """Return the obligation after a placement that brings ``duty``; ``old`` itself where it stands as it is.

    A job that is placed again owes the same thing once, from its first placement on. What was withdrawn is owed anew.
    """
    if old is not None and old.state is not State.WITHDRAWN:
        return old
    due_at = None if duty.due_days is None else placed_at + dt.timedelta(days=duty.due_days)
    version = 0 if old is None else old.version
    return Obligation(job, tenant, duty, site, attempt, placed_at, due_at, version=version)


def withdrawn(old: Obligation, reason: str, at: dt.datetime) -> Obligation:
    """Return an obligation that nobody owes any more; one that is fulfilled stays so."""
    if not old.state.pending:
        return old
    return dataclasses.replace(old, state=State.WITHDRAWN, reason=reason, ended_at=at)


def overdue(old: Obligation, now: dt.datetime) -> Obligation:
    """Return the obligation once its day has passed; noted once."""
    return dataclasses.replace(old, state=State.OVERDUE, overdue_at=now) if old.late(now) else old


def fulfilled(old: Obligation, done: Fulfilment) -> Obligation:
    """Return the obligation with its evidence. Raises ValueError for one that is not pending."""
    if not old.state.pending:
        raise ValueError(f"{old.duty.code} of {old.job} is {old.state.value}")
    return dataclasses.replace(old, state=State.FULFILLED, fulfilment=done)
