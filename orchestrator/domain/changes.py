"""Changes that would stop many running jobs, as values: what is held, whom it hits, who let it go on.

A change is whatever made rules and facts other than they were at the last review. It is told by the digests before
and after; which documents were written in between is a help to the reader, no proof.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import ids

HELD = "ChangeHeld"
"""Condition of a job that a change would stop, and that runs on until somebody confirms; its reason is the change."""
EXPIRED = "FactsExpired"
"""Condition of a job whose place has facts that are too old; it runs on until its grace ends."""
CLOCK = "clock"
"""Stands for the policy clock among the changes: the time is confirmed as a change is."""

JOBS_MAX = 5
"""A change that would stop more running jobs is held."""
SHARE_MAX_PERCENT = 10
"""So is one that would stop a larger share of a tenant's running jobs, and more than one of them."""


@dataclass(frozen=True, slots=True)
class Hit:
    """How many of a tenant's running jobs a change would stop, and the first of them."""

    tenant: str
    stopped: int
    running: int
    jobs: tuple[ids.JobId, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Who let a held change go on, and why. ``recorded`` is the token."""

    by: str
    reason: str
    at: dt.datetime
    recorded: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is held, or was. ``documents`` (``policy/no-night``) were written since the last review."""

    id: str
    at: dt.datetime
    policy: ids.Digest
    facts: ids.Digest
    codes: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    confirmed: Confirmation | None = None

    @property
    def count(self) -> int:
        """Return how many jobs it would have stopped when it was held."""
        return sum(hit.stopped for hit in self.hits)


def is_too_many(hits: tuple[Hit, ...]) -> bool:
    """Say whether a change with these hits is held: many jobs, or much of one tenant. One job is no fleet."""
    if sum(hit.stopped for hit in hits) > JOBS_MAX:
        return True
    return any(hit.stopped > 1 and hit.stopped * 100 > hit.running * SHARE_MAX_PERCENT for hit in hits)
