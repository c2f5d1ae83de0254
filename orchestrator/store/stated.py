"""The entry that the store adds to a commit: what each document, token and obligation that it touches says afterwards.

Made here and not by who commits, so that nobody can forget it. Versions and the times that the store sets are not in
it; everything else of a row is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import canonical, chain, tables
from orchestrator.ports import stores
from orchestrator.store import codec, codec_obligations

SYSTEM = "system"


def entry(changes: stores.Changes, digests: tables.Digests, now: Callable[[], dt.datetime]) -> journal.Entry | None:
    """Return the entry; None where no row of that kind is touched. Raises ValueError for times without a zone."""
    if not (changes.documents or changes.delete_documents or changes.tokens or changes.obligations):
        return None
    rows: list[tuple[str, str, str | None]] = []
    for kind, tenant, name, _ in changes.delete_documents:
        rows.append((tables.DOCUMENT, document_key(kind, tenant, name), None))
    rows += [_row(digests, *document(one)) for one in changes.documents]
    rows += [_row(digests, *token(one)) for one in changes.tokens]
    rows += [_row(digests, *obligation(one)) for one in changes.obligations]
    at, actor = (changes.entries[0].at, changes.entries[0].actor) if changes.entries else (now(), SYSTEM)
    return journal.Entry(tables.STATED, tables.SUBJECT, at, actor, tables.statement(rows))


Stated = tuple[str, str, tuple[object, ...]]
"""A table, a key and what is stated of the row."""


def _row(digests: tables.Digests, table: str, key: str, values: tuple[object, ...]) -> tables.Row:
    return table, key, digests.row(table, key, values)


def document_key(kind: str, tenant: str, name: str) -> str:
    """Return under what a document is stated."""
    return f"{kind}/{tenant}/{name}"


def document(one: stores.Document) -> Stated:
    """Return what is stated of a document."""
    return tables.DOCUMENT, document_key(*one.key), (one.body, one.status)


def token(one: stores.Token) -> Stated:
    """Return what is stated of a token: the hash of its secret as it is stored, never the secret."""
    times = (
        codec.micros(one.created_at),
        codec.micros_or_none(one.expires_at),
        codec.micros_or_none(one.revoked_at),
    )
    return tables.TOKEN, one.id, (one.hash, one.tenant, canonical.text(one.roles), *times, one.note)


def obligation(one: obligations.Obligation) -> Stated:
    """Return what is stated of an obligation."""
    due = codec.micros_or_none(one.due_at)
    values = (one.tenant, one.state.value, due, codec_obligations.encode(one))
    return tables.OBLIGATION, f"{one.job}/{one.duty.code}", values


def job(one: jobs.Job) -> Iterator[tables.Row]:
    """Yield the rows of a job and of its attempts."""
    at = chain.time_text(one.submitted_at)
    yield tables.job_row(one.id, one.tenant, one.spec_digest, at, one.submitted_by, one.phase.value)
    for attempt in one.attempts:
        yield tables.attempt_row(one.id, attempt.number, attempt.site, attempt.decision)


def placement(one: decisions.Placement) -> tables.Row:
    """Return the row of a placement."""
    return tables.placement_row(one.job, one.number, one.site, one.decision, tables.record_of(one))


def key_of(one: decisions.Placement) -> ids.AttemptKey:
    """Return the key that a placement of this job and number has."""
    return ids.attempt_key(one.job, one.number)
