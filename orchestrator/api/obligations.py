"""Routes of obligations: list them, and fulfil one of a job."""

from __future__ import annotations

from typing import Annotated, Any

import fastapi
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, halts, params, services
from orchestrator.domain import jobs as job_values
from orchestrator.service import access, jobs, obligations
from orchestrator.service import halts as halt_service
from orchestrator.wire import fields
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["jobs"])

_PAGE = 100
_Code = Annotated[str, Field(min_length=1, max_length=400)]
_Said = Annotated[str, Field(min_length=1, max_length=obligations.WORD_MAX)]


class Evidence(fields.Model):
    """What shows that it was done: where it is kept, and its digest."""

    ref: _Said
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None


class Fulfilment(fields.Model):
    """Which obligation was done, what shows it, and who answers for it."""

    code: _Code
    evidence: Evidence
    by: _Said
    note: Annotated[str, Field(max_length=obligations.WORD_MAX)] = ""


@router.get("/v1/obligations")
async def list_(
    request: Request, filter: params.Filter = None, limit: params.Limit = _PAGE, cursor: params.Cursor = None
) -> Response:
    """Return a page of the tenant's obligations, by job and code."""
    context, who = services.of(request).context, services.who(request)
    page = await run_in_threadpool(obligations.list_page, context, who, filter=filter, limit=limit, cursor=cursor)
    return answers.to_json(convert.page(map(convert.obligation, page.items), cursor=page.cursor))


@router.post("/v1/jobs/{id}:fulfil")
async def fulfil(request: Request, id: params.JobId) -> Response:
    """Note that an obligation of a job was done; the same words twice are one."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, obligations.FULFILS)
    await run_in_threadpool(jobs.load, context, who, id)
    said = bodies.read_model(Fulfilment, await bodies.read_json(request))
    wish = obligations.Wish(said.code, said.evidence.ref, said.by, said.evidence.digest or "", said.note)
    found = await run_in_threadpool(obligations.fulfil, context, who, id, wish)
    return answers.to_json(convert.obligation(found))


def shown(given: services.Services, job: job_values.Job) -> dict[str, Any]:
    """Return a job with what is owed for it, and what stops it with all others."""
    document = convert.job(job, owed=obligations.of_job(given.context, job))
    return halts.told(document, halt_service.of_job(given.context, job))
