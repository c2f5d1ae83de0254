"""Thresholds that add up, within one cycle: what a placement counts holds back whom it concerns until the next cycle.

A verdict was given with the ledger as it stood when the cycle began. A placement that adds to the ledger makes the
verdicts of classes that read the same sums stale; rather than judge in the middle of a cycle, their turn is left to
the next one, which begins at once and reads the ledger with what this one counted. So two jobs that are placed side by
side never both get the rest of a threshold.
"""

from __future__ import annotations

import datetime as dt
import sys

from orchestrator.domain import ids, tallies
from orchestrator.policy import table
from orchestrator.policy import tallies as ledgers
from orchestrator.scheduler import classes, worlds

_MANY = sys.maxsize


class Counting:
    """What one cycle has counted so far."""

    def __init__(self, world: worlds.World, at: dt.datetime, sites: table.SiteTable) -> None:
        self._world = world
        self._at = at
        self._sites = sites
        self._scopes: dict[ids.Digest, frozenset[str]] = {}
        self._changed: dict[str, ids.Digest] = {}
        """Scopes that grew in this cycle, by the class that made them grow."""

    def at_once(self, job: classes.JobClass) -> int:
        """Return how many jobs of a class may be placed in one turn: none while its sums are no longer those it was
        judged by, one where each adds to them."""
        scopes = self._read_by(job)
        if not scopes:
            return _MANY
        if any(self._changed.get(scope, job.digest) != job.digest for scope in scopes):
            return 0
        trains = bool(job.attributes.operations)
        if trains and any(scope in self._changed for scope in scopes):
            return 0
        return 1 if trains else _MANY

    def count(self, job: classes.JobClass, row: int, who: ids.JobId) -> tuple[tallies.Tally, ...]:
        """Return what placing a job of a class at a site adds to the ledger."""
        if not self._read_by(job):
            return ()
        found = ledgers.counted(
            job.attributes,
            self._sites.sites[row],
            self._world.rulebook,
            self._at,
            tenant=job.requirement.tenant,
            who=str(who),
        )
        known = self._world.ledger or ledgers.NOTHING
        grown = [tally for tally in found if not known.holds(tally)]
        self._changed.update({tally.scope: job.digest for tally in grown})
        # What is used again counts from its last use: its window begins anew, and no sum of today changes.
        return tuple(tally for tally in found if tally in grown or not known.dated(tally))

    def _read_by(self, job: classes.JobClass) -> frozenset[str]:
        known = self._scopes.get(job.digest)
        if known is None:
            concerned = ledgers.concerned(job.attributes, self._world.rulebook, self._at)
            known = ledgers.scopes(job.attributes, job.requirement.tenant) if concerned else frozenset()
            self._scopes[job.digest] = known
        return known
