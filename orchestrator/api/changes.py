"""Routes of held changes: what waits for a person, and the person's word."""

from __future__ import annotations

from typing import Annotated

import fastapi
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, params, services
from orchestrator.service import access, changes
from orchestrator.wire import fields
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["policy"])

_Said = Annotated[str, Field(min_length=1, max_length=changes.WORD_MAX)]


class ChangeConfirmation(fields.Model):
    """Who lets a held change go on, and why."""

    by: _Said
    reason: _Said


@router.get("/v1/changes")
async def list_changes(request: Request) -> Response:
    """Return the changes that are held, or were, newest first."""
    found = await run_in_threadpool(changes.listed, services.of(request).context, services.who(request))
    return answers.to_json(convert.page(found))


@router.post("/v1/changes/{name}:confirm")
async def confirm(request: Request, name: params.Name) -> Response:
    """Let a held change go on: the jobs that it holds are stopped. ``clock`` confirms the time."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, changes.CONFIRMS)
    said = bodies.read_model(ChangeConfirmation, await bodies.read_json(request))
    found = await run_in_threadpool(changes.confirm, context, who, name, person=said.by, reason=said.reason)
    return answers.to_json(found)
