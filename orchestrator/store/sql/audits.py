"""Everything at one moment, for holding the tables against the journal: one snapshot of a reading connection.

Rows come from the driver itself, and what stands in them is never trusted: a column may hold anything.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from orchestrator.domain import journal
from orchestrator.evidence import canonical, chain, tables
from orchestrator.ports import stores
from orchestrator.store import codec, stated
from orchestrator.store.sql import reads, rows, schema

_T = schema
_BROKEN = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)


@contextlib.contextmanager
def audit(reader: reads.Reader, digests: tables.Digests) -> Iterator[stores.Audit]:
    """See ``Store.audit``."""
    with reader.snapshot() as connection:
        yield Audit(connection, digests)


class Audit(stores.Audit):
    """Used while the snapshot is open."""

    def __init__(self, connection: sa.Connection, digests: tables.Digests) -> None:
        self._connection = connection
        self._digests = digests
        state = _T.state.c
        seq, link, proof = connection.execute(sa.select(state.head_seq, state.head_hash, state.head_mac)).one()
        self.head = journal.ChainHead(seq, chain.to_digest(bytes(link)))
        self.head_holds = digests.proves(proof, seq, bytes(link))

    def records(self, *, after: int = 0) -> Iterator[chain.Record]:
        """See the port."""
        table = _T.journal
        yield from self._all(sa.select(table).where(table.c.seq > after).order_by(table.c.seq))

    def rows(self, *, whole: bool) -> Iterator[tables.Row]:
        """See the port."""
        yield from self._stated()
        for table in (_T.live_jobs, _T.finished_jobs) if whole else (_T.live_jobs,):
            yield from self._jobs(table)
        yield from self._placements(whole=whole)
        yield from self._specs(whole=whole)

    def _stated(self) -> Iterator[tables.Row]:
        digests, c = self._digests, _T.documents.c
        for kind, tenant, name, *values in self._all(sa.select(c.kind, c.tenant, c.name, c.body, c.status)):
            key = stated.document_key(kind, tenant, name)
            yield tables.DOCUMENT, key, digests.row(tables.DOCUMENT, key, values)
        c = _T.tokens.c
        wanted = (c.id, c.hash, c.tenant, c.roles, c.created_at, c.expires_at, c.revoked_at, c.note)
        for id_, *values in self._all(sa.select(*wanted)):
            yield tables.TOKEN, str(id_), digests.row(tables.TOKEN, str(id_), values)
        c = _T.obligations.c
        for job, code, *values in self._all(sa.select(c.job, c.code, c.tenant, c.state, c.due_at, c.body)):
            key = f"{job}/{code}"
            yield tables.OBLIGATION, key, digests.row(tables.OBLIGATION, key, values)

    def _jobs(self, table: sa.Table) -> Iterator[tables.Row]:
        c = table.c
        wanted = (c.id, c.tenant, c.spec_digest, c.submitted_at, c.submitted_by, c.phase, c.state)
        for id_, tenant, spec, at, by, phase, state in self._all(sa.select(*wanted)):
            try:
                when = chain.time_text(codec.moment(at))
                attempts = json.loads(state).get("a", ()) if state else ()
                made = [tables.attempt_row(id_, one["n"], one["s"], one["d"]) for one in attempts]
            except _BROKEN:
                yield tables.JOB, str(id_), tables.UNREADABLE
                continue
            yield tables.job_row(id_, tenant, spec, when, by, phase)
            yield from made

    def _placements(self, *, whole: bool) -> Iterator[tables.Row]:
        query = sa.select(_T.placements)
        if not whole:
            live = sa.select(_T.live_jobs.c.id)
            query = query.where(_T.placements.c.job.in_(live))
        for row in self._all(query):
            try:
                one = rows.placement(row)
                # Looked up by key, so a key of another attempt is a placement of another attempt.
                right = one.key == stated.key_of(one)
                yield stated.placement(one) if right else (tables.PLACEMENT, f"{row[1]}#{row[2]}", tables.UNREADABLE)
            except _BROKEN:
                yield tables.PLACEMENT, f"{row[1]}#{row[2]}", tables.UNREADABLE

    def _specs(self, *, whole: bool) -> Iterator[tables.Row]:
        query = sa.select(_T.specs)
        if not whole:
            query = query.where(_T.specs.c.digest.in_(sa.select(_T.live_jobs.c.spec_digest)))
        for digest, body in self._all(query):
            try:
                yield tables.SPEC, str(digest), str(canonical.digest(json.loads(body)))
            except _BROKEN:
                yield tables.SPEC, str(digest), tables.UNREADABLE

    def _all(self, query: sa.Select[Any]) -> Iterator[Any]:
        """Yield plain rows: what SQLAlchemy does for each costs more than reading it."""
        options = {"literal_binds": True}
        cursor: Any = self._connection.connection.cursor()
        try:
            cursor.execute(str(query.compile(dialect=self._connection.dialect, compile_kwargs=options)))
            yield from cursor
        finally:
            cursor.close()
