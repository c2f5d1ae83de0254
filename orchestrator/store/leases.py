"""Who may act: the maths of the controller's lease, the same in every make of the store.

Wall clocks jump and differ between replicas, so they do not decide. A candidate watches the lease; it is over when
it stayed unrenewed for its whole length by the candidate's own monotonic clock. Only for a lease never seen before
does the wall clock say how much is left, at most one length. A wrong wall clock thus costs at most one needless
change of controller, and the term fences the old one in every commit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import ids
from orchestrator.ports import environment, stores

NOBODY = ""


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """The lease as stored. ``holder`` empty: free. ``renewals`` changes with every write."""

    holder: str
    term: int
    expires_at: dt.datetime
    ttl: dt.timedelta
    renewals: int

    def lease(self) -> stores.Lease:
        """Return it as the port shows it."""
        return stores.Lease(self.holder, ids.Term(self.term), self.expires_at)


class LeaseWatch:
    """What one store has seen of the lease. Not thread-safe: used inside the writer only."""

    def __init__(self, clock: environment.Clock) -> None:
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._over_at_s = 0.0

    def decide(self, row: LeaseRow, holder: str, ttl: dt.timedelta) -> LeaseRow | None:
        """Return the row to write for ``holder``, or None while somebody else holds the lease."""
        if not holder or ttl <= dt.timedelta(0):
            raise ValueError("a lease needs a holder and a positive length")
        if row.holder == holder:
            term = row.term
        elif row.holder == NOBODY or self._is_over(row):
            term = row.term + 1
        else:
            return None
        return LeaseRow(holder, term, self._clock.now() + ttl, ttl, row.renewals + 1)

    def written(self, row: LeaseRow) -> None:
        """Note that this store has just written ``row``."""
        self._seen = (row.term, row.renewals)
        self._over_at_s = self._clock.monotonic() + row.ttl.total_seconds()

    def _is_over(self, row: LeaseRow) -> bool:
        mark, now_s = (row.term, row.renewals), self._clock.monotonic()
        if mark != self._seen:
            left_s = row.ttl.total_seconds()
            if self._seen is None:
                left_s = min(max((row.expires_at - self._clock.now()).total_seconds(), 0.0), left_s)
            self._seen, self._over_at_s = mark, now_s + left_s
        return now_s >= self._over_at_s


def released(row: LeaseRow) -> LeaseRow:
    """Return the row of a lease let go: nobody's, the same term, so that the next holder gets a new one."""
    return LeaseRow(NOBODY, row.term, row.expires_at, row.ttl, row.renewals + 1)
