"""Obligations as people see and fulfil them: list, look up, name the evidence. Who wants to compute fulfils nothing.

Fulfilling states a fact and shows evidence for it, so it takes the role of who states facts, or the data's steward.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain import ids, jobs, journal, obligations
from orchestrator.inventory import obligations as owings
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems
from orchestrator.service import jobs as job_service

FULFILS = (access.Role.FACTS, access.Role.STEWARD)
READS = (*access.READS_JOBS, access.Role.FACTS, access.Role.POLICY)
PAGE_MAX = 500
WORD_MAX = 1_024
"""Length of a reference, a person's name and a note."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_FILTER_WORDS = ("state", "job")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody says about an obligation: where the evidence is, its digest (""), who answers for it, a note."""

    code: str
    reference: str
    by: str
    digest: str = ""
    note: str = ""


def of_job(context: contexts.Context, job: jobs.Job) -> Sequence[obligations.Obligation]:
    """Return what is owed for a job or an array, by code. Reads nothing where no duty ever fired."""
    if job.condition(obligations.OBLIGED) is None:
        return ()
    return owings.of_jobs(context.store, [job.id])


def list_page(
    context: contexts.Context, who: access.Principal, *, filter: str | None, limit: int, cursor: str | None
) -> stores.ObligationPage:
    """Return a page of this tenant's obligations, by job and code; raises ``request.malformed``."""
    access.require(who, READS)
    wanted = parse_filter(filter or "", tenant=who.tenant)
    try:
        return context.store.list_obligations(wanted, limit=min(limit, PAGE_MAX), cursor=cursor)
    except ValueError as error:
        raise _malformed("cursor is not one of this list") from error


def parse_filter(text: str, *, tenant: str) -> stores.ObligationFilter:
    """Return the filter that ``state=open,overdue;job=ID`` means; raises ``request.malformed``."""
    given: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        word, equals, value = part.partition("=")
        if not equals or word.strip() not in _FILTER_WORDS:
            raise _malformed(f"filter: write WORD=VALUE with WORD one of {', '.join(_FILTER_WORDS)}")
        given[word.strip()] = value.strip()
    try:
        words = given["state"].split(",") if "state" in given else None
        states = None if words is None else frozenset(obligations.State(word.strip().lower()) for word in words)
    except ValueError as error:
        known = ", ".join(state.value for state in obligations.State)
        raise _malformed(f"filter: state is one of {known}") from error
    of = None if "job" not in given else frozenset({owings.owner_of(ids.JobId(given["job"].upper()))})
    return stores.ObligationFilter(tenant=tenant, states=states, jobs=of)


def fulfil(context: contexts.Context, who: access.Principal, id: str, wish: Wish) -> obligations.Obligation:
    """Note that an obligation is done, durably, and by whom. The same words twice are one; others are refused.

    Raises ``job.not-found``, ``obligation.not-found``, ``obligation.fulfilled``, ``obligation.withdrawn``.
    """
    access.require(who, FULFILS)
    wish = _checked(wish)
    for _ in range(contexts.CONFLICT_TRIES):
        job = job_service.load(context, who, owings.owner_of(ids.JobId(id)))
        owed = {one.duty.code: one for one in owings.of_jobs(context.store, [job.id])}
        old = _pending(job, owed, wish)
        if old.state is obligations.State.FULFILLED:
            return old
        at = context.clock.now()
        done = obligations.Fulfilment(wish.reference, wish.digest, wish.by, wish.note, who.token_id, at)
        new = obligations.fulfilled(old, done)
        row = owings.with_conditions(job, list((owed | {wish.code: new}).values()), at)
        moved = [row] if row is not job and not job.phase.terminal else []
        changes = stores.Changes(jobs=moved, obligations=[new], entries=[_entry(new, done)])
        try:
            contexts.commit(context, changes)
        except stores.VersionConflictError:
            continue  # the loop moved the job, or somebody else was quicker
        return new
    raise problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"job {id} changes too quickly; try again")


def _pending(job: jobs.Job, owed: dict[str, obligations.Obligation], wish: Wish) -> obligations.Obligation:
    """Return what the wish is about, if it is to be done or was done by these very words. Raises ServiceError."""
    old = owed.get(wish.code)
    if old is None:
        listed = sorted(owed)
        text = f"job {job.id} owes no {access.shown(wish.code)}; it owes: {', '.join(listed) or 'nothing'}"
        raise problems.ServiceError(problems.Kind.NOT_FOUND, "obligation.not-found", text, details={"codes": listed})
    done = old.fulfilment
    if done is not None:
        said = (done.reference, done.digest, done.by, done.note)
        if said == (wish.reference, wish.digest, wish.by, wish.note):
            return old
        text = f"{wish.code} of job {job.id} was fulfilled by {done.by} on {_day(done.at)}: {done.reference}"
        raise problems.ServiceError(problems.Kind.CONFLICT, "obligation.fulfilled", text)
    if not old.state.pending:
        text = f"{wish.code} of job {job.id} is not owed any more: {old.reason}"
        raise problems.ServiceError(problems.Kind.CONFLICT, "obligation.withdrawn", text)
    return old


def _checked(wish: Wish) -> Wish:
    """Return the wish with clean lines. Raises ``request.malformed``."""
    said = {
        "evidence": (wish.reference, "say where the evidence is: a link, a file, a number of a record"),
        "by": (wish.by, "name the person who answers for it"),
        "note": (wish.note, "say it in one line"),
    }
    clean = {}
    for path, (text, what) in said.items():
        clean[path] = line = text.strip()
        if (not line and path != "note") or len(line) > WORD_MAX or not (line.isprintable() or not line):
            raise _malformed(f"{path}: {what}, in at most {WORD_MAX} characters")
    if wish.digest and _DIGEST.fullmatch(wish.digest) is None:
        raise _malformed("digest: write sha256: and 64 small hexadecimal digits")
    return Wish(wish.code, clean["evidence"], clean["by"], wish.digest, clean["note"])


def _entry(one: obligations.Obligation, done: obligations.Fulfilment) -> journal.Entry:
    evidence = {"ref": done.reference} | ({"digest": done.digest} if done.digest else {})
    body: dict[str, object] = {"code": one.duty.code, "by": done.by, "evidence": evidence}
    body |= {"note": done.note} if done.note else {}
    return journal.Entry("obligation.fulfilled", f"job/{one.job}", done.at, done.actor, body, one.tenant)


def _day(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).date().isoformat()


def _malformed(text: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
