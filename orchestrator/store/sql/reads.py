"""The reading half: own connections, one statement or one snapshot each, never behind the writer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import chain
from orchestrator.ports import stores
from orchestrator.store import codec, codec_specs, rules
from orchestrator.store.sql import dialects, lists, rows, schema, statements

T = TypeVar("T")

_SLICE = 2_000
_SPECS_KEPT = 2_048
_SPEC_CHARACTERS_MAX = 4_096
"""Longer specs are not kept in memory."""


class Reader:
    """Answers questions. Safe for several threads; at most ``dialects.READERS_MAX`` at once."""

    def __init__(self, engine: sa.Engine, dialect: dialects.Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._texts = statements.Statements(dialect)
        self._specs: dict[str, jobs.JobSpec] = {}
        with_spec = [
            sa.select(*table.c, schema.specs.c.body.label("spec_body"))
            .join(schema.specs, schema.specs.c.digest == table.c.spec_digest)
            .where(table.c.id == sa.bindparam("id"))
            for table in (schema.live_jobs, schema.finished_jobs)
        ]
        self._job = sa.union_all(*with_spec)  # one statement: a job that ends meanwhile is in one of the two
        self._term = sa.select(schema.lease.c.term)
        self._head = sa.select(schema.state.c.head_seq, schema.state.c.head_hash)

    @contextlib.contextmanager
    def _connect(self, *, snapshot: bool = False) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                if snapshot:
                    self._dialect.begin_snapshot(connection)
                yield connection
        except exc.TimeoutError as error:
            raise stores.StoreBusyError("too many readers at once; try again") from error
        except codec_specs.CodecError as error:
            raise stores.StoreCorruptError(
                f"{error}: restore the newest backup, or install the newer version"
            ) from error
        except (TypeError, OverflowError, AttributeError) as error:
            raise stores.StoreCorruptError(
                f"a row holds what nobody wrote there ({error}): see comity log verify, restore the newest backup"
            ) from error
        except exc.DBAPIError as error:
            match self._dialect.fault(error):
                case dialects.Fault.BUSY:
                    raise stores.StoreBusyError("the database is locked; try again") from error
                case dialects.Fault.CORRUPT:
                    raise stores.StoreCorruptError(
                        f"the database is damaged ({error.orig}): restore the newest backup"
                    ) from error
                case _:
                    raise stores.StoreError(f"the database cannot be read: {error.orig}") from error

    def snapshot(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """Return a connection whose reads all see one moment. Raises StoreError, for reads within it too."""
        return self._connect(snapshot=True)

    def _rows(self, query: sa.Executable, parameters: dict[str, Any] | None = None) -> Sequence[Any]:
        with self._connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def _spec(self, digest: str, body: str) -> jobs.JobSpec:
        spec = self._specs.get(digest)
        if spec is None:
            spec = codec_specs.decode_spec(body)
            if len(body) <= _SPEC_CHARACTERS_MAX:
                if len(self._specs) >= _SPECS_KEPT:
                    self._specs = {}  # a new one: other threads may be looking into the old
                self._specs[digest] = spec
        return spec

    def live_jobs(self) -> list[jobs.Job]:
        """See the port."""
        table = schema.live_jobs
        used = sa.select(schema.specs).where(schema.specs.c.digest.in_(sa.select(table.c.spec_digest)))
        made: list[jobs.Job] = []
        with self._connect(snapshot=True) as connection:
            specs: dict[str, jobs.JobSpec] = {}
            for part in connection.execute(used).partitions(_SLICE):
                specs.update((digest, codec_specs.decode_spec(body)) for digest, body in part)
            for part in connection.execute(sa.select(table)).partitions(_SLICE):
                made += [rows.job(row, specs[row[10]]) for row in part]
        made.sort(key=lambda job: job.queue_seq)
        return made

    def live_versions(self) -> dict[ids.JobId, int]:
        """See the port."""
        found = self._rows(sa.select(schema.live_jobs.c.id, schema.live_jobs.c.version))
        return {ids.JobId(id): version for id, version in found}

    def job(self, job: ids.JobId) -> jobs.Job | None:
        """See the port."""
        with self._connect() as connection:
            row = connection.execute(self._job, {"id": job}).first()
            return None if row is None else rows.job(row, self._spec(row[10], row[14]))

    def list_jobs(self, wanted: stores.JobFilter, *, limit: int, cursor: str | None) -> stores.JobPage:
        """See the port."""
        below, above = rules.read_cursor(wanted, cursor)
        with self._connect(snapshot=True) as connection:
            names = lists.find_ids(connection, wanted, limit=limit + 1, below=below, above=above)
            shown = names[:limit]
            found = {job.id: job for job in self._whole(connection, shown)}
        page = [found[ids.JobId(name)] for name in shown]
        more = page and len(names) > limit
        return stores.JobPage(page, rules.cursor_for(wanted, page[-1]) if more else None)

    def _whole(self, connection: sa.Connection, names: Sequence[str]) -> Iterator[jobs.Job]:
        columns = [column.name for column in schema.live_jobs.c]
        got: list[Any] = []
        for table in (schema.live_jobs, schema.finished_jobs):
            for text, parameters in self._texts.find(table, columns, "id", names):
                got += connection.exec_driver_sql(text, parameters).fetchall()
        kept = self._specs
        missing = sorted({row[10] for row in got} - kept.keys())
        specs: dict[str, jobs.JobSpec] = {}
        for text, parameters in self._texts.find(schema.specs, ("digest", "body"), "digest", missing):
            for digest, body in connection.exec_driver_sql(text, parameters).fetchall():
                specs[digest] = self._spec(digest, body)
        for row in got:
            yield rows.job(row, specs.get(row[10]) or kept[row[10]])

    def count_jobs(self, tenant: str | None) -> dict[jobs.Phase, int]:
        """See the port."""
        table = schema.job_counts
        query = sa.select(table.c.phase, sa.func.sum(table.c.jobs)).group_by(table.c.phase)
        if tenant is not None:
            query = query.where(table.c.tenant == tenant)
        return {codec.phase(phase): int(count) for phase, count in self._rows(query) if count}

    def placement(self, key: str) -> decisions.Placement | None:
        """See the port."""
        return self._one(sa.select(schema.placements).where(schema.placements.c.key == key), rows.placement)

    def decision(self, digest: str) -> decisions.Decision | None:
        """See the port."""
        return self._one(sa.select(schema.decisions).where(schema.decisions.c.digest == digest), rows.decision)

    def content(self, digest: str) -> decisions.Content | None:
        """See the port."""
        query = sa.select(schema.contents).where(schema.contents.c.digest == digest)
        return self._one(query, lambda row: decisions.Content(row[0], rows.blob(row[1])))

    def document(self, kind: str, tenant: str, name: str) -> stores.Document | None:
        """See the port."""
        table = schema.documents
        query = sa.select(table).where(table.c.name == name, table.c.kind == kind, table.c.tenant == tenant)
        return self._one(query, rows.document)

    def documents(self, kind: str | None) -> list[stores.Document]:
        """See the port."""
        table = schema.documents
        query = sa.select(table).order_by(table.c.kind, table.c.name, table.c.tenant)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._connect() as connection:
            return [rows.document(row) for row in connection.execute(query)]

    def documents_since(self, version: int) -> tuple[list[stores.Document], int]:
        """See the port."""
        table = schema.documents
        query = sa.select(table).where(table.c.version > version)
        with self._connect(snapshot=True) as connection:
            found = [rows.document(row) for row in connection.execute(query)]
            return found, int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)

    def _one(self, query: sa.Select[Any], make: Callable[[Any], T]) -> T | None:
        with self._connect() as connection:
            row = connection.execute(query).first()
            return None if row is None else make(row)

    def documents_version(self) -> int:
        """See the port."""
        return int(self._rows(sa.select(schema.state.c.documents_version))[0][0])

    def list_obligations(
        self, wanted: stores.ObligationFilter, *, limit: int, cursor: str | None
    ) -> stores.ObligationPage:
        """See the port."""
        after = rules.read_obligation_cursor(cursor)
        found: list[obligations.Obligation] = []
        with self._connect(snapshot=True) as connection:
            for query in lists.of_obligations(wanted, limit=limit + 1, after=after):
                found += [rows.obligation(row) for row in connection.execute(query)]
        if wanted.due_by is not None:
            return stores.ObligationPage(sorted(found, key=lambda one: (one.due_at, one.key))[:limit], None)
        found.sort(key=lambda one: one.key)
        more = len(found) > limit
        return stores.ObligationPage(found[:limit], rules.obligation_cursor(found[limit - 1]) if more else None)

    def count_obligations(self) -> dict[obligations.State, int]:
        """See the port."""
        table = schema.obligations
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        return {obligations.State(state): int(count) for state, count in self._rows(query)}

    def tokens(self) -> list[stores.Token]:
        """See the port."""
        query = sa.select(schema.tokens).order_by(schema.tokens.c.id)
        with self._connect() as connection:
            return [rows.token(row) for row in connection.execute(query)]

    def idempotency_key(self, tenant: str, key: str) -> stores.IdempotencyKey | None:
        """See the port."""
        table = schema.idempotency_keys
        found = self._rows(sa.select(table).where(table.c.tenant == tenant, table.c.key == key))
        return stores.IdempotencyKey(tenant, key, found[0][2], found[0][3]) if found else None

    def entries(
        self, *, after: int, limit: int, subject: str | None, kind: str | None = None
    ) -> list[journal.ChainedEntry]:
        """See the port."""
        table = schema.journal
        query = sa.select(table).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        try:
            return [_chained(row) for row in self._rows(query)]
        except (ValueError, TypeError, AttributeError) as error:
            raise stores.StoreCorruptError(f"a journal entry cannot be read: {error}; verify the journal") from error

    def links(self, *, after: int, limit: int) -> list[bytes]:
        """See the port."""
        table = schema.journal
        query = sa.select(table.c.hash).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        return [bytes(row[0]) for row in self._rows(query)]

    def verify(self, *, after: int, until: int | None) -> int | None:
        """See ``verify_journal`` of the port. Rows come from the driver itself: millions of them are read."""
        table = schema.journal
        query = sa.select(table).where(table.c.seq > after).order_by(table.c.seq)
        hash_of = sa.select(table.c.hash).where(table.c.seq == sa.bindparam("seq"))
        with self._connect(snapshot=True) as connection:
            seq, link = connection.execute(self._head).one()
            if until is not None:
                query = query.where(table.c.seq <= until)
                seq, link = until, connection.execute(hash_of, {"seq": until}).scalar() or chain.GENESIS
            head = journal.ChainHead(seq, chain.to_digest(bytes(link)))
            before = connection.execute(hash_of, {"seq": after}).scalar() if after else chain.GENESIS
            if before is None:
                return after
            start = journal.ChainHead(after, chain.to_digest(bytes(before)))
            text = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
            cursor: Any = connection.connection.cursor()  # every driver's can be iterated
            try:
                cursor.execute(text)
                return chain.verify_records(cursor, after=start, head=head)
            finally:
                cursor.close()

    def head(self) -> journal.ChainHead:
        """See the port."""
        seq, link = self._rows(self._head)[0]
        return journal.ChainHead(seq, chain.to_digest(link))

    def term(self) -> ids.Term:
        """See the port."""
        return ids.Term(self._rows(self._term)[0][0])


def _chained(row: Sequence[Any]) -> journal.ChainedEntry:
    seq, kind, subject, tenant, at, actor, body, previous, link = row
    entry = journal.Entry(kind, subject, chain.time_of(at), actor, json.loads(body), tenant)
    return journal.ChainedEntry(seq, entry, chain.to_digest(previous), chain.to_digest(link))
