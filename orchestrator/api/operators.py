"""Routes of operators beside their declaration: what a person answers about a name that matches a list."""

from __future__ import annotations

from typing import Annotated

import fastapi
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, params, services
from orchestrator.service import access, documents, list_answers
from orchestrator.wire import fields

router = fastapi.APIRouter(tags=["documents"])

_Said = Annotated[str, Field(min_length=1, max_length=list_answers.WORD_MAX)]


class ListAnswer(fields.Model):
    """What a person says about a match: the ``same`` party or not, who says it and why, and to which day it holds.

    ``party`` is the owner that matches; without it the operator itself, or the one party that does.
    """

    list: Annotated[str, Field(min_length=1, max_length=32)]
    entry: Annotated[str, Field(min_length=1, max_length=128)]
    party: _Said | None = None
    same: bool
    by: _Said
    reason: _Said
    valid_to: fields.Date | None = None


@router.post("/v1/operators/{name}:answer")
async def answer(request: Request, name: params.Name) -> Response:
    """Keep what a person says about a name that matches a sanctions list."""
    context, who = services.of(request).context, services.who(request)
    access.require(who, list_answers.ANSWERS)
    said = bodies.read_model(ListAnswer, await bodies.read_json(request))
    found = await run_in_threadpool(
        list_answers.answer,
        context,
        who,
        name,
        list_=said.list,
        entry=said.entry,
        party=said.party,
        same=said.same,
        person=said.by,
        reason=said.reason,
        valid_to=said.valid_to,
    )
    return answers.to_json(documents.rendered(context, who, found))
