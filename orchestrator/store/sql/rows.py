"""Rows of the tables as domain values, and back: one function each way and kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import canonical, chain
from orchestrator.ports import stores
from orchestrator.store import codec, codec_obligations

Row = Sequence[Any]


def job_row(job: jobs.Job, state: str) -> tuple[Any, ...]:
    """Return a job as a row of ``live_jobs`` or ``finished_jobs``."""
    spec, attempts = job.spec, job.attempts
    return (
        job.id,
        job.tenant,
        job.phase.value,
        spec.name,
        spec.queue,
        attempts[-1].site if attempts else None,
        job.parent,
        job.index,
        job.version,
        job.queue_seq,
        job.spec_digest,
        codec.micros(job.submitted_at),
        job.submitted_by,
        state,
    )


def job(row: Row, spec: jobs.JobSpec) -> jobs.Job:
    """Return the job of a row."""
    attempts, conditions, stop, not_before, reason, ended_at, array_state = codec.decode_state(row[13])
    return jobs.Job(
        row[0],
        row[1],
        spec,
        row[10],
        codec.moment(row[11]),
        row[12],
        codec.phase(row[2]),
        row[8],
        attempts,
        conditions,
        stop,
        not_before,
        reason,
        ended_at,
        row[6],
        row[7],
        array_state,
        row[9],
    )


def check_text(changes: stores.Changes) -> None:
    """Raise ValueError where a column's text is not Unicode: one such row would fail its whole group."""
    for job in changes.jobs:
        spec = job.spec
        for text in (job.id, job.tenant, job.submitted_by, spec.name, spec.queue or "", job.spec_digest):
            if not text.isascii():
                text.encode()


def entry_row(entry: journal.Entry) -> tuple[str, str, str | None, str, str, str, bytes]:
    """Return an entry's columns and its canonical bytes. Raises ValueError."""
    body, at = canonical.text(entry.body), chain.time_text(entry.at)
    data = chain.record_bytes(entry.kind, entry.subject, entry.tenant, at, entry.actor, body)
    return entry.kind, entry.subject, entry.tenant, at, entry.actor, body, data


def document_row(document: stores.Document) -> tuple[Any, ...]:
    """Return a document, as taken (with both times), as a row."""
    if document.created_at is None or document.updated_at is None:
        raise AssertionError("a document is stored with its times")
    return (
        document.name,
        document.kind,
        document.tenant,
        document.body,
        document.version,
        document.status,
        codec.micros(document.created_at),
        codec.micros(document.updated_at),
    )


def document(row: Row) -> stores.Document:
    """Return the document of a row."""
    name, kind, tenant, body, version, status, created, updated = row
    return stores.Document(kind, name, tenant, body, version, status, codec.moment(created), codec.moment(updated))


def obligation_row(one: obligations.Obligation) -> tuple[Any, ...]:
    """Return an obligation as a row."""
    due = codec.micros_or_none(one.due_at)
    return one.job, one.duty.code, one.tenant, one.state.value, due, one.version, codec_obligations.encode(one)


def obligation(row: Row) -> obligations.Obligation:
    """Return the obligation of a row. Raises CodecError."""
    job, code, tenant, state, due, version, body = row
    return codec_obligations.decode(
        body, job=job, code=code, tenant=tenant, state=state, due_at=codec.moment_or_none(due), version=version
    )


def token_row(token: stores.Token) -> tuple[Any, ...]:
    """Return a token as a row."""
    return (
        token.id,
        token.hash,
        token.tenant,
        canonical.text(token.roles),
        codec.micros(token.created_at),
        codec.micros_or_none(token.expires_at),
        codec.micros_or_none(token.revoked_at),
        token.note,
        token.version,
    )


def token(row: Row) -> stores.Token:
    """Return the token of a row."""
    id_, hash_, tenant, roles, created, expires, revoked, note, version = row
    return stores.Token(
        id=id_,
        hash=hash_,
        tenant=tenant,
        roles=tuple(json.loads(roles)),
        created_at=codec.moment(created),
        expires_at=codec.moment_or_none(expires),
        revoked_at=codec.moment_or_none(revoked),
        note=note,
        version=version,
    )


def placement_row(placement: decisions.Placement) -> tuple[Any, ...]:
    """Return a placement record as a row."""
    return (
        placement.key,
        placement.job,
        placement.number,
        placement.site,
        placement.decision,
        placement.policy,
        placement.facts,
        codec.micros_or_none(placement.expires),
        codec.micros(placement.placed_at),
        placement.term,
    )


def placement(row: Row) -> decisions.Placement:
    """Return the placement record of a row."""
    key, job_, number, site, decision_, policy, facts, expires, placed_at, term = row
    return decisions.Placement(
        key=key,
        job=job_,
        number=number,
        site=site,
        decision=decision_,
        policy=policy,
        facts=facts,
        expires=codec.moment_or_none(expires),
        placed_at=codec.moment(placed_at),
        term=ids.Term(term),
    )


def decision_row(decision: decisions.Decision) -> tuple[Any, ...]:
    """Return a decision as a row."""
    return (
        decision.digest,
        decision.class_digest,
        codec.micros(decision.at),
        codec.micros_or_none(decision.expires),
        decision.placeable,
        decision.body,
    )


def blob(stored: object) -> bytes:
    """Return bytes as stored. Raises TypeError for a column that holds something else: SQLite takes any type."""
    if not isinstance(stored, bytes):
        raise TypeError(f"bytes are stored as {type(stored).__name__}")
    return stored


def decision(row: Row) -> decisions.Decision:
    """Return the decision of a row."""
    digest, class_digest, at, expires, placeable, body = row
    return decisions.Decision(
        digest=digest,
        class_digest=class_digest,
        at=codec.moment(at),
        expires=codec.moment_or_none(expires),
        placeable=bool(placeable),
        body=blob(body),
    )
