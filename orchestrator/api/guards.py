"""What stands in front of every route: is the request meant for us, who sends it, is it small enough.

Deny by default: a path nobody knows needs a token too. Host and Origin are compared for every method, because a
browser on the same machine will send anything anywhere (DNS rebinding). Nothing a client sends becomes a 5xx here.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api import answers, services
from orchestrator.service import blobs, problems

BODY_BYTES_MAX = 8 * 2**20
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_BLOBS = "/v1/blobs"
_Headers = Sequence[tuple[bytes, bytes]]


class TooLargeError(Exception):
    """More came than was allowed."""


class Guard:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, given: services.Services, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._services = given
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server; see ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500
        started = False

        async def watched(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
            await send(message)

        try:
            refusal = self._refuse(scope)
            if refusal is None:
                await self._app(scope, _bounded(scope, receive), watched)
            else:
                await refusal(scope, receive, watched)
        except TooLargeError:
            if not started:
                await too_large(scope)(scope, receive, watched)
        except Exception as error:
            # the last resort: a bug of ours is a 500, and a line in the log
            self._services.log.error(
                "request.failed", path=scope["path"][:200], error=type(error).__name__, exc_info=True
            )
            if not started:
                await answers.problem(500, "internal", "this is a bug; the log of the server has more")(
                    scope, receive, watched
                )
        finally:
            self._services.metrics.answered(_template(scope), status, time.perf_counter() - begun)

    def _refuse(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further; else note who sends it."""
        hosts, origins, lengths, tokens = _read(scope["headers"])
        if len(hosts) != 1 or not self._is_ours(hosts[0], scope):
            return answers.problem(400, "request.host", "the Host header does not name this server")
        for origin in origins:
            if origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
                return answers.problem(403, "request.origin", "requests of other origins are refused")
        for length in lengths:
            if length.isdigit() and int(length[:20]) > _limit(scope):
                return too_large(scope)
        if scope["path"] in OPEN_PATHS:
            return None
        try:
            scope["comity.principal"] = self._services.tokens.authenticate(_bearer(tokens))
        except problems.ServiceError as error:
            return answers.failed(error)
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        name = _host_name(host)
        if name is None:
            return False
        if name in self._hosts:
            return True
        # The address the connection came in on cannot be rebound by a name server.
        server = scope.get("server")
        return server is not None and _is_address(name) and name == server[0]


def _bounded(scope: Scope, receive: Receive) -> Receive:
    limit = _limit(scope)
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLargeError
        return message

    return counted


def _limit(scope: Scope) -> int:
    return blobs.BYTES_MAX if scope["path"] == _BLOBS else BODY_BYTES_MAX


def too_large(scope: Scope) -> Response:
    """Return the answer to more than a route takes."""
    headers = {"Connection": "close"}
    return answers.problem(413, "request.too-large", f"the body is longer than {_limit(scope)} bytes", headers=headers)


_READ = (b"host", b"origin", b"content-length", b"authorization")


def _read(headers: _Headers) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return every value of the headers that are looked at here, in the order of ``_READ``."""
    found: tuple[list[str], list[str], list[str], list[str]] = ([], [], [], [])
    for name, value in headers:
        if name in _READ:
            found[_READ.index(name)].append(value.decode("latin-1"))
    return found


def _bearer(given: list[str]) -> str | None:
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _host_name(host: str) -> str | None:
    """Return the name of a Host header without its port, lower case; None for what is none."""
    host = host.strip().lower()
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
    else:
        name, colon, port = host.partition(":")
        bracket, rest = "]", colon + port
    good_port = not rest or (rest[0] == ":" and rest[1:].isdigit() and len(rest) <= 6)
    return name if name and bracket and good_port else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _template(scope: Scope) -> str:
    """Return the route's template: a label that a client cannot make up."""
    route: Any = scope.get("comity.route") or scope.get("route")
    path = route if isinstance(route, str) else getattr(route, "path", None)
    return path if isinstance(path, str) else "other"
