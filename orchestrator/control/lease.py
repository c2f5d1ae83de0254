"""Who may act: takes and renews the controller's lease. Losing it is noticed here, and in every commit and effect."""

from __future__ import annotations

import datetime as dt

from orchestrator.domain import ids
from orchestrator.ports import environment, stores

TTL = dt.timedelta(seconds=15)


class Leadership:
    """Holds the lease for one loop. ``holder`` must name one run of one process."""

    def __init__(self, store: stores.Store, clock: environment.Clock, holder: str, *, ttl: dt.timedelta = TTL) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._ttl = ttl
        self._lease: stores.Lease | None = None
        self._renew_at_s = 0.0

    def term(self) -> ids.Term | None:
        """Return the term in which this loop may act, taking or renewing the lease when it is time; None: it may not.

        Raises StoreError.
        """
        now_s = self._clock.monotonic()
        if self._lease is not None and now_s < self._renew_at_s and self._store.current_term() == self._lease.term:
            return self._lease.term
        self._lease = self._store.acquire_lease(self._holder, self._ttl)
        self._renew_at_s = now_s + self._ttl.total_seconds() / 3
        return self._lease.term if self._lease is not None else None

    def release(self) -> None:
        """Let go, so that another controller need not wait."""
        if self._lease is not None:
            self._store.release_lease(self._lease)
            self._lease = None
