"""What every use case is given: the store, the world as declared, the doors to backends, time and ids."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from orchestrator.domain import errors, jobs
from orchestrator.inventory import worlds
from orchestrator.policy import cases
from orchestrator.ports import backends, environment, stores
from orchestrator.scheduler import caches, snapshots
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.service import problems

T = TypeVar("T")
R = TypeVar("R")

BACKEND_TIMEOUT_S = 20.0
"""Deadline of a call that a person waits for: longer than an adapter waits for its backend, whose words say more."""
CONFLICT_TRIES = 16
"""A change that meets somebody else's is read and tried again so often."""


class SnapshotMaker(Protocol):
    """Makes what plan and explain may know; ``service.snapshots`` has the one there is."""

    @property
    def lock(self) -> threading.Lock:
        """Return the lock to hold while a snapshot and the cache are used."""

    @property
    def cache(self) -> caches.Cache:
        """Return the scheduler's memory between answers."""

    def make(self, context: Context, at: dt.datetime) -> snapshots.Snapshot:
        """Return what is known now."""

    def declared(self, world: worlds.World, at: dt.datetime) -> scheduler_worlds.World:
        """Return the declared world as the scheduler reads it."""


class Tables(Protocol):
    """What is known of tables that are not what the journal says. Any thread, cheap."""

    @property
    def sentences(self) -> Sequence[str]:
        """Return what differs, one sentence each; empty: nothing, and nothing is halted."""

    @property
    def count(self) -> int:
        """Return how many rows differ."""

    @property
    def remedy(self) -> str:
        """Return what to do about it."""

    def distrusted(self) -> Collection[str]:
        """Return the ids of tokens whose rows no entry explains: they open nothing."""


class NoTables:
    """Nobody looks: for tests, and for what has no journal of its own."""

    sentences: Sequence[str] = ()
    count = 0
    remedy = ""

    def distrusted(self) -> Collection[str]:
        """See ``Tables``."""
        return ()


def _nobody(changed: Sequence[jobs.Job]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Context:
    """The ports behind the use cases. ``changed`` tells the loop of jobs that were just committed.

    ``admit`` commits one new job, with or without the loop, and the loop knows of it; None: the store does, and
    ``changed`` tells the loop.
    """

    store: stores.Store
    clock: environment.Clock
    ids: environment.IdFactory
    fleet: environment.Fleet
    executor: environment.Executor
    inventory: worlds.Inventory
    snapshots: SnapshotMaker
    changed: Callable[[Sequence[jobs.Job]], None] = field(default=_nobody)
    nudge: Callable[[], None] = field(default=lambda: None)
    policy_tests_required: bool = False
    """Take no policy of the house's own that brings no tests."""
    packs_failed: Callable[[], Mapping[str, str]] = field(default=dict)
    """What is wrong with packs as they were read last, by name."""
    documents_of_cases: cases.DocumentReader | None = None
    """Reads whole documents in cases; None: only compact cases are read."""
    admit: Callable[[stores.Changes], Future[stores.Receipt]] | None = None
    tables: Tables = field(default_factory=NoTables)
    draws: str = ""
    """The commitment to the key by which verified jobs are drawn (``verification.draws``); empty: nobody draws."""

    def world(self) -> worlds.World:
        """Return what is declared now."""
        return self.inventory.world()


def chain(
    source: Future[T], then: Callable[[T], R], otherwise: Callable[[BaseException], R] | None = None
) -> Future[R]:
    """Return a future of ``then(result)``; ``otherwise`` answers, or raises for, a failure."""
    target: Future[R] = Future()

    def settle(done: Future[T]) -> None:
        try:
            error = done.exception()
            if error is None:
                target.set_result(then(done.result()))
            elif otherwise is not None:
                target.set_result(otherwise(error))
            else:
                target.set_exception(error)
        except BaseException as error:  # noqa: BLE001 -- it belongs to who waits
            target.set_exception(error)

    source.add_done_callback(settle)
    return target


def call_backend(
    context: Context,
    backend: str,
    what: Callable[[backends.BackendAdapter], T],
    *,
    timeout_s: float = BACKEND_TIMEOUT_S,
) -> Future[T]:
    """Call an adapter through its bulkhead, with a deadline; every failure is a ServiceError with its code."""
    try:
        adapter = context.fleet.adapter(backend)
    except errors.BackendError as error:
        failed: Future[T] = Future()
        failed.set_exception(unavailable(backend, error))
        return failed
    future = context.executor.call(backend, lambda: what(adapter), timeout_s=timeout_s)

    def refuse(error: BaseException) -> T:
        raise unavailable(backend, error) from error

    return chain(future, lambda result: result, refuse)


def unavailable(backend: str, error: BaseException) -> problems.ServiceError:
    """Return what a failed call of a backend is to a person."""
    kind = problems.Kind
    match error:
        case problems.ServiceError():
            return error
        case errors.PermanentError() if error.code.endswith(".not-found"):
            return problems.ServiceError(kind.NOT_FOUND, error.code, error.message)
        case errors.PermanentError() if error.code == "backend.unknown":
            return problems.ServiceError(kind.NOT_FOUND, "document.not-found", error.message)
        case errors.BackendError():
            return problems.ServiceError(kind.UNAVAILABLE, error.code, error.message)
        case environment.BulkheadFullError():
            text = f"backend {backend} answers too slowly: all its calls are in flight; try again later"
            return problems.ServiceError(kind.UNAVAILABLE, "backend.busy", text)
        case TimeoutError():
            text = f"backend {backend} did not answer within its deadline"
            return problems.ServiceError(kind.UNAVAILABLE, "backend.timeout", text)
        case _:
            text = f"the adapter of backend {backend} failed: {type(error).__name__}"
            return problems.ServiceError(kind.UNAVAILABLE, "backend.failed", text)


def of_store(error: BaseException) -> BaseException:
    """Return a failure of the store as a person should read it; anything else as it is."""
    kind = problems.Kind
    match error:
        case stores.StoreFullError():
            text = "the disk of the control plane is full: no new jobs; reads and cancels work"
            return problems.ServiceError(kind.FULL, "store.full", text)
        case stores.StoreBusyError():
            return problems.ServiceError(kind.UNAVAILABLE, "store.busy", "the store is busy; try again")
        case stores.StoreReadOnlyError():
            text = "a write to the disk failed: the store is read-only until the server is restarted"
            return problems.ServiceError(kind.UNAVAILABLE, "store.read-only", text)
        case stores.VersionConflictError():
            return problems.ServiceError(
                kind.CONFLICT, "document.conflict", f"{error.what} changed meanwhile; read it again"
            )
        case stores.StoreCorruptError():
            return problems.ServiceError(kind.UNAVAILABLE, "store.corrupt", str(error))
        case stores.StoreError():
            return problems.ServiceError(kind.UNAVAILABLE, "store.failed", "the store could not commit")
        case _:
            return error


def commit(context: Context, changes: stores.Changes) -> stores.Receipt:
    """Commit and tell the loop; raises ServiceError, or VersionConflictError for the caller to read again."""
    try:
        receipt = context.store.commit(changes)
    except stores.VersionConflictError:
        raise
    except stores.StoreError as error:
        raise of_store(error) from error
    if receipt.jobs:
        context.changed(receipt.jobs)
    elif changes.documents or changes.delete_documents:
        context.nudge()
    return receipt
