"""Where a job would go and why nowhere else; and what was decided about one that is there."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain import decisions, ids, jobs, reasons
from orchestrator.placement import contents
from orchestrator.scheduler import answers
from orchestrator.service import access, contexts, halts, problems, readers, references
from orchestrator.service import jobs as job_service
from orchestrator.verification import receipts

DECISION, NOW = "decision", "now"


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer; ``of`` says whether it is what was decided, or what would be decided now."""

    answer: decisions.Answer
    chosen: ids.SiteName | None
    of: str
    notices: tuple[str, ...] = ()
    halted: tuple[reasons.Reason, ...] = ()
    """Why nothing new is placed anywhere now, whatever the answer says; () as a rule."""
    verified: receipts.Forecast | None = None
    """What a verified job would meet, where the answer is about now."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision behind one attempt. ``answer`` None: what it refers to is not stored any more."""

    placement: decisions.Placement
    answer: decisions.Answer | None


_DIGITS_MIN = 6
_DIGEST = re.compile(rf"[0-9a-f]{{{_DIGITS_MIN},64}}")


def plan(context: contexts.Context, who: access.Principal, data: object, *, at: dt.datetime | None = None) -> Explained:
    """Answer for a Job document without submitting it, now or on another day."""
    access.require(who, access.PLANS)
    spec = readers.job_spec(data)
    references.check(who, spec, context.world())
    found = _plan(context, who.tenant, spec, at)
    notices = references.notices(who, spec, context.world())
    stops = () if at is not None else _reasons(halts.now(context))
    return dataclasses.replace(_expected(found), notices=notices, halted=stops)


def confirm(context: contexts.Context, who: access.Principal, data: object, digest: str) -> None:
    """Refuse a document whose answer is no longer that of a plan. Raises ServiceError ``plan.changed``.

    ``digest`` is the plan's, or its beginning: at least six hexadecimal digits.
    """
    wanted = digest.removeprefix("sha256:")
    if not _DIGEST.fullmatch(wanted):
        text = f"a plan is named by its digest, or by at least {_DIGITS_MIN} digits of it"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
    now = plan(context, who, data).answer.digest
    if not str(now).removeprefix("sha256:").startswith(wanted):
        text = f"the decision has changed since that plan: it is {now} now; `comity plan` shows it"
        raise problems.ServiceError(problems.Kind.CONFLICT, "plan.changed", text, details={"digest": str(now)})


def of_job(context: contexts.Context, who: access.Principal, id: str, *, backend: str | None = None) -> Explained:
    """Return the decision behind the current attempt, else what would be decided now."""
    access.require(who, access.READS_JOBS)
    job = job_service.load(context, who, id)
    found = _decided(context, job) or _now(context, job)
    found = dataclasses.replace(found, halted=_reasons(halts.of_job(context, job)))
    if backend is None:
        return found
    kept = tuple(site for site in found.answer.sites if backend in (site.backend, site.site))
    if not kept:
        raise problems.not_found(f"backend {access.shown(backend)}", "document.not-found")
    return dataclasses.replace(found, answer=dataclasses.replace(found.answer, sites=kept))


def list_decisions(context: contexts.Context, who: access.Principal, id: str) -> Sequence[Decided]:
    """Return the decision behind each attempt, oldest first."""
    access.require(who, access.READS_JOBS)
    job = job_service.load(context, who, id)
    found = []
    for attempt in job.attempts:
        placement = context.store.placement(attempt.key)
        if placement is not None:
            found.append(Decided(placement, _render(context, placement.decision)))
    return found


def _reasons(found: Sequence[halts.Halt]) -> tuple[reasons.Reason, ...]:
    return tuple(one.reason for one in found)


def _decided(context: contexts.Context, job: jobs.Job) -> Explained | None:
    attempt = job.attempt
    if attempt is None or job.phase is jobs.Phase.QUEUED:
        return None
    answer = _render(context, attempt.decision)
    return None if answer is None else Explained(answer, attempt.site, DECISION)


def _now(context: contexts.Context, job: jobs.Job) -> Explained:
    return _expected(_plan(context, job.tenant, job.spec, None))


def _expected(found: answers.Planned) -> Explained:
    ranking = found.answer.ranking
    # Where the runs of a verified job go is drawn when they are placed.
    chosen = ranking[0] if ranking and found.verified is None else None
    return Explained(found.answer, chosen, NOW, verified=found.verified)


def _render(context: contexts.Context, digest: ids.Digest) -> decisions.Answer | None:
    decision = context.store.decision(digest)
    if decision is None:
        return None
    book = context.world().book
    books = {} if book is None else {book.digest: book}
    try:
        return answers.render(decision, context.store.content, books)
    except contents.ContentError:
        return None


def _plan(context: contexts.Context, tenant: str, spec: jobs.JobSpec, at: dt.datetime | None) -> answers.Planned:
    shared = context.snapshots
    with shared.lock:
        snapshot = shared.make(context, context.clock.now())
        try:
            return answers.plan_one(spec, snapshot, tenant=tenant, at=at, cache=shared.cache)
        except ArithmeticError as error:
            text = f"this job cannot be judged: {type(error).__name__}"
            raise problems.ServiceError(problems.Kind.INVALID, "job.unjudgeable", text) from error
