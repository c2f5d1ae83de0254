"""Submitting: a valid document becomes a durable job and an id, once a key, whatever is sent twice.

The row, the key and the journal's entry are one commit; the answer waits for that commit and for nothing else.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from orchestrator.domain import ids, jobs, journal
from orchestrator.evidence import canonical
from orchestrator.inventory import worlds
from orchestrator.ports import stores
from orchestrator.service import access, blobs, contexts, lineages, movements, outputs, problems, readers, references
from orchestrator.service import jobs as job_service
from orchestrator.store import codec_specs
from orchestrator.wire import errors

KEY_LENGTH_MAX = 255
_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_USER, _APPLY, _RETRY = "u:", "a:", "r:"
"""Keys of users, of apply and of retries live apart."""

_applying = threading.Lock()
"""One apply at a time: it reads the live jobs of a name before it adds one."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job a submission stands for; ``created`` False: it was there already, by its key."""

    job: jobs.Job
    created: bool
    notices: tuple[str, ...] = ()


def submit(
    context: contexts.Context, who: access.Principal, data: object, *, key: str | None = None
) -> Future[Submitted]:
    """Accept a Job document. Raises ServiceError at once for what is refused; the future is done when it is durable."""
    access.require(who, access.SUBMITS)
    spec = readers.job_spec(data)
    stored_key = _USER + check_key(key) if key is not None else None
    world = context.world()
    job = make_job(context, who, spec, world)
    return _commit_one(context, who, job, stored_key, job.spec_digest, references.notices(who, spec, world))


def apply(context: contexts.Context, who: access.Principal, name: str, data: object) -> Submitted:
    """Submit under the digest of tenant, name and spec; another spec under the name of a live job is refused."""
    access.require(who, access.SUBMITS)
    spec = readers.job_spec(data)
    if spec.name != name:
        raise problems.invalid([errors.DocumentError(f"is not {name}, as the path says", "metadata.name")])
    world = context.world()
    job = make_job(context, who, spec, world)
    digest = canonical.digest([who.tenant, name, job.spec_digest])
    notices = references.notices(who, spec, world)
    with _applying:
        known = context.store.idempotency_key(who.tenant, _APPLY + digest)
        if known is None:
            _refuse_other_spec(context, who, job)
        future = _commit_one(context, who, job, _APPLY + digest, job.spec_digest, notices, kind="job.applied")
        return future.result()


def would_apply(context: contexts.Context, who: access.Principal, name: str, data: object) -> str:
    """Return ``created`` or ``unchanged``: what apply would do; raises what apply would."""
    access.require(who, access.SUBMITS)
    job = make_job(context, who, readers.job_spec(data), context.world())
    digest = canonical.digest([who.tenant, name, job.spec_digest])
    if context.store.idempotency_key(who.tenant, _APPLY + digest) is not None:
        return "unchanged"
    _refuse_other_spec(context, who, job)
    return "created"


def retry(context: contexts.Context, who: access.Principal, id: str, *, key: str | None = None) -> Future[Submitted]:
    """Submit the spec of an ended job again: a NEW job, which names the first in its condition ``RetryOf``."""
    access.require(who, access.SUBMITS)
    old = job_service.load(context, who, id)
    if not old.phase.terminal:
        text = f"job {old.id} has not ended ({old.phase.value}); cancel it first"
        raise problems.ServiceError(problems.Kind.CONFLICT, "job.not-ended", text)
    if old.parent is not None:
        text = f"{old.id} is an element of an array; retry the array {old.parent}"
        raise problems.ServiceError(problems.Kind.CONFLICT, "job.element", text)
    stored_key = _RETRY + check_key(key) if key is not None else None
    world = context.world()
    job = make_job(context, who, old.spec, world)
    note = jobs.Condition("RetryOf", True, "Retried", f"the same as {old.id}, again", job.submitted_at)
    job = dataclasses.replace(job, conditions=(note,))
    notices = references.notices(who, old.spec, world)
    digest = canonical.digest(["retry", old.id])
    return _commit_one(context, who, job, stored_key, digest, notices, kind="job.retried", of=old.id)


def submit_many(
    context: contexts.Context, who: access.Principal, documents: Sequence[object], *, key: str | None = None
) -> Future[list[jobs.Job]]:
    """Accept many Job documents, all or none; with a key, element ``n`` is known under ``key`` and its number."""
    access.require(who, access.SUBMITS)
    found: list[errors.DocumentError] = []
    made: list[jobs.Job] = []
    world = context.world()
    for index, data in enumerate(documents):
        try:
            made.append(make_job(context, who, readers.job_spec(data), world))
        except problems.ServiceError as error:
            if error.kind is not problems.Kind.INVALID:
                raise
            found += [_at(entry, f"documents[{index}]") for entry in error.errors]
        if len(found) >= errors.ERRORS_MAX:
            break
    if found:
        raise problems.invalid(found[: errors.ERRORS_MAX])
    return _commit_many(context, who, made, None if key is None else check_key(key))


def check_key(key: str) -> str:
    """Return an idempotency key that may be one; raises ServiceError ``request.malformed``."""
    if not _KEY.fullmatch(key):
        text = f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable ASCII characters"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
    return key


