"""The port, and nothing else: each verb translates, calls the client, and translates back."""

from __future__ import annotations

import datetime as dt
import importlib
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from comity_hyperqueue import attempts, errors, observe, render, settings
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids, offers
from orchestrator.ports import backends

if TYPE_CHECKING:
    from comity_hyperqueue import client

POWERS = frozenset({offers.Capability.PROCESSES, offers.Capability.LOGS, offers.Capability.LISTS_OWNED})


class HyperqueueAdapter(backends.BackendAdapter):
    """Speaks to one HyperQueue server. Safe to call from several threads."""

    def __init__(self, given: settings.HyperqueueSettings, context: backends.AdapterContext) -> None:
        self._settings = given
        self._context = context
        self._attempts = attempts.Attempts(given.folder, context.installation, context.backend)
        self._made: client.Client | None = None

    def identity(self) -> offers.PinnedIdentity:
        """Return what recognises the backend: its two folders. A server's own id is another one after each start."""
        return offers.PinnedIdentity((("serverDir", self._settings.server_dir), ("folder", self._settings.folder)))

    def capabilities(self) -> offers.Capabilities:
        """Return what is true: what is absent here is refused by name, never tried."""
        return offers.Capabilities(POWERS)

    def offers(self) -> Sequence[offers.Offer]:
        """Return one offer a pool. All pools share the workers of one server; what waits or runs is subtracted."""
        self._client().server()
        live = self._live()
        used = sum(int(record.spec["cpuMilli"]) for record in live if record.spec is not None)
        total = self._settings.cpus * 1000
        largest = (self._settings.node_cpus or self._settings.cpus) * 1000
        counted = frozenset(ids.AttemptKey(record.key) for record in live)
        return [
            offers.Offer(
                site=ids.SiteName(f"{self._context.backend}/{pool.name}"),
                free=offers.Room(cpu_milli=max(0, total - used)),
                total=offers.Room(cpu_milli=total),
                observed_at=self._context.now(),
                counted=counted,
                largest_node=offers.Room(cpu_milli=largest),
                queue=offers.QueueOffer(accepts=True),
            )
            for pool in self._context.pools
        ]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key. Two tasks of one key may be queued; one claims it."""
        key, client = str(placement.key), self._client()
        folder = str(self._attempts.folder(key))
        spec = render.render(placement, folder, self._settings)
        try:
            with self._attempts.turn():
                server = client.server()
                self._attempts.create(key, spec)
                record = self._attempts.read(key)
                if record is None or (record.claim == attempts.NEVER and record.end is None):
                    raise errors.stopped()
                if record.claim is None and record.server != server:
                    arguments = [self._settings.python, str(self._attempts.program()), folder]
                    number = client.submit(key, arguments, folder, render.cpus(placement.spec.resources.cpu_milli))
                    self._attempts.queued(key, server, number)
        except OSError as error:
            raise errors.of_folder(error, "the attempt cannot be prepared") from error
        return backends.Handle(key)

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return one observation a ref, in order; one that cannot be read is UNKNOWN, and spoils no other."""
        return [self._observe(ref.key) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """End exactly this attempt. HyperQueue is not asked: a task that waits finds, once started, that it may not."""
        key = str(ref.key)
        try:
            record = self._attempts.read(key)
            if (record is None or not record.over) and not self._attempts.never(key):
                self._attempts.tell_to_stop(key, max(0.0, grace.total_seconds()))
        except OSError as error:
            raise errors.of_folder(error, "the attempt cannot be stopped") from error

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt of ours that is not over."""
        return [backends.AttemptRef(ids.AttemptKey(record.key), record.key) for record in self._live()]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove what is left of an attempt that is over. One that is not stays."""
        try:
            record = self._attempts.read(str(ref.key))
            if record is not None and record.over:
                self._attempts.remove(str(ref.key))
        except OSError as error:
            raise errors.of_folder(error, "the attempt cannot be removed") from error

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the log after ``cursor``, which is a position in bytes."""
        path = self._attempts.folder(str(ref.key)) / "log"
        at = int(cursor) if cursor is not None and cursor.isdecimal() else 0
        data = self._read(path, at, limit)
        if data is None and ref.handle is not None and not path.parent.exists():
            raise errors.no_logs()
        after = str(at + len(data or b""))
        return ([backends.LogChunk(data, after)] if data else []), after

    def close(self) -> None:
        """Nothing to let go of; attempts go on."""

    # --- what the verbs share -------------------------------------------------------------------------------------

    def _observe(self, key: ids.AttemptKey) -> backends.Observation:
        try:
            record = self._attempts.read(str(key))
            found = observe.settled(key, record)
            if found is not None or record is None:
                return found or backends.Observation(key, offers.ObservedState.GONE)
            found = self._ask(key, record)
            if found.outcome is None or observe.settled(key, self._attempts.read(str(key))) is not None:
                return found
            # It is over only once it can never start: a task may be queued that nobody knows of.
            if record.claim is None and not self._attempts.never(str(key)):
                return self._observe(key)
            self._attempts.close(str(key), found.outcome.kind.value, found.outcome.detail)
            return found
        except (OSError, ValueError, port_errors.BackendError) as error:
            return backends.Observation(key, offers.ObservedState.UNKNOWN, detail=str(error))

    def _ask(self, key: ids.AttemptKey, record: attempts.Record) -> backends.Observation:
        with self._attempts.turn():  # a submit that is under way has not written the number of its job yet
            record = self._attempts.read(str(key)) or record
            server = self._client().server()
            known = record.server == server and record.number is not None
            failure = self._client().failure(record.number) if known and record.number is not None else None
        # The task may have claimed, or ended, since the folder was read.
        again = self._attempts.read(str(key)) or record
        settled = observe.settled(key, again)
        return settled or observe.asked(key, again, server, failure, self._settings.lost_after_seconds)

    def _live(self) -> list[attempts.Record]:
        try:
            found = [self._attempts.read(key) for key in self._attempts.names()]
        except (OSError, ValueError) as error:
            text = f"the attempts cannot be listed: {error}"
            raise port_errors.TransientError("hyperqueue.folder", text) from error
        return [record for record in found if record is not None and not record.over]

    def _read(self, path: pathlib.Path, at: int, limit: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                file.seek(at)
                return file.read(max(0, limit))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.of_folder(error, "the log cannot be read") from error

    def _client(self) -> client.Client:
        if self._made is None:
            engine = importlib.import_module("comity_hyperqueue.client")  # of 30 MB: at first use
            self._made = engine.Client(self._settings.server_dir)
        return self._made
