"""One transaction for many commits: look up what they touch, judge each alone, write all that was accepted.

Statements go to the driver's own cursor: their texts and rows are ready, and what SQLAlchemy does for each costs more
than running it.

Each commit is judged against what the ones before it in the batch have made of the rows, so a conflict refuses only
itself. Rows are written kind by kind, each kind in one call; a row that several commits moved is written once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from orchestrator.domain import jobs, journal, obligations
from orchestrator.evidence import chain, tables
from orchestrator.ports import stores
from orchestrator.store import codec, rules
from orchestrator.store.sql import prepared, rows, schema, statements


@dataclass(frozen=True, slots=True)
class Versions:
    """What others poll to see whether something changed."""

    documents: int
    term: int


Answer = stores.Receipt | stores.StoreError

_TOUCHED = stores.StoreTouchedError(
    "somebody else wrote to the database: nothing is placed before the tables are held against the journal"
)
_LIVE, _FINISHED = "live", "finished"


@dataclass(slots=True)
class _Home:
    """Where a job's row was before this batch, and what stood there."""

    table: str
    phase: str
    tenant: str


@dataclass(slots=True)
class Batch:
    """The work of one transaction. Made for one use."""

    cursor: DBAPICursor
    texts: statements.Statements
    now: dt.datetime
    digests: tables.Digests
    vouched: bool = False
    """Somebody said that the head of the journal is right, whatever proves it."""
    _proven: bool = field(init=False)
    _view: rules.View = field(init=False)
    _seq: int = field(init=False)
    _link: bytes = field(init=False)
    _homes: dict[str, _Home] = field(default_factory=dict)
    _jobs: dict[str, tuple[jobs.Job, str]] = field(default_factory=dict)
    _documents: dict[tuple[str, str, str], stores.Document | None] = field(default_factory=dict)
    _tokens: dict[str, stores.Token] = field(default_factory=dict)
    _obligations: dict[tuple[str, str], obligations.Obligation] = field(default_factory=dict)
    _entries: statements.Rows = field(default_factory=list)
    _accepted: list[prepared.Prepared] = field(default_factory=list)

    def run(self, batch: Sequence[prepared.Prepared], *, touched: bool = False) -> list[Answer]:
        """Write what is accepted and return an answer each. The transaction is begun before and committed after.

        ``touched``: others wrote, and nobody has looked into it; what places anything is refused.
        """
        seq, link, queue_seq, documents_version, proof, term = self._all(self.texts.read_state, ())[0]
        self._seq, self._link = seq, bytes(link)
        self._proven = self.vouched or self.digests.proves(proof, seq, self._link)
        self._view = rules.View(term, queue_seq, documents_version)
        self._load(batch)
        answers = [_TOUCHED if touched and ready.changes.placements else self._judge(ready) for ready in batch]
        if self._accepted:
            self._write()
        return answers

    @property
    def versions(self) -> Versions:
        """Return what stands once the transaction is over."""
        return Versions(self._view.documents_version, self._view.term)

    @property
    def wrote(self) -> bool:
        """Say whether there is anything to commit."""
        return bool(self._accepted)

    def _all(self, text: str, parameters: tuple[Any, ...]) -> Sequence[Any]:
        self.cursor.execute(text, parameters)
        return self.cursor.fetchall()

    def _find(self, table: sa.Table, columns: Sequence[str], by: str, keys: Iterable[str]) -> Iterable[Any]:
        for text, parameters in self.texts.find(table, columns, by, list(dict.fromkeys(keys))):
            yield from self._all(text, parameters)

    def _load(self, batch: Sequence[prepared.Prepared]) -> None:
        """Fill the view with the rows that the batch touches."""
        view = self._view
        wanted = [job.id for ready in batch for job in ready.changes.jobs]
        for name, table in ((_LIVE, schema.live_jobs), (_FINISHED, schema.finished_jobs)):
            columns = ("id", "version", "queue_seq", "phase", "tenant")
            wanted = [id_ for id_ in wanted if id_ not in self._homes]  # a row is in one of them
            for id_, version, queue_seq, phase, tenant in self._find(table, columns, "id", wanted):
                view.jobs[id_] = (version, queue_seq)
                self._homes[id_] = _Home(name, phase, tenant)
        keys = {(key.tenant, key.key) for ready in batch for key in ready.changes.keys}
        if keys:
            all_columns = ("tenant", "key", "request_digest", "job")
            for row in self._find(schema.idempotency_keys, all_columns, "key", sorted({key for _, key in keys})):
                view.keys[row[0], row[1]] = stores.IdempotencyKey(*row)
        placed = [placement.key for ready in batch for placement in ready.changes.placements]
        view.placements |= {key for (key,) in self._find(schema.placements, ("key",), "key", placed)}
        self._load_rare(batch)

    def _load_rare(self, batch: Sequence[prepared.Prepared]) -> None:
        view = self._view
        names = [document.name for ready in batch for document in ready.changes.documents]
        names += [name for ready in batch for _, _, name, _ in ready.changes.delete_documents]
        columns = ("kind", "tenant", "name", "version", "created_at")
        for kind, tenant, name, version, created in self._find(schema.documents, columns, "name", names):
            view.documents[kind, tenant, name] = (version, codec.moment(created))
        tokens = [token.id for ready in batch for token in ready.changes.tokens]
        view.tokens.update(tuple(row) for row in self._find(schema.tokens, ("id", "version"), "id", tokens))
        owing = [one.job for ready in batch for one in ready.changes.obligations]
        for job, code, version in self._find(schema.obligations, ("job", "code", "version"), "job", owing):
            view.obligations[job, code] = version

    def _judge(self, ready: prepared.Prepared) -> Answer:
        try:
            taken = rules.take(ready.changes, self._view, self.now)
        except stores.StoreError as refusal:
            return refusal
        for job, state in zip(taken.jobs, ready.states, strict=True):
            self._jobs[job.id] = (job, state)
        for kind, tenant, name, _ in ready.changes.delete_documents:
            self._documents[kind, tenant, name] = None
        for document in taken.documents:
            self._documents[document.key] = document
        for token in taken.tokens:
            self._tokens[token.id] = token
        for obligation in taken.obligations:
            self._obligations[obligation.key] = obligation
        seq, link = self._seq, self._link
        for word, subject, whose, at, actor, body, data in ready.entries:
            seq, previous, link = seq + 1, link, chain.link(link, data)
            self._entries.append((seq, word, subject, whose, at, actor, body, previous, link))
        self._seq, self._link = seq, link
        self._accepted.append(ready)
        return stores.Receipt(journal.ChainHead(seq, chain.to_digest(link)), taken.jobs, taken.documents)

    def _write(self) -> None:
        texts, accepted = self.texts, self._accepted
        self._many(texts.insert_spec, [row for ready in accepted for row in ready.specs])
        self._many(texts.insert_label, [row for ready in accepted for row in ready.labels])
        self._write_jobs()
        self._many(texts.insert_content, [row for ready in accepted for row in ready.contents])
        self._many(texts.insert_decision, [row for ready in accepted for row in ready.decisions])
        self._many(texts.insert_placement, [row for ready in accepted for row in ready.placements])
        self._many(texts.insert_key, [row for ready in accepted for row in ready.keys])
        self._many(texts.insert_entry, self._entries)
        self._many(texts.delete_document, [(name, kind, tenant) for kind, tenant, name in self._documents])
        kept = [document for document in self._documents.values() if document is not None]
        self._many(texts.insert_document, [rows.document_row(document) for document in kept])
        self._many(texts.delete_token, [(name,) for name in self._tokens])
        self._many(texts.insert_token, [rows.token_row(token) for token in self._tokens.values()])
        self._many(texts.delete_obligation, list(self._obligations))
        self._many(texts.insert_obligation, [rows.obligation_row(one) for one in self._obligations.values()])
        # What goes on from a head that nobody proved is not proven either: only a person may say that it is right.
        view, proof = self._view, self.digests.head(self._seq, self._link) if self._proven else b""
        self._many(texts.update_state, [(self._seq, self._link, view.queue_seq, view.documents_version, proof)])

    def _many(self, text: str, many: statements.Rows) -> None:
        if many:
            self.cursor.executemany(text, many)

    def _write_jobs(self) -> None:
        """Put each job's row where it belongs now, and count."""
        texts = self.texts
        inserts: dict[str, statements.Rows] = {_LIVE: [], _FINISHED: []}
        updates: dict[str, statements.Rows] = {_LIVE: [], _FINISHED: []}
        deletes: dict[str, statements.Rows] = {_LIVE: [], _FINISHED: []}
        counts: dict[tuple[str, str], int] = {}
        for id_, (job, state) in self._jobs.items():
            row = rows.job_row(job, state)
            to = _FINISHED if job.phase.terminal else _LIVE
            home = self._homes.get(id_)
            if home is not None and home.table == to:
                updates[to].append((row[2], row[5], row[8], row[13], id_))
            else:
                inserts[to].append(row)
                if home is not None:
                    deletes[home.table].append((id_,))
            if home is None or home.phase != row[2]:
                counts[row[1], row[2]] = counts.get((row[1], row[2]), 0) + 1
                if home is not None:
                    counts[home.tenant, home.phase] = counts.get((home.tenant, home.phase), 0) - 1
        self._many(texts.delete_live, deletes[_LIVE])
        self._many(texts.delete_finished, deletes[_FINISHED])
        self._many(texts.insert_live, inserts[_LIVE])
        self._many(texts.insert_finished, inserts[_FINISHED])
        self._many(texts.update_live, updates[_LIVE])
        self._many(texts.update_finished, updates[_FINISHED])
        self._many(texts.add_count, [(tenant, phase, by) for (tenant, phase), by in counts.items() if by])


def read_versions(connection: sa.Connection, texts: statements.Statements) -> Versions:
    """Return what stands now, within the caller's write transaction."""
    *_, documents_version, _, term = connection.exec_driver_sql(texts.read_state, ()).fetchone()  # type: ignore[misc]
    return Versions(documents_version, term)
