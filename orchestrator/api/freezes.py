"""Routes of stops: new placements end now, at a backend, an operator, a country or everywhere."""

from __future__ import annotations

from typing import Annotated

import fastapi
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, services
from orchestrator.service import access, freezes
from orchestrator.wire import fields
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["policy"])


class Extent(fields.Model):
    """What to let begin again. What is not given does not narrow it."""

    backend: fields.Name | None = None
    operator: fields.Name | None = None
    country: fields.Country | None = None


class Stop(Extent):
    """What to stop, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=1_024)]


@router.get("/v1/freezes")
async def list_freezes(request: Request) -> Response:
    """Return the stops in force, oldest first, each with the sites that it covers."""
    found = await run_in_threadpool(freezes.listed, services.of(request).context, services.who(request))
    return answers.to_json(convert.page(found))


@router.post("/v1/freezes")
async def freeze(request: Request) -> Response:
    """Stop new placements: ``{backend?, operator?, country?, reason}``. What runs goes on."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, freezes.CALLS)
    said = bodies.read_model(Stop, await bodies.read_json(request))
    wish = freezes.Wish(said.reason, said.backend, said.operator, said.country)
    return answers.to_json(await run_in_threadpool(freezes.freeze, context, who, wish))


@router.post("/v1/freezes:end")
async def unfreeze(request: Request) -> Response:
    """Let new placements begin again: ``{backend?, operator?, country?}``, as they were stopped."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, freezes.CALLS)
    said = bodies.read_model(Extent, await bodies.read_json(request))
    wish = freezes.Wish("", said.backend, said.operator, said.country)
    return answers.to_json(await run_in_threadpool(freezes.unfreeze, context, who, wish))
