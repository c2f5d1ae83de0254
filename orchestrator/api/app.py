"""The application: routes in their order, one answer for each kind of failure, the guard in front."""

from __future__ import annotations

import fastapi
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import (
    administration,
    answers,
    changes,
    datasets,
    documents,
    files,
    freezes,
    guards,
    hot,
    jobs,
    obligations,
    operators,
    services,
)
from orchestrator.ports import stores
from orchestrator.service import contexts, problems
from orchestrator.wire import errors


def create(given: services.Services, *, hosts: frozenset[str]) -> guards.Guard:
    """Return the ASGI application. ``hosts`` are the names under which clients reach it, lower case, without port."""
    return guards.Guard(hot.Front(create_inner(given)), given, hosts=hosts)


def create_inner(given: services.Services) -> fastapi.FastAPI:
    """Return the application without its guard: what knows the routes."""
    app = fastapi.FastAPI(
        title="Comity",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.services = given
    app.router.routes.extend(hot.routes())
    for router in (
        jobs.router,
        files.router,
        administration.router,
        changes.router,
        freezes.router,
        datasets.router,
        operators.router,
        obligations.router,
        documents.router,
    ):
        app.router.routes.extend(router.routes)  # flat: one list to match against, and one to audit
    app.add_exception_handler(problems.ServiceError, _service)
    app.add_exception_handler(stores.StoreError, _store)
    app.add_exception_handler(errors.InvalidDocumentError, _document)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(guards.TooLargeError, _too_large)
    app.add_exception_handler(Exception, _bug)
    return app


async def _service(_: Request, error: Exception) -> Response:
    assert isinstance(error, problems.ServiceError)  # noqa: S101 -- registered for this type
    return answers.failed(error)


async def _store(_: Request, error: Exception) -> Response:
    """Say what is wrong with the store: a read that failed, or a row that holds what nobody wrote."""
    told = contexts.of_store(error)
    assert isinstance(told, problems.ServiceError)  # noqa: S101 -- every StoreError has one
    return answers.failed(told)


async def _document(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.InvalidDocumentError)  # noqa: S101 -- registered for this type
    return answers.invalid(error)


async def _parameters(_: Request, error: Exception) -> Response:
    """Say what is wrong with the path, the query or a header, all of it; values are not repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this type
    found = [
        {"code": "request.malformed", "path": ".".join(map(str, one["loc"])), "problem": str(one["msg"])}
        for one in error.errors()[:50]
    ]
    detail = "; ".join(f"{one['path']}: {one['problem']}" for one in found[:3])
    return answers.problem(400, "request.malformed", detail, details={"errors": found})


async def _http(request: Request, error: Exception) -> Response:
    """Answer for the router: no such route, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this type
    if error.status_code == 405:
        return answers.problem(405, "request.method", "this route has other methods", headers=error.headers)
    if error.status_code == 404:
        return answers.problem(404, "request.no-route", "no such route")
    return answers.problem(400, "request.malformed", str(error.detail)[:200])


async def _too_large(request: Request, _: Exception) -> Response:
    return guards.too_large(request.scope)


async def _bug(_: Request, __: Exception) -> Response:
    return answers.problem(500, "internal", "this is a bug; the log of the server has more")
