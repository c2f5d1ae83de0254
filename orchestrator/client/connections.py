"""One keep-alive HTTP connection to a control plane, with bounded retries where a retry is harmless.

``http.client``, because the command line must start fast. A request is repeated only if repeating it cannot do
anything twice: reads, replacements, and posts that carry an idempotency key. It is not safe to share between threads.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from orchestrator.client import errors

BACKOFF_S = (0.1, 0.4, 1.0)
"""Pauses between tries; one more try than pauses."""
RETRY_AFTER_S_MAX = 5.0
ANSWER_BYTES_MAX = 256 * 2**20
_BUSY = frozenset({429, 502, 503, 504})
_LOST = (ConnectionError, http.client.HTTPException, TimeoutError, ssl.SSLError)


def pause(seconds: float) -> None:
    """Wait; the default way to pass the time between tries."""
    threading.Event().wait(seconds)


class Response:
    """A whole answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON. Raises ProtocolError."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise errors.ProtocolError(f"the answer is not JSON: {self.body[:80]!r}") from error


class Connection:
    """Speaks to one server. ``timeout_s`` bounds each read, not a whole stream."""

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        timeout_s: float = 30.0,
        wait: Callable[[float], None] = pause,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(server if "//" in server else f"//{server}", scheme="http")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.ProtocolError(f"{server!r} is no server address; write http://HOST:PORT")
        if parts.username or parts.password:
            raise errors.ProtocolError("a server address holds no credentials; set COMITY_TOKEN")
        self.server = f"{parts.scheme}://{parts.netloc}"
        self._host, self._port, self._tls = parts.hostname, parts.port, tls
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._wait = wait
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Response:
        """Send, and return the whole answer of status below 400. Raises ProblemError, UnreachableError."""
        for delay in (*BACKOFF_S, None):
            try:
                raw = self._send(method, path, query, body, headers, repeatable=repeatable)
                response = Response(raw.status, dict(raw.headers.items()), _read(raw))
            except _LOST as error:
                self.close()
                if not repeatable or delay is None:
                    raise errors.UnreachableError(self.server, _words(error), sent=True) from error
            else:
                if raw.will_close:
                    self.close()
                if response.status < 400:
                    return response
                waits = _retry_after(response) if repeatable and response.status in _BUSY else None
                if waits is None or delay is None:
                    raise problem(response)
                delay = waits
            self._wait(delay)
        raise AssertionError("the last try returns or raises")

    @contextlib.contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Open an answer that is read piece by piece; the connection is closed afterwards."""
        try:
            raw = self._send("GET", path, query, None, headers, repeatable=True)
            if raw.status >= 400:
                raise problem(Response(raw.status, dict(raw.headers.items()), _read(raw)))
            yield raw
        except _LOST as error:
            raise errors.UnreachableError(self.server, _words(error), sent=True) from error
        finally:
            self.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        *,
        repeatable: bool,
    ) -> http.client.HTTPResponse:
        target = f"{self._prefix}{path}" + (f"?{urlencode(query)}" if query else "")
        fields = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        if self._token:
            fields["Authorization"] = f"Bearer {self._token}"
        kept = self._connection is not None
        connection = self._open()
        try:
            connection.request(method, target, body, fields)
            return connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not (kept and repeatable):
                raise
        # A server may close a connection that idled at any moment: that says nothing about the server.
        connection = self._open()
        connection.request(method, target, body, fields)
        return connection.getresponse()

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is None:
            made: http.client.HTTPConnection
            if self._secure:
                tls = self._tls or ssl.create_default_context()
                made = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=tls)
            else:
                made = http.client.HTTPConnection(self._host, self._port or 80, timeout=self._timeout_s)
            try:
                made.connect()
            except OSError as error:
                raise errors.UnreachableError(self.server, _words(error)) from error
            self._connection = made
        return self._connection


def segment(text: str) -> str:
    """Return ``text`` as one segment of a path."""
    return quote(text, safe="")


def problem(response: Response) -> errors.ClientError:
    """Return the error that an answer of status 400 or more stands for."""
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        text = response.body[:120].decode("utf-8", "replace").strip()
        return errors.ProtocolError(f"answered {response.status} without a problem document: {text or 'empty'}")
    found = body.get("errors")
    return errors.ProblemError(
        status=response.status,
        code=str(body["code"]),
        title=str(body.get("title", "")),
        detail=str(body.get("detail") or ""),
        errors=[entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else (),
        document=body,
    )


def _read(raw: http.client.HTTPResponse) -> bytes:
    body = raw.read(ANSWER_BYTES_MAX + 1)
    if len(body) > ANSWER_BYTES_MAX:
        raise errors.ProtocolError(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    return body


def _retry_after(response: Response) -> float | None:
    """Return how long a busy server asks to wait, bounded; None where it does not ask."""
    text = next((value for key, value in response.headers.items() if key.lower() == "retry-after"), "")
    return min(float(text), RETRY_AFTER_S_MAX) if text.isdecimal() else None


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
