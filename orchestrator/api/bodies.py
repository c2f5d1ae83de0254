"""Bodies: read whole within their bound, as JSON, or as the few small models that are no documents."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import Field
from starlette.requests import ClientDisconnect, Request

from orchestrator.service import problems
from orchestrator.wire import errors, fields, json_loader, quantities

_JSON_TYPES = frozenset({"", "application/json", "application/x-www-form-urlencoded"})
"""The last is what `curl -d` says without meaning it; what counts is whether the body is JSON."""

SIZES_MAX = 4
"""Checkpoints that one answer can be compared with."""
ModelT = TypeVar("ModelT", bound=fields.Model)


class IdentityConfirmation(fields.Model):
    """Why a person pins a backend's identity anew; ``identity`` is the digest that they looked at."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)]
    identity: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None


class TokenRequest(fields.Model):
    """A wish for a token. ``expires`` is a moment, or how long from now (``30d``)."""

    tenant: fields.Name | None = None
    roles: Annotated[list[Annotated[str, Field(max_length=16)]], Field(min_length=1, max_length=7)]
    expires: Annotated[str, Field(max_length=40)] | None = None
    note: Annotated[str, Field(max_length=200)] = ""


async def read_json(request: Request) -> Any:
    """Return the JSON value of the body. Raises InvalidDocumentError, or ServiceError for another media type."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in _JSON_TYPES and not given.endswith("+json"):
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.media-type", "send application/json")
    return json_loader.load(await read_raw(request))


async def read_raw(request: Request) -> bytes:
    """Return the body; the guard bounds it."""
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", "the body ended early") from error


def read_model(model: type[ModelT], data: Any) -> ModelT:
    """Return ``data`` as a model; raises ServiceError ``document.invalid`` with every error."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        found = [
            errors.DocumentError(str(one["msg"]), errors.render_path(one["loc"]))
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise problems.invalid(found[: errors.ERRORS_MAX]) from error


def moment(text: str | None, *, now: dt.datetime, path: str) -> dt.datetime | None:
    """Return the moment a person wrote: RFC 3339, a day, or a duration from now; raises ServiceError."""
    if text is None:
        return None
    try:
        return now + quantities.parse_duration(text)
    except (errors.ValueProblemError, OverflowError):
        pass
    try:
        found = dt.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        wrong = errors.DocumentError("is no moment", path, "write RFC 3339, a day, or a duration such as 30d")
        raise problems.invalid([wrong]) from error


def sizes(text: str | None) -> tuple[int, ...]:
    """Return the numbers of a list with commas between; raises ServiceError ``request.malformed``."""
    words = [] if not text else text.split(",")
    if len(words) > SIZES_MAX or not all(word.isascii() and word.isdigit() and len(word) <= 16 for word in words):
        wanted = f"since is at most {SIZES_MAX} whole numbers with commas between"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", wanted)
    return tuple(int(word) for word in words)
