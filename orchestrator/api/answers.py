"""From values and failures to responses. One table says which "no" has which status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from orchestrator.domain import reasons
from orchestrator.evidence import encoders
from orchestrator.service import problems
from orchestrator.wire import errors
from orchestrator.wire.convert import answers

PROBLEM_TYPE = "application/problem+json"

_STATUS = {
    problems.Kind.MALFORMED: 400,
    problems.Kind.UNAUTHENTICATED: 401,
    problems.Kind.FORBIDDEN: 403,
    problems.Kind.NOT_FOUND: 404,
    problems.Kind.CONFLICT: 409,
    problems.Kind.STALE: 412,
    problems.Kind.INVALID: 422,
    problems.Kind.UNSUPPORTED: 501,
    problems.Kind.UNAVAILABLE: 503,
    problems.Kind.FULL: 507,
}

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}

dump = encoders.compact(ascii_only=False, allow_nan=True)


def to_json(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(dump(value).encode("utf-8", "replace"), status, dict(headers or {}), "application/json")


def problem(
    status: int,
    code: str,
    detail: str = "",
    *,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an RFC 9457 problem."""
    return _problem(answers.problem(status=status, code=code, title=_TITLES[status], detail=detail), details, headers)


def failed(error: problems.ServiceError) -> Response:
    """Return the problem of a use case that did not happen."""
    if error.kind is problems.Kind.INVALID and error.code == errors.INVALID and error.errors:
        return invalid(errors.InvalidDocumentError(error.errors))
    status = _STATUS[error.kind]
    headers = {"WWW-Authenticate": 'Bearer realm="comity"'} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "1"
    body = answers.problem(
        status=status, code=error.code, title=_TITLES[status], detail=error.message, invalid=error.errors
    )
    return _problem(body, error.details, headers)


def invalid(error: errors.InvalidDocumentError) -> Response:
    """Return the problem of a body that cannot be read or is not valid: 400, 413 or 422."""
    return _problem(answers.invalid_document(error), None, None)


def _problem(body: dict[str, Any], details: Mapping[str, object] | None, headers: Mapping[str, str] | None) -> Response:
    for key, value in (details or {}).items():
        body[key] = [_plain(one) for one in value] if isinstance(value, list | tuple) else value
    return Response(dump(body).encode("utf-8", "replace"), body["status"], dict(headers or {}), PROBLEM_TYPE)


def _plain(value: object) -> object:
    return answers.reason(value) if isinstance(value, reasons.Reason) else value
