"""What every make of the store decides alike: which changes are refused, with which error, and what rows become.

Pure. A make brings a ``View`` of what is stored (all of it, or just the rows the changes touch) and asks ``take``:
it either raises and leaves the view alone, or moves the view forward and says what to write.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import MutableMapping, MutableSet, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import ids, jobs, obligations
from orchestrator.ports import stores

_ELEMENT_CURSOR = re.compile(r"e1\.([0-9]{1,18})", re.ASCII)
_OBLIGATION_CURSOR = re.compile(r"o1\.([!-~]{1,100}?)~(\S{1,400})")
_JOB_CURSOR = re.compile(r"j1\.([!-~]{1,100})", re.ASCII)


@dataclass(slots=True)
class View:
    """What is stored, as far as the changes at hand need it. Rows that are absent do not exist."""

    term: int
    queue_seq: int
    documents_version: int
    jobs: MutableMapping[str, tuple[int, int]] = field(default_factory=dict)
    """id -> (version, queue_seq)"""
    keys: MutableMapping[tuple[str, str], stores.IdempotencyKey] = field(default_factory=dict)
    placements: MutableSet[str] = field(default_factory=set)
    documents: MutableMapping[tuple[str, str, str], tuple[int, dt.datetime]] = field(default_factory=dict)
    """(kind, tenant, name) -> (version, created_at)"""
    tokens: MutableMapping[str, int] = field(default_factory=dict)
    obligations: MutableMapping[tuple[str, str], int] = field(default_factory=dict)
    """(job, code) -> version"""


def has_new_jobs(changes: stores.Changes) -> bool:
    """Say whether the changes bring jobs that were not there: what a full disk refuses."""
    return any(job.version == 0 for job in changes.jobs)


def check(changes: stores.Changes, view: View) -> None:
    """Raise the StoreError for which ``changes`` are refused. The order of the questions is part of the promise."""
    if changes.term is not None and changes.term != view.term:
        raise stores.StaleTermError(f"term {changes.term} is over: the lease is at term {view.term}")
    for key in changes.keys:
        existing = view.keys.get((key.tenant, key.key))
        if existing is not None:
            raise stores.DuplicateKeyError(existing)
    for job in changes.jobs:
        row = view.jobs.get(job.id)
        if job.version != (row[0] if row else 0):
            raise stores.VersionConflictError(f"job/{job.id}")
    for placement in changes.placements:
        if placement.key in view.placements:
            raise stores.VersionConflictError(f"placement/{placement.key}")
    for document in changes.documents:
        stored = view.documents.get(document.key)
        if document.version != (stored[0] if stored else 0):
            raise stores.VersionConflictError(f"{document.kind}/{document.name}")
    for kind, tenant, name, version in changes.delete_documents:
        stored = view.documents.get((kind, tenant, name))
        if stored is None or stored[0] != version:
            raise stores.VersionConflictError(f"{kind}/{name}")
    for token in changes.tokens:
        if token.version != view.tokens.get(token.id, 0):
            raise stores.VersionConflictError(f"token/{token.id}")
    for obligation in changes.obligations:
        if obligation.version != view.obligations.get(obligation.key, 0):
            raise stores.VersionConflictError(f"obligation/{obligation.job}/{obligation.duty.code}")


def check_shape(changes: stores.Changes) -> None:
    """Raise ValueError for changes that contradict themselves: only a bug makes such."""
    _once("job", [job.id for job in changes.jobs])
    _once("idempotency key", [(key.tenant, key.key) for key in changes.keys])
    _once("placement", [placement.key for placement in changes.placements])
    named = [document.key for document in changes.documents]
    _once("document", named + [(kind, tenant, name) for kind, tenant, name, _ in changes.delete_documents])
    _once("token", [token.id for token in changes.tokens])
    _once("obligation", [obligation.key for obligation in changes.obligations])
    for job in changes.jobs:
        if not job.spec_digest:
            raise ValueError(f"job {job.id} has no spec digest")


def _once(what: str, names: Sequence[object]) -> None:
    if len(names) > 1 and len(set(names)) != len(names):
        raise ValueError(f"the same {what} twice in one commit")


@dataclass(slots=True)
class Taken:
    """Rows of accepted changes as they are to be stored."""

    jobs: tuple[jobs.Job, ...]
    documents: tuple[stores.Document, ...]
    tokens: tuple[stores.Token, ...]
    obligations: tuple[obligations.Obligation, ...] = ()


_NOTHING = Taken((), (), ())


def take(changes: stores.Changes, view: View, now: dt.datetime) -> Taken:
    """Accept ``changes`` (raises StoreError) and move ``view`` forward to after them."""
    check(changes, view)
    for key in changes.keys:
        view.keys[key.tenant, key.key] = key
    for placement in changes.placements:
        view.placements.add(placement.key)
    obliged = tuple(_take_obligation(one, view) for one in changes.obligations) if changes.obligations else ()
    if not (changes.jobs or changes.documents or changes.delete_documents or changes.tokens):
        return Taken((), (), (), obliged) if obliged else _NOTHING
    taken_jobs = tuple([_take_job(job, view) for job in changes.jobs])
    documents: list[stores.Document] = []
    if changes.documents or changes.delete_documents:
        view.documents_version += 1
        for kind, tenant, name, _ in changes.delete_documents:
            del view.documents[kind, tenant, name]
        for document in changes.documents:
            stored = view.documents.get(document.key)
            created = stored[1] if stored else now
            version = view.documents_version
            view.documents[document.key] = (version, created)
            documents.append(dataclasses.replace(document, version=version, created_at=created, updated_at=now))
    tokens = []
    for token in changes.tokens:
        view.tokens[token.id] = token.version + 1
        tokens.append(dataclasses.replace(token, version=token.version + 1))
    return Taken(taken_jobs, tuple(documents), tuple(tokens), obliged)


def _take_obligation(one: obligations.Obligation, view: View) -> obligations.Obligation:
    view.obligations[one.key] = one.version + 1
    return dataclasses.replace(one, version=one.version + 1)


def _take_job(job: jobs.Job, view: View) -> jobs.Job:
    row = view.jobs.get(job.id)
    if row is None:
        view.queue_seq += 1
        queue_seq = view.queue_seq
    else:
        queue_seq = row[1]
    version = job.version + 1
    view.jobs[job.id] = (version, queue_seq)
    return jobs.Job(  # positional: half the time of dataclasses.replace, on the hottest road
        job.id,
        job.tenant,
        job.spec,
        job.spec_digest,
        job.submitted_at,
        job.submitted_by,
        job.phase,
        version,
        job.attempts,
        job.conditions,
        job.stop,
        job.not_before,
        job.reason,
        job.ended_at,
        job.parent,
        job.index,
        job.array_state,
        queue_seq,
    )


def matches(job: jobs.Job, wanted: stores.JobFilter) -> bool:
    """Say whether a job is wanted, the cursor aside."""
    if wanted.parent is not None:
        if job.parent != wanted.parent:
            return False
    elif wanted.top_level_only and job.parent is not None:
        return False
    attempt = job.attempt
    labels = dict(job.spec.labels)
    return (
        (wanted.tenant is None or job.tenant == wanted.tenant)
        and (wanted.phases is None or job.phase in wanted.phases)
        and (wanted.name is None or job.spec.name == wanted.name)
        and (wanted.id_prefix is None or job.id.startswith(wanted.id_prefix.upper()))
        and (wanted.queue is None or job.spec.queue == wanted.queue)
        and (wanted.site is None or (attempt is not None and attempt.site == wanted.site))
        and all(labels.get(key) == value for key, value in wanted.labels)
    )


def cursor_for(wanted: stores.JobFilter, job: jobs.Job) -> str:
    """Return the cursor that goes on after ``job``."""
    return f"e1.{job.index}" if wanted.parent is not None else f"j1.{job.id}"


def read_cursor(wanted: stores.JobFilter, cursor: str | None) -> tuple[ids.JobId | None, int | None]:
    """Return ``(id to go on below, index to go on above)``. Raises ValueError for a cursor that is not ours."""
    if cursor is None:
        return None, None
    if wanted.parent is not None:
        found = _ELEMENT_CURSOR.fullmatch(cursor)
        if found:
            return None, int(found[1])
    else:
        found = _JOB_CURSOR.fullmatch(cursor)
        if found:
            return ids.JobId(found[1]), None
    raise ValueError("this cursor is not from a list of this kind")


def obliges(one: obligations.Obligation, wanted: stores.ObligationFilter) -> bool:
    """Say whether an obligation is wanted, the cursor aside."""
    return (
        (wanted.tenant is None or one.tenant == wanted.tenant)
        and (wanted.jobs is None or one.job in wanted.jobs)
        and (wanted.states is None or one.state in wanted.states)
        and (wanted.due_by is None or (one.due_at is not None and one.due_at <= wanted.due_by))
    )


def obligation_cursor(one: obligations.Obligation) -> str:
    """Return the cursor that goes on after an obligation."""
    return f"o1.{one.job}~{one.duty.code}"


def read_obligation_cursor(cursor: str | None) -> tuple[str, str] | None:
    """Return the (job, code) to go on after. Raises ValueError for a cursor that is not ours."""
    if cursor is None:
        return None
    found = _OBLIGATION_CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError("this cursor is not from a list of this kind")
    return found[1], found[2]
