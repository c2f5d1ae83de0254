"""Routes of data sets beside their declaration: taking off what one inherits."""

from __future__ import annotations

from typing import Annotated

import fastapi
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, params, services
from orchestrator.service import access, documents, lineages
from orchestrator.wire import fields

router = fastapi.APIRouter(tags=["documents"])

_Source = Annotated[str, Field(min_length=1, max_length=160)]
_Said = Annotated[str, Field(min_length=1, max_length=lineages.WORD_MAX)]


class Declassification(fields.Model):
    """What to take off, who answers for it, and why. ``from`` is a word of ``status.inherits``."""

    from_: _Source = Field(alias="from")
    by: _Said
    reason: _Said


@router.post("/v1/datasets/{name}:declassify")
async def declassify(request: Request, name: params.Name) -> Response:
    """Take a source off what a data set inherits."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, lineages.DECLASSIFIES)
    wish = bodies.read_model(Declassification, await bodies.read_json(request))
    found = await run_in_threadpool(
        lineages.declassify, context, who, name, source=wish.from_, person=wish.by, reason=wish.reason
    )
    return answers.to_json(documents.rendered(context, who, found))
