"""What the routes are given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from orchestrator.service import access, checkpoints, contexts, problems, tokens
from orchestrator.telemetry import metrics

STREAMS_MAX = 256
"""Followed logs and event streams at once."""


@dataclass(slots=True)
class Services:
    """The use cases and the little state that routes share. ``unready`` returns why not, or ""."""

    context: contexts.Context
    tokens: tokens.TokenBook
    checkpoints: checkpoints.Checkpoints
    metrics: metrics.Metrics
    log: Any
    unready: Callable[[], str] = field(default=lambda: "")
    stopping: Callable[[], bool] = field(default=lambda: False)
    streams: int = 0


def of(request: Request) -> Services:
    """Return the services of the application that serves this request."""
    found: Services = request.scope["app"].state.services
    return found


def who(request: Request) -> access.Principal:
    """Return who asks; the guard has found out."""
    found: access.Principal = request.scope["comity.principal"]
    return found


def token_of(request: Request) -> str | None:
    """Return the bearer token of the request, to look at it again while a stream goes on."""
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def check_room(given: Services) -> None:
    """Refuse another long answer when there are too many; raises ServiceError. Asked before its first byte."""
    if given.streams >= STREAMS_MAX:
        text = f"{STREAMS_MAX} streams are open already; try again later"
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "server.busy", text)


@contextlib.contextmanager
def stream(given: Services) -> Iterator[None]:
    """Count a long answer while it lasts."""
    given.streams += 1
    try:
        yield
    finally:
        given.streams -= 1
