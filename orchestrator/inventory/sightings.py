"""What observers last saw of each backend: offers, discovered pools, reachability, circuit, capabilities.

Written by the control loop, read by everybody, from any thread. Reading never waits for a backend: that is why this
exists. Nothing here is durable; after a restart it fills again within one round of observations.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.domain import ids, sites
from orchestrator.domain import offers as offer_values
from orchestrator.evidence import canonical


class Circuit(enum.Enum):
    """State of the circuit breaker of a backend."""

    CLOSED = "closed"
    """Calls go through."""
    OPEN = "open"
    """Too many calls in a row failed; none is made until the pause is over."""
    PROBING = "probing"
    """The pause is over; one call at a time finds out."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was last seen of one backend.

    ``offers`` are those of the last answer, None before the first one. ``unreachable_since`` is None while the
    backend answers; ``error_code`` and ``error_message`` are of its last failed call, "" after a good one.
    """

    backend: str
    capabilities: offer_values.Capabilities | None = None
    offers: Mapping[ids.SiteName, offer_values.Offer] | None = None
    seen_at: dt.datetime | None = None
    """When it last answered anything."""
    unreachable_since: dt.datetime | None = None
    error_code: str = ""
    error_message: str = ""
    circuit: Circuit = Circuit.CLOSED

    @property
    def reachable(self) -> bool:
        """Say whether it answered, and its last calls did not fail."""
        return self.seen_at is not None and self.unreachable_since is None

    @property
    def pools(self) -> tuple[sites.Pool, ...]:
        """Return the pools its adapter discovered."""
        found = [offer.pool for offer in (self.offers or {}).values() if offer.pool is not None]
        return tuple(sorted(found, key=lambda pool: pool.name))

    def offer(self, site: ids.SiteName) -> offer_values.Offer | None:
        """Return the last offer of a site."""
        return (self.offers or {}).get(site)


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of a sighting of which sites are made; offers that only change in size leave it as it is."""

    capabilities: offer_values.Capabilities | None
    pools: tuple[sites.Pool, ...]
    isolation_none: frozenset[ids.SiteName]


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything last seen, at one moment."""

    version: int
    revision: int
    backends: Mapping[str, Sighting] = field(default_factory=dict)

    def of(self, backend: str) -> Sighting:
        """Return what is known of ``backend``; an empty sighting for one never seen."""
        return self.backends.get(backend) or Sighting(backend)

    def all_offers(self) -> Mapping[ids.SiteName, offer_values.Offer]:
        """Return every offer by site."""
        return {name: offer for one in self.backends.values() for name, offer in (one.offers or {}).items()}


class Sightings:
    """The record. Thread-safe; every write replaces an immutable value."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = Seen(0, 0, MappingProxyType({}))

    @property
    def version(self) -> int:
        """Return a number that grows when something of which sites are made changed (pools, capabilities)."""
        return self._seen.version

    @property
    def revision(self) -> int:
        """Return a number that grows with every change."""
        return self._seen.revision

    def seen(self) -> Seen:
        """Return everything last seen, consistent; never waits."""
        return self._seen

    def of(self, backend: str) -> Sighting:
        """Return what is known of one backend."""
        return self._seen.of(backend)

    def record_capabilities(self, backend: str, capabilities: offer_values.Capabilities) -> None:
        """Note what the adapter states."""
        self._change(backend, capabilities=capabilities)

    def record_offers(self, backend: str, found: Sequence[offer_values.Offer], *, at: dt.datetime) -> None:
        """Note the answer of ``offers()``, in place of the one before. Foreign sites are left out.

        Amounts beyond what a decision can record exactly are taken down to that: less room is never a wrong yes.
        """
        kept = {offer.site: _recordable(offer) for offer in found if str(offer.site).startswith(f"{backend}/")}
        self._change(backend, offers=MappingProxyType(kept), seen_at=at, **_REACHABLE)

    def record_answer(self, backend: str, *, at: dt.datetime) -> None:
        """Note that some other call was answered: the backend can be reached."""
        self._change(backend, seen_at=at, **_REACHABLE)

    def record_failure(self, backend: str, *, at: dt.datetime, code: str, message: str, unreachable: bool) -> None:
        """Note a failed call. ``unreachable``: enough of them failed to say so; the first such moment is kept."""
        since = self.of(backend).unreachable_since
        if unreachable and since is None:
            since = at
        self._change(backend, unreachable_since=since, error_code=code, error_message=message[:1000])

    def record_circuit(self, backend: str, circuit: Circuit) -> None:
        """Note the state of the circuit breaker."""
        self._change(backend, circuit=circuit)

    def forget(self, backend: str) -> None:
        """Drop a backend that was withdrawn or rebuilt; it is seen again from nothing."""
        with self._lock:
            old = self._seen
            if backend in old.backends:
                rest = {name: one for name, one in old.backends.items() if name != backend}
                self._seen = Seen(old.version + 1, old.revision + 1, MappingProxyType(rest))

    def _change(self, backend: str, **members: object) -> None:
        with self._lock:
            old = self._seen
            before = old.of(backend)
            after = dataclasses.replace(before, **members)  # type: ignore[arg-type]  # only this module names members
            if after == before and backend in old.backends:
                return
            grown = int(facts_of(before) != facts_of(after))
            changed = MappingProxyType({**old.backends, backend: after})
            self._seen = Seen(old.version + grown, old.revision + 1, changed)


def _recordable(offer: offer_values.Offer) -> offer_values.Offer:
    """Return an offer whose amounts canonical JSON can hold; tens of thousands of accelerators have more bytes."""
    rooms = {"free": offer.free, "total": offer.total, "largest_node": offer.largest_node}
    bounded = {name: _bounded(room) for name, room in rooms.items() if room is not None}
    changed = {name: room for name, room in bounded.items() if room != rooms[name]}
    return dataclasses.replace(offer, **changed) if changed else offer  # type: ignore[arg-type]  # rooms by their names


def _bounded(room: offer_values.Room) -> offer_values.Room:
    return offer_values.Room(
        cpu_milli=min(room.cpu_milli, canonical.INT_MAX),
        memory_bytes=min(room.memory_bytes, canonical.INT_MAX),
        accelerators=min(room.accelerators, canonical.INT_MAX),
        slots=None if room.slots is None else min(room.slots, canonical.INT_MAX),
    )


_REACHABLE: Mapping[str, object] = MappingProxyType({"unreachable_since": None, "error_code": "", "error_message": ""})


def facts_of(sighting: Sighting) -> Facts:
    """Return the part of which sites are made."""
    bare = frozenset(name for name, offer in (sighting.offers or {}).items() if offer.isolation_none)
    return Facts(sighting.capabilities, sighting.pools, bare)
