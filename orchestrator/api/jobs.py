"""Routes of one job: cancel, retry, wait, explain, decisions, and submitting by name or many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import fastapi
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, halts, hot, obligations, params, services
from orchestrator.domain import jobs as job_values
from orchestrator.evidence import bundles
from orchestrator.service import batches, explanations, jobs, problems, submissions
from orchestrator.service import evidence as bundle_service
from orchestrator.service import halts as halt_service
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["jobs"])

_POLL_FIRST_S, _POLL_LAST_S = 0.005, 0.25


@router.post("/v1/jobs:batch", status_code=202)
async def submit_batch(request: Request, key: params.Key = None) -> Response:
    """Submit many jobs, all or none."""
    given = services.of(request)
    data = await bodies.read_json(request)
    future = await run_in_threadpool(batches.submit, given.context, services.who(request), data, key=key)
    made = await asyncio.wrap_future(future)
    given.metrics.submitted(len(made))
    items = [{"id": job.id, "name": job.spec.name} for job in made]
    return answers.to_json({"items": items, "cursor": None}, status=202)


@router.get("/v1/jobs:find")
async def find(request: Request, job: params.Word, changes: params.Flag = False) -> Response:
    """Return the job that an id, a unique prefix or a name means."""
    found = await run_in_threadpool(
        jobs.find, services.of(request).context, services.who(request), job, changes=changes
    )
    return answers.to_json(await run_in_threadpool(obligations.shown, services.of(request), found))


@router.put("/v1/jobs/{name}", status_code=202)
async def apply(request: Request, name: params.Name, dryRun: params.Flag = False) -> Response:  # noqa: N803 -- a word of the API
    """Submit under the digest of tenant, name and spec: the same document twice is one job."""
    given, who = services.of(request), services.who(request)
    data = await bodies.read_json(request)
    if dryRun:
        change = await run_in_threadpool(submissions.would_apply, given.context, who, name, data)
        return answers.to_json({"change": change, "hits": []})
    found = await run_in_threadpool(submissions.apply, given.context, who, name, data)
    headers = {"Location": f"/v1/jobs/{found.job.id}"}
    return answers.to_json(hot.submitted(found), status=202 if found.created else 200, headers=headers)


@router.post("/v1/jobs/{id}:cancel", status_code=202)
async def cancel(request: Request, id: params.JobId) -> Response:
    """Ask a job, an array or one element to end."""
    found = await run_in_threadpool(jobs.cancel, services.of(request).context, services.who(request), id)
    return answers.to_json(convert.job(found.job), status=202 if found.changed else 200)


@router.post("/v1/jobs/{id}:retry", status_code=202)
async def retry(request: Request, id: params.JobId, key: params.Key = None) -> Response:
    """Submit the spec of an ended job again, as a new job."""
    given, who = services.of(request), services.who(request)
    future = await run_in_threadpool(submissions.retry, given.context, who, id, key=key)
    found = await asyncio.wrap_future(future)
    headers = {"Location": f"/v1/jobs/{found.job.id}"}
    return answers.to_json(hot.submitted(found), status=202, headers=headers)


@router.get("/v1/jobs/{id}:wait")
async def wait(request: Request, id: params.JobId, timeoutS: params.Seconds = 30) -> Response:  # noqa: N803 -- a word of the API
    """Return the job when it has ended, or as it is when the time is over."""
    given, who = services.of(request), services.who(request)
    clock = given.context.clock
    services.check_room(given)
    until, pause = clock.monotonic() + timeoutS, _POLL_FIRST_S
    with services.stream(given):
        while True:
            job = jobs.get(given.context, who, id)
            left = until - clock.monotonic()
            if job.phase.terminal or left <= 0 or given.stopping() or settled(job):
                return answers.to_json(halts.told(convert.job(job), halt_service.of_job(given.context, job)))
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _POLL_LAST_S)


def settled(job: job_values.Job) -> bool:
    """Say whether waiting is in vain for now: no site may take the job."""
    condition = job.condition("Unplaceable")
    return condition is not None and condition.status


@router.post("/v1/jobs/{id}:explain")
async def explain(request: Request, id: params.JobId, backend: params.BackendName = None) -> Response:
    """Return every site with every reason: as decided for the current attempt, else as it would be decided now."""
    found = await run_in_threadpool(
        explanations.of_job, services.of(request).context, services.who(request), id, backend=backend
    )
    return answers.to_json({**_told(found), "of": found.of, "job": id})


@router.post("/v1/plans")
async def plan(request: Request, at: params.At = None) -> Response:
    """Say where a job would go and why nowhere else, now or on another day; submits nothing."""
    given, who = services.of(request), services.who(request)
    data = await bodies.read_json(request)
    day = bodies.moment(at, now=given.context.clock.now(), path="at") if at is not None else None
    found = await run_in_threadpool(explanations.plan, given.context, who, data, at=day)
    return answers.to_json(_told(found))


def _told(found: explanations.Explained) -> dict[str, Any]:
    return convert.plan(
        found.answer, chosen=found.chosen, notices=found.notices, halted=found.halted, verified=found.verified
    )


@router.get("/v1/jobs/{id}/decisions")
async def decisions(request: Request, id: params.JobId) -> Response:
    """Return the decisions behind a job's attempts."""
    found = await run_in_threadpool(
        explanations.list_decisions, services.of(request).context, services.who(request), id
    )
    items: list[dict[str, Any]] = [
        {
            "attempt": one.placement.number,
            "site": one.placement.site,
            "placedAt": convert.timestamp(one.placement.placed_at),
            "digest": one.placement.decision,
            "policy": one.placement.policy,
            "facts": one.placement.facts,
            "expires": None if one.placement.expires is None else convert.timestamp(one.placement.expires),
            "answer": None if one.answer is None else convert.plan(one.answer, chosen=one.placement.site),
        }
        for one in found
    ]
    return answers.to_json(convert.page(items))


@router.get("/v1/jobs/{id}/evidence")
async def evidence(
    request: Request, id: params.JobId, since: params.Sizes = None, open: params.Paths = None
) -> Response:
    """Return the signed bundle of a job: what was decided and observed, tied to the journal, to be checked offline."""
    given = services.of(request)
    wish = bundle_service.Wish(frozenset(word for word in (open or "").split(",") if word), bodies.sizes(since))
    made = await run_in_threadpool(
        bundle_service.make, given.context, given.checkpoints, services.who(request), id, wish
    )
    return Response(await run_in_threadpool(bundles.dumps, made), media_type="application/json")


def unsupported(what: str) -> problems.ServiceError:
    """Return the answer of a route that is specified and not built."""
    return problems.ServiceError(problems.Kind.UNSUPPORTED, "api.unsupported", f"{what} is not built yet")
