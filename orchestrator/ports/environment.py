"""The small ports: time, ids, randomness, signatures, the pool that calls adapters, and the way to wake the loop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from orchestrator.domain import executions, ids, sites
from orchestrator.ports import backends

T = TypeVar("T")


class Clock(Protocol):
    """Time, passed in. ``now`` is UTC wall time for records; ``monotonic`` seconds are for waiting."""

    def now(self) -> dt.datetime:
        """Return the current time, timezone-aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class IdFactory(Protocol):
    """Makes ids and the little randomness that decisions need (jitter)."""

    def job_id(self) -> ids.JobId:
        """Return a new ULID."""

    def jitter(self) -> float:
        """Return a number in [0, 1)."""


class Signer(Protocol):
    """Signs checkpoints of the journal."""

    @property
    def key_id(self) -> str:
        """Return the id of the public key."""

    def sign(self, payload: bytes) -> bytes:
        """Return the signature (Ed25519)."""


class Wake(Protocol):
    """Makes the loop run soon. Level beats edge: a lost nudge costs time, never truth."""

    def nudge(self) -> None:
        """Ask for a cycle now; cheap, from any thread."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for a nudge; return whether there was one. Clears it."""


class BulkheadFullError(Exception):
    """This backend's calls are all in flight: the call was not made, so it had no effect."""


class Executor(Protocol):
    """Calls adapters: one bounded bulkhead a backend, each call with a deadline. One thread in the simulation."""

    def call(self, bulkhead: str, what: Callable[[], T], *, timeout_s: float) -> Future[T]:
        """Start a call. The future fails with BulkheadFullError, with TimeoutError when the deadline passes (the
        call may still have an effect), or with what the call raised."""

    def in_flight(self, bulkhead: str) -> int:
        """Return how many calls of a bulkhead have not returned, those past their deadline included."""


class Fleet(Protocol):
    """The adapters of the registered backends, built from their documents and rebuilt when these change."""

    def refresh(self, declared: Mapping[str, sites.Backend]) -> None:
        """Build what is new or changed, close what was withdrawn. A broken one is remembered, never raised."""

    def names(self) -> Sequence[str]:
        """Return the registered backends, the broken ones too, in order of name."""

    def adapter(self, backend: str) -> backends.BackendAdapter:
        """Return the adapter; raises ``errors.PermanentError`` ``backend.unknown`` or ``backend.broken``."""

    def origin(self, backend: str) -> executions.Adapter | None:
        """Return which program the adapter of a backend is; None: it cannot be told. Never raises."""