def make_job(context: contexts.Context, who: access.Principal, spec: jobs.JobSpec, world: worlds.World) -> jobs.Job:
    """Return a new job of ``spec``, not yet stored; raises ServiceError for what it names and is not in ``world``."""
    references.check(who, spec, world)
    if spec.workdir is not None and not blobs.exists(context, spec.workdir):
        remedy = "send the archive first: POST /v1/blobs?digest=..."
        missing = errors.DocumentError("no such archive was sent", "spec.workdir.digest", remedy, "workdir.unknown")
        raise problems.invalid([missing])
    size = spec.array.size if spec.array is not None else spec.verification.replicas if spec.verification else 0
    array = jobs.ArrayState(untouched=((0, size),)) if size else None
    job = jobs.Job(
        id=context.ids.job_id(),
        tenant=who.tenant,
        spec=spec,
        spec_digest=codec_specs.spec_digest(spec),
        submitted_at=context.clock.now(),
        submitted_by=who.token_id,
        array_state=array,
    )
    if spec.verification is not None and spec.verification.tolerance is not None:
        outputs.refuse(movements.to_control_plane(context, job))  # numbers are compared here
    return job


def _refuse_other_spec(context: contexts.Context, who: access.Principal, job: jobs.Job) -> None:
    live = frozenset(jobs.Phase) - jobs.TERMINAL
    wanted = stores.JobFilter(tenant=who.tenant, name=job.spec.name, phases=live)
    others = [one.id for one in context.store.list_jobs(wanted, limit=20).items if one.spec_digest != job.spec_digest]
    if others:
        text = (
            f"a live job has the name {job.spec.name} and another spec: {', '.join(others)}; "
            "cancel it, or choose another name"
        )
        raise problems.ServiceError(problems.Kind.CONFLICT, "job.immutable", text, details={"ids": others})


def _entry(context: contexts.Context, job: jobs.Job, kind: str, of: str | None) -> journal.Entry:
    body: dict[str, object] = {"name": job.spec.name, "spec": job.spec_digest}
    if job.spec.data is not None and job.spec.data.declared_none:
        body["data"] = "none"
    if job.spec.verification is not None:
        body["draws"] = context.draws  # committed to before anything is drawn
    if of is not None:
        body["of"] = of
    return journal.Entry(kind, f"job/{job.id}", job.submitted_at, job.submitted_by, body, job.tenant)


def _commit_one(
    context: contexts.Context,
    who: access.Principal,
    job: jobs.Job,
    key: str | None,
    request: ids.Digest,
    notices: tuple[str, ...],
    *,
    kind: str = "job.submitted",
    of: str | None = None,
) -> Future[Submitted]:
    lineages.record(context, who, (job,))
    keys = () if key is None else (stores.IdempotencyKey(who.tenant, key, request, job.id),)
    changes = stores.Changes(jobs=(job,), keys=keys, entries=(_entry(context, job, kind, of),))
    admit = context.admit

    def done(receipt: stores.Receipt) -> Submitted:
        if admit is None:
            context.changed(receipt.jobs)
        return Submitted(receipt.jobs[0], True, notices)

    def failed(error: BaseException) -> Submitted:
        if not isinstance(error, stores.DuplicateKeyError):
            raise contexts.of_store(error) from error
        existing = error.existing
        known = context.store.job(existing.job)
        if existing.request_digest != request or known is None:
            raise mismatch(existing.job) from error
        return Submitted(known, False, notices)

    return contexts.chain((admit or context.store.commit_async)(changes), done, failed)


def _commit_many(
    context: contexts.Context, who: access.Principal, made: list[jobs.Job], key: str | None
) -> Future[list[jobs.Job]]:
    keys: tuple[stores.IdempotencyKey, ...] = ()
    if key is not None:
        keys = tuple(
            stores.IdempotencyKey(who.tenant, f"{_USER}{key}#{index}", job.spec_digest, job.id)
            for index, job in enumerate(made)
        )
    lineages.record(context, who, made)
    entries = tuple(_entry(context, job, "job.submitted", None) for job in made)

    def done(receipt: stores.Receipt) -> list[jobs.Job]:
        context.changed(receipt.jobs)
        return list(receipt.jobs)

    def failed(error: BaseException) -> list[jobs.Job]:
        if not isinstance(error, stores.DuplicateKeyError):
            raise contexts.of_store(error) from error
        return _known_batch(context, who, keys, error)

    return contexts.chain(
        context.store.commit_async(stores.Changes(jobs=tuple(made), keys=keys, entries=entries)), done, failed
    )


def _known_batch(
    context: contexts.Context,
    who: access.Principal,
    keys: Sequence[stores.IdempotencyKey],
    error: stores.DuplicateKeyError,
) -> list[jobs.Job]:
    """Return the jobs of a batch that was sent before; raises ``idempotency.mismatch`` for another batch."""
    known: list[jobs.Job] = []
    for key in keys:
        existing = context.store.idempotency_key(who.tenant, key.key)
        job = context.store.job(existing.job) if existing is not None else None
        if existing is None or job is None or existing.request_digest != key.request_digest:
            raise mismatch(error.existing.job) from error
        known.append(job)
    return known


def mismatch(job: str) -> problems.ServiceError:
    """Return the answer to a key that comes again with something else."""
    text = f"this Idempotency-Key came before with another body (job {job}); use a new key for a new job"
    return problems.ServiceError(problems.Kind.INVALID, "idempotency.mismatch", text)


def _at(entry: errors.DocumentError, place: str) -> errors.DocumentError:
    return dataclasses.replace(entry, path=f"{place}.{entry.path}" if entry.path else place)
