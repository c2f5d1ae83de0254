"""HTTP with an orchestrator: bounded in time and size, no redirects, each address looked at first. The only module
that opens connections; one request a connection.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends import addresses, answers
from backends.bacalhau import errors, settings

ANSWER_BYTES_MAX = 64 * 2**20
"""A job comes back with its module, once and once more an execution."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``said``: what it says went wrong."""

    status: int
    body: Mapping[str, Any]
    said: str


class Rest:
    """One orchestrator. Safe to call from any thread."""

    def __init__(self, wanted: settings.BacalhauSettings) -> None:
        split = urllib.parse.urlsplit(wanted.url)
        self.url = wanted.url
        self._https = split.scheme == "https"
        self._host = split.hostname or ""
        self._port = split.port or (443 if self._https else 80)
        self._prefix = f"{split.path.rstrip('/')}/api/v1/"
        self._settings = wanted

    def call(self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and read the answer, good or not. Raises BackendError.

        :param path: below ``/api/v1``, quoted.
        """
        words = f"?{urllib.parse.urlencode(query)}" if query else ""
        status, raw = self._send(method, f"{self._prefix}{path}{words}", body)
        if 300 <= status < 400:
            raise errors.of_answer(self.url, status, "")
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            if status >= 400:
                raise errors.of_answer(self.url, status, raw[:500].decode("utf-8", "replace")) from error
            raise errors.not_json(self.url) from error
        if not isinstance(found, dict):
            raise errors.malformed(self.url, "answer")
        said = found.get("Message")
        if status < 300 and isinstance(said, str) and "Code" in found:
            raise errors.error_inside(self.url, status, said)
        if status == 404 and "Status" not in found:  # somebody else's 404 says nothing of a job
            raise errors.of_answer(self.url, status, str(said or ""))
        return Answer(status, found, said if isinstance(said, str) else "")

    def get(self, path: str, query: Mapping[str, str], name: str) -> Answer:
        """Return a good answer that holds the list ``name``. Raises BackendError for any other."""
        answer = self.call("GET", path, query)
        if answer.status != 200:
            raise errors.of_answer(self.url, answer.status, answer.said)
        rows = answer.body.get(name, 0)
        if not isinstance(rows, list | None) or not all(isinstance(row, dict) for row in rows or ()):
            raise errors.malformed(self.url, f"list of {name}")
        return answer

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        until_s = time.monotonic() + self._settings.timeout_seconds
        sock = self._connect()
        try:
            found = answers.ask(
                sock,
                (self._host, self._port),
                method,
                path,
                body,
                self._headers(body),
                until_s=until_s,
                bytes_max=ANSWER_BYTES_MAX,
            )
        except answers.NoAnswerError as error:
            raise errors.no_answer(self.url, error.code, str(error)) from error
        return found.status, found.body

    def _headers(self, body: bytes | None) -> dict[str, str]:
        made = {"Accept": "application/json", "User-Agent": "comity"}
        if self._settings.key is not None:
            made["Authorization"] = f"Bearer {self._settings.key}"
        return made if body is None else {**made, "Content-Type": "application/json"}

    def _connect(self) -> socket.socket:
        try:
            return addresses.connect(
                self._host, self._port, self._settings.timeout_seconds, self._tls() if self._https else None
            )[0]
        except addresses.CertificateError as error:
            raise errors.elsewhere("certificate", f"{self.url}: {error}") from error
        except addresses.UnreachableError as error:
            raise errors.unreachable(self.url, str(error)) from error
        except addresses.RefusedError as error:
            raise errors.elsewhere("address-refused", f"{self.url} leads to {error}") from error

    def _tls(self) -> ssl.SSLContext:
        try:
            return answers.context(self._settings.ca)
        except ValueError as error:
            raise errors.refused("ca", "settings.ca holds no certificates in PEM") from error
