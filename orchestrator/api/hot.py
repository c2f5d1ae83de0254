"""The hot routes: submit, read one job, list jobs. Found before the framework is asked (:class:`Front`), because its
layers would cost as much again as the work; their schema is written into the OpenAPI document by ``openapi``.

They are routes of the application too: for HEAD, for "not with this method", and for whoever lists the routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.api import answers, bodies, halts, obligations, services
from orchestrator.service import explanations, jobs, problems, submissions
from orchestrator.wire import errors
from orchestrator.wire.convert import answers as convert

LIMIT_DEFAULT = 100
CURSOR_MAX = 256
JOBS, JOB = "/v1/jobs", "/v1/jobs/{id}"


class _IdConvertor(Convertor[str]):
    """A path segment without a verb behind a colon: those are other routes."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("jobid", _IdConvertor())
_Handler = Callable[[Request], Awaitable[Response]]


class Front:
    """ASGI in front of the application: serves the hot routes, hands on all else.

    Failures are answered as the application does; what is none of ours is left to the guard, as there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see ASGI."""
        handler = _handler(scope) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        try:
            response = await handler(Request(scope, receive, send))
        except problems.ServiceError as error:
            response = answers.failed(error)
        except errors.InvalidDocumentError as error:
            response = answers.invalid(error)
        await response(scope, receive, send)


def _handler(scope: Scope) -> _Handler | None:
    """Return what serves this request, and note what its path says; None: not ours."""
    method, path = scope["method"], scope["path"]
    if not path.startswith(JOBS) or scope.get("root_path"):
        return None
    if path == JOBS:
        return submit if method == "POST" else list_ if method == "GET" else None
    id_ = path[len(JOBS) + 1 :]
    if method != "GET" or path[len(JOBS)] != "/" or not id_ or "/" in id_ or ":" in id_:
        return None
    scope["path_params"] = {"id": id_}
    return read


async def submit(request: Request) -> Response:
    """Accept a job; answers when it is durable."""
    request.scope["comity.route"] = JOBS
    given = services.of(request)
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise _malformed("Idempotency-Key stands twice")
    data = await bodies.read_json(request)
    digest = request.query_params.get("plan") if request.scope["query_string"] else None
    if digest is not None:
        await run_in_threadpool(explanations.confirm, given.context, services.who(request), data, digest)
    future = submissions.submit(given.context, services.who(request), data, key=keys[0] if keys else None)
    found = await asyncio.wrap_future(future)
    if found.created:
        given.metrics.submitted(1)
    return answers.to_json(submitted(found), status=202, headers={"Location": f"/v1/jobs/{found.job.id}"})


async def read(request: Request) -> Response:
    """Return one job, or one element of an array."""
    request.scope["comity.route"] = JOB
    given = services.of(request)
    job = jobs.get(given.context, services.who(request), request.path_params["id"])
    return answers.to_json(obligations.shown(given, job))


async def list_(request: Request) -> Response:
    """Return a page of jobs, newest first."""
    request.scope["comity.route"] = JOBS
    query = request.query_params
    context = services.of(request).context
    page = await run_in_threadpool(
        jobs.list_page,
        context,
        services.who(request),
        filter=query.get("filter"),
        limit=limit_of(query.get("limit")),
        cursor=cursor_of(query.get("cursor")),
    )
    return answers.to_json(convert.page(halts.page(context, page.items), cursor=page.cursor))


def submitted(found: submissions.Submitted) -> dict[str, Any]:
    """Return the answer to a submission: the job, its id once more in front, and what a person should hear."""
    return {"id": found.job.id, **convert.job(found.job), "notices": list(found.notices)}


def limit_of(text: str | None) -> int:
    """Return a page's size; raises ServiceError ``request.malformed``."""
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 4) or not 1 <= int(text) <= jobs.PAGE_MAX:
        raise _malformed(f"limit must be a number from 1 to {jobs.PAGE_MAX}")
    return int(text)


def cursor_of(text: str | None) -> str | None:
    """Return a cursor that is not too long; raises ServiceError ``request.malformed``."""
    if text is not None and len(text) > CURSOR_MAX:
        raise _malformed("cursor is not one of this list")
    return text


def routes() -> list[Route]:
    """Return the routes, to stand before all others; :func:`_handler` knows the same."""
    return [
        Route(JOBS, submit, methods=["POST"]),
        Route(JOBS, list_, methods=["GET"]),
        Route("/v1/jobs/{id:jobid}", read, methods=["GET"]),
    ]


def _malformed(text: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
