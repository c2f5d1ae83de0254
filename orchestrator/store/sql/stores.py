"""The port, put together from its parts: a writer, readers, a folder of blobs. This module only forwards."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future

import sqlalchemy as sa

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import tables
from orchestrator.ports import environment
from orchestrator.ports import stores as port
from orchestrator.store import blobs, codec, leases
from orchestrator.store.sql import audits, reads, schema, writer


class SqlStore(port.Store):
    """One SQL database and its folder of blobs. Made by ``opening.open_store``; ``resources`` are let go at last."""

    def __init__(
        self,
        *,
        writer: writer.Writer,
        reader: reads.Reader,
        blobs: blobs.BlobFolder,
        clock: environment.Clock,
        digests: tables.Digests,
        resources: contextlib.ExitStack,
    ) -> None:
        self._digests = digests
        self._writer = writer
        self._reader = reader
        self._blobs = blobs
        self._resources = resources
        self._watch = leases.LeaseWatch(clock)

    def commit(self, changes: port.Changes) -> port.Receipt:
        """See the port."""
        return self._writer.commit(changes)

    def commit_async(self, changes: port.Changes) -> Future[port.Receipt]:
        """See the port."""
        try:
            return self._writer.submit(changes)
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to who waits
            future: Future[port.Receipt] = Future()
            future.set_exception(error)
            return future

    def live_jobs(self) -> Sequence[jobs.Job]:
        """See the port."""
        return self._reader.live_jobs()

    def live_versions(self) -> Mapping[ids.JobId, int]:
        """See the port."""
        return self._reader.live_versions()

    def job(self, job: ids.JobId) -> jobs.Job | None:
        """See the port."""
        return self._reader.job(job)

    def list_jobs(self, wanted: port.JobFilter, *, limit: int, cursor: str | None = None) -> port.JobPage:
        """See the port."""
        return self._reader.list_jobs(wanted, limit=limit, cursor=cursor)

    def count_jobs(self, tenant: str | None = None) -> dict[jobs.Phase, int]:
        """See the port."""
        return self._reader.count_jobs(tenant)

    def placement(self, key: ids.AttemptKey) -> decisions.Placement | None:
        """See the port."""
        return self._reader.placement(key)

    def decision(self, digest: ids.Digest) -> decisions.Decision | None:
        """See the port."""
        return self._reader.decision(digest)

    def content(self, digest: ids.Digest) -> decisions.Content | None:
        """See the port."""
        return self._reader.content(digest)

    def documents(self, kind: str | None = None) -> Sequence[port.Document]:
        """See the port."""
        return self._reader.documents(kind)

    def documents_since(self, version: int) -> tuple[Sequence[port.Document], int]:
        """See the port."""
        return self._reader.documents_since(version)

    def document(self, kind: str, name: str, *, tenant: str = "") -> port.Document | None:
        """See the port."""
        return self._reader.document(kind, tenant, name)

    def documents_version(self) -> int:
        """See the port."""
        known = self._writer.versions
        return self._reader.documents_version() if known is None else known.documents

    def list_obligations(
        self, wanted: port.ObligationFilter, *, limit: int, cursor: str | None = None
    ) -> port.ObligationPage:
        """See the port."""
        return self._reader.list_obligations(wanted, limit=limit, cursor=cursor)

    def count_obligations(self) -> dict[obligations.State, int]:
        """See the port."""
        return self._reader.count_obligations()

    def tokens(self) -> Sequence[port.Token]:
        """See the port."""
        return self._reader.tokens()

    def idempotency_key(self, tenant: str, key: str) -> port.IdempotencyKey | None:
        """See the port."""
        return self._reader.idempotency_key(tenant, key)

    def entries(
        self, *, after: int = 0, limit: int = 1000, subject: str | None = None, kind: str | None = None
    ) -> Sequence[journal.ChainedEntry]:
        """See the port."""
        return self._reader.entries(after=after, limit=limit, subject=subject, kind=kind)

    def links(self, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """See the port."""
        return self._reader.links(after=after, limit=limit)

    def head(self) -> journal.ChainHead:
        """See the port."""
        return self._reader.head()

    def verify_journal(self, *, after: int = 0, until: int | None = None) -> int | None:
        """See the port."""
        return self._reader.verify(after=after, until=until)

    def audit(self) -> contextlib.AbstractContextManager[port.Audit]:
        """See the port."""
        return audits.audit(self._reader, self._digests)

    def outside_writes(self, *, look: bool = False) -> int:
        """See the port."""
        if look:
            self._writer.run(lambda _: None)
        return self._writer.outside.count

    def settle(self, outside: int) -> None:
        """See the port."""
        self._writer.outside.settle(outside)

    def vouch(self) -> None:
        """See the port."""
        self._writer.vouch()

    def put_blob(self, digest: ids.Digest, chunks: Iterator[bytes]) -> port.Blob:
        """See the port."""
        return self._blobs.put(digest, chunks)

    def blob(self, digest: ids.Digest) -> bytes | None:
        """See the port."""
        return self._blobs.get(digest)

    def acquire_lease(self, holder: str, ttl: dt.timedelta) -> port.Lease | None:
        """See the port."""

        def take(connection: sa.Connection) -> leases.LeaseRow | None:
            row = self._watch.decide(_read_lease(connection), holder, ttl)
            if row is not None:
                _write_lease(connection, row)
            return row

        row = self._writer.run(take)
        if row is None:
            return None
        self._watch.written(row)
        return row.lease()

    def release_lease(self, lease: port.Lease) -> None:
        """See the port."""

        def let_go(connection: sa.Connection) -> None:
            row = _read_lease(connection)
            if (row.holder, row.term) == (lease.holder, lease.term):
                _write_lease(connection, leases.released(row))

        self._writer.run(let_go)

    def free_lease(self) -> None:
        """Free the lease whoever holds it: only for an opener that has locked every other process out."""

        def free(connection: sa.Connection) -> None:
            row = _read_lease(connection)
            if row.holder != leases.NOBODY:
                _write_lease(connection, leases.released(row))

        self._writer.run(free)

    def current_term(self) -> ids.Term:
        """See the port."""
        known = self._writer.versions
        return self._reader.term() if known is None else ids.Term(known.term)

    def health(self) -> port.StoreHealth:
        """See the port."""
        reason, depth = self._writer.read_only_reason, self._writer.depth
        try:
            counts = {phase.value: count for phase, count in self._reader.count_jobs(None).items()}
            return port.StoreHealth(reason, depth, self._reader.head(), counts)
        except Exception as error:  # noqa: BLE001  # the port promises that it never raises
            return port.StoreHealth(reason or f"the database cannot be read: {error}", depth)

    def close(self) -> None:
        """See the port."""
        self._writer.close()
        self._resources.close()


def _read_lease(connection: sa.Connection) -> leases.LeaseRow:
    _, holder, term, expires_at, ttl, renewals = connection.execute(sa.select(schema.lease)).one()
    return leases.LeaseRow(holder, term, codec.moment(expires_at), dt.timedelta(microseconds=ttl), renewals)


def _write_lease(connection: sa.Connection, row: leases.LeaseRow) -> None:
    connection.execute(
        sa.update(schema.lease).values(
            holder=row.holder,
            term=row.term,
            expires_at=codec.micros(row.expires_at),
            ttl=row.ttl // dt.timedelta(microseconds=1),
            renewals=row.renewals,
        )
    )
