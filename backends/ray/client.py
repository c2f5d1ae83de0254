"""HTTP with the head of a Ray cluster: bounded in time and size, no redirects, each address looked at first.

The only module that opens connections. A head is greeted before anything is sent to it that matters: whether it checks
tokens, who it is, in which session. The greeting is asked anew after ``GREETING_S``, so a restart is seen that soon.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backends import addresses
from backends.ray import errors, settings
from orchestrator.domain import errors as port_errors

GREETING_S = 2.0
"""Monotonic seconds for which a greeting holds."""
DECOY_S = 60.0
"""So often a head of the same session is asked again whether it refuses a token that we made up."""
ANSWER_BYTES_MAX = 64 * 2**20
_SMALL_BYTES_MAX = 2**20
_IDLE_MAX = 16
_CHUNK_BYTES = 64 * 1024
_REFUSALS = (401, 403)


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who answers. ``checks_token``: it refused a token that we made up. ``alone``: only this machine reaches it."""

    session: str
    cluster: str
    ray_version: str
    checks_token: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes


class Head:
    """One head. Safe to call from any thread; opens connections as needed and keeps a few."""

    def __init__(self, wanted: settings.RaySettings, clock_s: Callable[[], float] = time.monotonic) -> None:
        split = urllib.parse.urlsplit(wanted.url)
        self.url = wanted.url
        self._https = split.scheme == "https"
        self._host = split.hostname or ""
        self._port = split.port or (443 if self._https else 80)
        self._prefix = split.path.rstrip("/")
        self._token = wanted.token
        self._ca = wanted.ca
        self._allow_open = wanted.allow_open_head
        self._timeout_s = float(wanted.timeout_seconds)
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._greeting_lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._tls: ssl.SSLContext | None = None
        self._greeting: tuple[float, Greeting] | None = None
        self._decoy: tuple[float, str] | None = None
        self._closed = False

    def greet(self, *, age_s_max: float = GREETING_S) -> Greeting:
        """Return who answers, as of not longer ago than ``age_s_max``. Raises BackendError."""
        known = self._greeting
        if known is not None and self._clock_s() - known[0] <= age_s_max:
            return known[1]
        with self._greeting_lock:  # several calls at once need one greeting
            known, now_s = self._greeting, self._clock_s()
            if known is not None and now_s - known[0] <= age_s_max:
                return known[1]
            made = self._greet(now_s)
            self._greeting = (now_s, made)
            return made

    def _greet(self, now_s: float) -> Greeting:
        known = self._greeting[1] if self._greeting else None
        connection = self._take()
        alone, fresh = connection.alone, not connection.used
        self._give(connection)
        checks = known is not None and known.checks_token
        # A head that was replaced breaks its connections: a fresh one may lead to somebody who was never asked.
        if self._decoy is None or fresh or now_s - self._decoy[0] > DECOY_S:
            checks = self._checks_tokens(alone)
        version = self._version()
        if self._decoy is not None and self._decoy[1] not in ("", version["session_name"]):
            checks = self._checks_tokens(alone)
        cluster = self.get("/cluster_id", limit=_SMALL_BYTES_MAX)
        found = cluster.get("data") if isinstance(cluster, dict) else None
        id = found.get("clusterId") if isinstance(found, dict) else None
        if not isinstance(id, str) or not 8 <= len(id) <= 128 or not id.isalnum():
            raise errors.malformed("cluster id")
        self._decoy = (now_s, version["session_name"])
        return Greeting(version["session_name"], id, version["ray_version"], checks, alone)

    def _version(self) -> dict[str, str]:
        found = self.get("/api/version", limit=_SMALL_BYTES_MAX)
        names = ("session_name", "ray_version")
        if not isinstance(found, dict) or not all(
            isinstance(found.get(name), str) and 0 < len(found[name]) <= 200 and found[name].isprintable()
            for name in names
        ):
            raise errors.malformed("version")
        return {name: found[name] for name in names}

    def _checks_tokens(self, alone: bool) -> bool:
        """Ask with a token that we made up. Raises ``ray.open-head`` where that is let in and may not be."""
        made_up = {"Authorization": f"Bearer {secrets.token_urlsafe(32)}"}
        status = self.send("GET", "/api/version", headers=made_up, limit=_SMALL_BYTES_MAX).status
        if status in _REFUSALS:
            return True
        if status != 200:
            raise errors.of_status(self.url, status, b"")
        if not alone and not self._allow_open:
            raise errors.elsewhere(
                "open-head",
                f"the Ray head at {self.url} takes any token and is not on this machine: whoever reaches its port runs "
                "what he likes there. Start it with RAY_AUTH_MODE=token, or set allowOpenHead where something else "
                "guards it",
            )
        return False

    def get(self, path: str, *, limit: int = ANSWER_BYTES_MAX) -> Any:
        """Return the JSON that stands at a path. Raises BackendError, ``ray.not-there`` for 404."""
        reply = self.send("GET", path, limit=limit)
        if reply.status == 404:
            raise errors.refused("not-there", f"{self.url} has no {path.partition('?')[0]}")
        if reply.status != 200:
            raise errors.of_status(self.url, reply.status, reply.body)
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise errors.malformed("JSON") from error

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: int = ANSWER_BYTES_MAX,
    ) -> Reply:
        """Send one request and read the whole answer, whatever its status. Raises BackendError."""
        until_s = self._clock_s() + self._timeout_s
        connection, response = self._ask(method, path, body, headers, until_s)
        pieces, size = [], 0
        try:
            while piece := self._piece(connection, response, until_s):
                size += len(piece)
                if size > limit:
                    raise errors.malformed(f"answer: it is longer than {limit} bytes")
                pieces.append(piece)
            response.read()  # nothing is left: this is how the library learns that the connection is free
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise errors.no_answer(self.url, addresses.why(error)) from error
        except port_errors.BackendError:
            connection.close()
            raise
        self._give(connection)
        return Reply(response.status, b"".join(pieces))

    def read(self, path: str, *, skip: int, limit: int) -> Reply:
        """Return at most ``limit`` bytes of an answer from place ``skip``; the rest is not waited for."""
        until_s = self._clock_s() + self._timeout_s
        connection, response = self._ask("GET", path, None, None, until_s)
        if response.status != 200:
            skip, limit = 0, _CHUNK_BYTES
        found, place = bytearray(), 0
        try:
            while len(found) < limit and (piece := self._piece(connection, response, until_s)):
                found += piece[max(0, skip - place) :]
                place += len(piece)
        except (OSError, http.client.HTTPException) as error:
            if not found:
                raise errors.no_answer(self.url, addresses.why(error)) from error
        finally:
            connection.close()
        return Reply(response.status, bytes(found[:limit]))

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # --- connections --------------------------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, until_s: float
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        given = {"Accept": "application/json", "User-Agent": "comity"}
        if body is not None:
            given["Content-Type"] = "application/json"
        if self._token is not None:
            given["Authorization"] = f"Bearer {self._token}"
        given.update(headers or {})
        while True:
            connection = self._take()
            used = connection.used
            connection.used = True
            try:
                connection.wait_at_most(until_s - self._clock_s())
                connection.request(method, self._prefix + path, body, given)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A kept connection may have been closed meanwhile. The ids are ours, so what is sent twice is one.
                if used and isinstance(error, ConnectionError | http.client.NotConnected) and self._clock_s() < until_s:
                    continue
                raise errors.no_answer(self.url, addresses.why(error)) from error

    def _piece(self, connection: _Connection, response: http.client.HTTPResponse, until_s: float) -> bytes:
        connection.wait_at_most(until_s - self._clock_s())
        return response.read1(_CHUNK_BYTES)

    def _take(self) -> _Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = _Connection(self._host, self._port, self._timeout_s)
        if self._https:
            connection.tls = self._context()
        connection.open(self.url)
        return connection

    def _give(self, connection: _Connection) -> None:
        with self._lock:
            if connection.sock is not None and not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cadata=self._ca)
            except (ssl.SSLError, ValueError) as error:
                raise errors.refused("ca", "settings.ca holds no certificates in PEM") from error
        return self._tls


class _Connection(http.client.HTTPConnection):
    """One connection, to an address that was looked at: what a name means cannot change in between."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._timeout_s = timeout_s
        self.tls: ssl.SSLContext | None = None
        self.alone = False
        self.used = False

    def open(self, url: str) -> None:
        """Connect. Raises TransientError ``ray.unreachable``, or PermanentError for an address nothing is sent to."""
        try:
            self.sock, address = addresses.connect(self.host, self.port, self._timeout_s, self.tls)
        except addresses.UnreachableError as error:
            raise errors.unreachable(url, str(error)) from error
        except addresses.RefusedError as error:
            raise errors.elsewhere("address-refused", f"{url} leads to {error}") from error
        self.alone = address.is_loopback

    def connect(self) -> None:
        """Refuse to connect by itself: the address would not be looked at."""
        raise http.client.NotConnected("the connection was closed")

    def wait_at_most(self, seconds: float) -> None:
        """Bound what is next waited for; raises TimeoutError where the time is up."""
        if seconds <= 0:
            raise TimeoutError("its time is up")
        if self.sock is not None:
            self.sock.settimeout(seconds)
