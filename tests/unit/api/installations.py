"""A whole control plane without loop and network: memory store, set clock, fake adapters, the real rule book."""

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import asgi
import keyrings

from orchestrator.api import app, services
from orchestrator.bootstrap import catalogues as shipped
from orchestrator.domain import errors, events, ids, jobs, lifecycle, offers
from orchestrator.inventory import sightings, worlds
from orchestrator.policy import rulebook
from orchestrator.ports import backends, stores
from orchestrator.service import access, checkpoints, contexts, snapshots, tokens
from orchestrator.sources import packs
from orchestrator.store import memory
from orchestrator.telemetry import id_factories, metrics

T = TypeVar("T")
START = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


class SetClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> dt.datetime:
        """Return the set time."""
        return self.at

    def monotonic(self) -> float:
        """Return it as seconds."""
        return (self.at - START).total_seconds()

    def pass_(self, **length: float) -> None:
        """Let time pass."""
        self.at += dt.timedelta(**length)


class FakeAdapter(backends.BackendAdapter):
    """Keeps logs and outputs in memory; ``trouble`` is raised by every call."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.log = b"hello\n"
        self.files: dict[str, bytes] = {"model.pt": b"weights"}

    def capabilities(self) -> offers.Capabilities:
        """See the port."""
        return offers.Capabilities(frozenset({offers.Capability.LOGS, offers.Capability.COPIES}))

    def offers(self) -> Sequence[offers.Offer]:
        """See the port."""
        self._maybe()
        return ()

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """See the port."""
        raise AssertionError("the use cases never submit")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """See the port."""
        raise AssertionError("the use cases never observe")

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """See the port."""
        raise AssertionError("the use cases never stop")

    def close(self) -> None:
        """See the port."""

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """See the port."""
        self._maybe()
        start = int(cursor or 0)
        data = self.log[start : start + limit]
        return ((backends.LogChunk(data, str(start + len(data))),) if data else ()), str(start + len(data))

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """See the port."""
        self._maybe()
        return [(path, len(content)) for path, content in self.files.items()]

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """See the port."""
        self._maybe()
        if path not in self.files:
            raise errors.PermanentError("outputs.not-found", "no such output")
        yield self.files[path]

    def _maybe(self) -> None:
        if self.trouble is not None:
            raise self.trouble


class FakeFleet:
    """Gives the same adapter for every registered name."""

    def __init__(self) -> None:
        self.members: dict[str, backends.BackendAdapter] = {}

    def refresh(self, declared: Any) -> None:
        """Do nothing."""

    def names(self) -> Sequence[str]:
        """Return the names."""
        return sorted(self.members)

    def adapter(self, backend: str) -> backends.BackendAdapter:
        """See the port."""
        if backend not in self.members:
            raise errors.PermanentError("backend.broken", f"backend {backend} is broken")
        return self.members[backend]

    def origin(self, backend: str) -> None:
        """See the port: no installed program."""


class DirectExecutor:
    """Calls at once, on the caller's thread."""

    def call(self, bulkhead: str, what: Callable[[], T], *, timeout_s: float) -> "Future[T]":
        """See the port."""
        future: Future[T] = Future()
        try:
            future.set_result(what())
        except Exception as error:  # noqa: BLE001 -- it belongs to the caller
            future.set_exception(error)
        return future

    def in_flight(self, bulkhead: str) -> int:
        """Return 0."""
        return 0


class SilentLog:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **more: Any) -> None:
        """Remember."""
        self.lines.append((event, more))


@functools.cache
def book() -> rulebook.RuleBook:
    """Return the shipped rule book, read once."""
    return packs.load()


class Installation:
    """The parts, and clients of the application."""

    def __init__(self, store: stores.Store | None = None) -> None:
        self.clock = SetClock()
        self.store = store or memory.MemoryStore(self.clock)
        self.fleet = FakeFleet()
        self.adapter = FakeAdapter()
        self.seen = sightings.Sightings()
        self.changed: list[jobs.Job] = []
        self.log = SilentLog()
        inventory = worlds.Inventory(self.store, book(), shipped.ShippedCatalogue(), self.seen)
        self.context = contexts.Context(
            store=self.store,
            clock=self.clock,
            ids=id_factories.UlidFactory(self.clock),
            fleet=self.fleet,
            executor=DirectExecutor(),
            inventory=inventory,
            snapshots=snapshots.Snapshots(lambda name: (name,)),
            changed=self.changed.extend,
        )
        self.tokens = tokens.TokenBook(self.context)
        self.keyring = keyrings.MemoryKeyring()
        self.given = services.Services(
            context=self.context,
            tokens=self.tokens,
            checkpoints=checkpoints.Checkpoints(self.context, self.keyring, origin="comity.dev/test"),
            metrics=metrics.Metrics(),
            log=self.log,
        )
        self.app = app.create(self.given, hosts=frozenset({"127.0.0.1", "localhost"}))
        self._clients: list[asgi.Client] = []

    def token(self, *roles: str, tenant: str = "default", **more: Any) -> str:
        """Return the text of a new token."""
        return self.tokens.create(access.SYSTEM, tenant=tenant, roles=roles or ("admin",), **more).text

    def client(self, *roles: str, tenant: str = "default") -> asgi.Client:
        """Return a client with a new token of these roles (none: admin)."""
        return self.bare(self.token(*roles, tenant=tenant))

    def bare(self, token: str | None) -> asgi.Client:
        """Return a client with this token."""
        made = asgi.Client(self.app, token)
        self._clients.append(made)
        return made

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()

    def run(self, job_id: str, *, site: str = "here/cpu", exit_code: int | None = None) -> jobs.Job:
        """Move a job as the loop would: placed, accepted, started, and ended when an exit code is given."""
        job = self.store.job(ids.JobId(job_id))
        assert job is not None
        now = self.clock.now()
        number = len(job.attempts) + 1
        happened: list[events.Event] = [
            events.Placed(now, number, ids.SiteName(site), ids.Digest("sha256:" + "0" * 64)),
            events.SubmitAccepted(now, number, "handle"),
            events.Started(now, number),
        ]
        if exit_code is not None:
            outcome = jobs.Outcome(jobs.OutcomeKind.EXITED, exit_code=exit_code)
            happened.append(events.Ended(now, number, outcome))
        for event in happened:
            job = lifecycle.apply(job, event)
        return self.store.commit(stores.Changes(jobs=(job,))).jobs[0]


def job(name: str = "hello", **spec: Any) -> dict[str, Any]:
    """Return a small Job document."""
    given = {"command": ["true"], "data": "none", **spec}
    return {
        "apiVersion": "comity.dev/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {key: value for key, value in given.items() if value is not None},
    }


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """Return a document."""
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
