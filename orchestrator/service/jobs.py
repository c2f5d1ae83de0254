"""Jobs as people see and change them: read, list, find by what a person types, cancel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain import elements, events, ids, jobs
from orchestrator.ports import stores
from orchestrator.service import access, cancellations, contexts, problems

PAGE_MAX = 500
CANDIDATES_MAX = 50
_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
_PREFIX = re.compile(r"[0-9A-HJKMNP-TV-Z]{4,25}", re.ASCII)
_ELEMENT = re.compile(r"(?P<job>[^\[\]]{1,64})\[(?P<index>0|[1-9][0-9]{0,6})\]", re.ASCII)
LIVE = frozenset(jobs.Phase) - jobs.TERMINAL


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A job after a cancel; ``changed`` False: it had ended, or was being stopped already."""

    job: jobs.Job
    changed: bool


def get(context: contexts.Context, who: access.Principal, id: str) -> jobs.Job:
    """Return a job or an array's element of this tenant; raises ``job.not-found``."""
    access.require(who, access.READS_JOBS)
    return load(context, who, id)


def load(context: contexts.Context, who: access.Principal, id: str) -> jobs.Job:
    """As ``get``, for whom another use case has admitted already."""
    if _ULID.fullmatch(id):
        return access.own_job(who, context.store.job(ids.JobId(id)), id)
    element = _ELEMENT.fullmatch(id)
    if element is None or not _ULID.fullmatch(element["job"]):
        raise problems.not_found(f"job {access.shown(id)}", "job.not-found")
    if (row := context.store.job(ids.JobId(id))) is not None:
        return access.own_job(who, row, id)
    parent = access.own_job(who, context.store.job(ids.JobId(element["job"])), id)
    index = int(element["index"])
    if not elements.has_element(parent, index):
        raise problems.not_found(f"job {access.shown(id)}", "job.not-found")
    return elements.element_of(parent, index)


def load_holding(context: contexts.Context, who: access.Principal, id: str) -> jobs.Job:
    """As ``load``; for a verified job with its verdict, the run whose outputs hold."""
    job = load(context, who, id)
    state = job.array_state
    if state is None or state.accepted is None:
        return job
    return load(context, who, ids.element_id(job.id, state.accepted))


def list_page(
    context: contexts.Context, who: access.Principal, *, filter: str | None, limit: int, cursor: str | None
) -> stores.JobPage:
    """Return a page of this tenant's jobs, newest first; raises ``request.malformed``."""
    access.require(who, access.READS_JOBS)
    wanted = parse_filter(filter or "", tenant=who.tenant)
    if wanted.parent is not None:
        load(context, who, wanted.parent)
    try:
        return context.store.list_jobs(wanted, limit=min(limit, PAGE_MAX), cursor=cursor)
    except ValueError as error:
        raise _malformed("cursor is not one of this list") from error


def find(context: contexts.Context, who: access.Principal, word: str, *, changes: bool) -> jobs.Job:
    """Return the job that an id, a unique prefix or a name means.

    A reading verb takes the newest live one of a name, else the newest; a changing verb refuses ambiguity and lists
    the ids. Raises ``job.not-found``, ``job.ambiguous``.
    """
    access.require(who, access.READS_JOBS)
    if (element := _ELEMENT.fullmatch(word)) is not None:
        parent = find(context, who, element["job"], changes=changes)
        return load(context, who, f"{parent.id}[{element['index']}]")
    if _ULID.fullmatch(word.upper()):
        return load(context, who, word.upper())
    found = _named(context, who, word, LIVE) or _named(context, who, word, None)
    if not found and _PREFIX.fullmatch(word.upper()):
        prefix = stores.JobFilter(tenant=who.tenant, id_prefix=word.upper())
        found = context.store.list_jobs(prefix, limit=CANDIDATES_MAX).items
        changes = True  # a prefix must be unique, whatever the verb
    if not found:
        raise problems.not_found(f"job {access.shown(word)}", "job.not-found")
    if changes and len(found) > 1:
        listed = [job.id for job in found]
        text = f"{access.shown(word)} stands for several jobs: {', '.join(listed)}; say which id"
        raise problems.ServiceError(problems.Kind.CONFLICT, "job.ambiguous", text, details={"ids": listed})
    return found[0]


def _named(
    context: contexts.Context, who: access.Principal, name: str, phases: frozenset[jobs.Phase] | None
) -> Sequence[jobs.Job]:
    if not ids.is_name(name):
        return ()
    wanted = stores.JobFilter(tenant=who.tenant, name=name, phases=phases)
    return context.store.list_jobs(wanted, limit=CANDIDATES_MAX).items


def cancel(context: contexts.Context, who: access.Principal, id: str) -> Cancelled:
    """Ask a job, an array, or one element to end. Durable when it returns; twice is fine."""
    access.require(who, access.CANCELS)
    for _ in range(contexts.CONFLICT_TRIES):
        old = load(context, who, id)
        stop = events.StopRequested(context.clock.now(), jobs.StopCause.CANCELLED, who.token_id, "cancelled by a user")
        changes = cancellations.changes(context.store, old, stop)
        if changes is None:
            return Cancelled(old, False)
        try:
            receipt = contexts.commit(context, changes)
        except stores.VersionConflictError:
            continue  # the loop moved it meanwhile: read it again
        return Cancelled(receipt.jobs[0], True)
    raise problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"job {id} changes too quickly; try again")


_FILTER_WORDS = ("phase", "name", "id", "queue", "site", "label", "parent")


def parse_filter(text: str, *, tenant: str) -> stores.JobFilter:
    """Return the filter that ``phase=RUNNING,QUEUED;name=x`` means; raises ``request.malformed``."""
    if len(text) > 1024:
        raise _malformed("filter is longer than 1024 characters")
    given: dict[str, str] = {}
    labels: list[tuple[str, str]] = []
    for part in filter(None, text.split(";")):
        word, equals, value = part.partition("=")
        word = word.strip()
        if not equals or word not in _FILTER_WORDS:
            raise _malformed(f"filter: write WORD=VALUE with WORD one of {', '.join(_FILTER_WORDS)}")
        if word == "label":
            key, _, of = value.partition(":")
            labels.append((key, of))
        else:
            given[word] = value.strip()
    try:
        phases = (
            frozenset(jobs.Phase(word.strip().upper()) for word in given["phase"].split(","))
            if "phase" in given
            else None
        )
    except ValueError as error:
        raise _malformed(f"filter: phase is one of {', '.join(phase.value for phase in jobs.Phase)}") from error
    parent = given.get("parent")
    return stores.JobFilter(
        tenant=tenant,
        phases=phases,
        name=given.get("name"),
        id_prefix=given["id"].upper() if "id" in given else None,
        queue=given.get("queue"),
        site=given.get("site"),
        labels=tuple(labels),
        parent=None if parent is None else ids.JobId(parent),
        top_level_only=parent is None,
    )


def _malformed(text: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
