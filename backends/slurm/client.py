"""HTTP with slurmrestd: bounded in time and size, no redirects, each address looked at first.

Only v0.0.38 is spoken. What is answered counts only if it is JSON without ``errors``, whatever the status says.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import time
import urllib.parse
from typing import Any

from backends.slurm import errors, settings

VERSION = "v0.0.38"
ANSWER_BYTES_MAX = 64 * 2**20
_CHUNK_BYTES = 64 * 1024
GONE = frozenset({2017})
"""ESLURM_INVALID_JOB_ID of slurm_errno.h."""
REFUSALS = range(2000, 2200)
"""Numbers of slurmctld's own verdicts in slurm_errno.h: it answered, and took nothing."""


class Server:
    """One slurmrestd. Safe to call from any thread: a connection a request."""

    def __init__(self, wanted: settings.SlurmSettings) -> None:
        self.url = wanted.url
        self._wanted = wanted
        self._split = urllib.parse.urlsplit(wanted.url)

    def get(self, path: str) -> dict[str, Any]:
        """Return an answer without errors. Raises BackendError."""
        return self._clean(*self._send("GET", path, None))

    def submit(self, body: dict[str, Any]) -> int:
        """Submit a job and return its number. Raises BackendError; ``slurm.refused`` where Slurm took nothing."""
        status, found = self._send("POST", "job/submit", json.dumps(body).encode())
        for said in problems(found):
            if (number(said) in REFUSALS and status != 200) or status == 400:
                raise errors.refused("refused", f"Slurm refuses the job: {text(said)}")
        id = self._clean(status, found).get("job_id")
        if type(id) is not int or id <= 0:
            raise errors.malformed("submission")
        return id

    def cancel(self, id: int) -> None:
        """End a job; one that is not there is fine. Raises BackendError."""
        status, found = self._send("DELETE", f"job/{id:d}", None)
        if not any(number(said) in GONE for said in problems(found)):
            self._clean(status, found)

    def _clean(self, status: int, found: dict[str, Any]) -> dict[str, Any]:
        said = "; ".join(text(each) for each in problems(found))
        if status != 200 or said:
            raise errors.failed(self.url, status, said or "no reason")
        return found

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        until_s = time.monotonic() + self._wanted.timeout_seconds
        status, raw = self._exchange(method, f"{self._split.path}/slurm/{VERSION}/{path}", body, until_s)
        if 300 <= status < 400:
            raise errors.elsewhere("redirected", f"{self.url} answers with a redirect, which is not followed")
        if status in (401, 403, 511):
            raise errors.elsewhere("token-refused", f"slurmrestd at {self.url} refuses the token of settings.token")
        if status == 404:
            raise errors.elsewhere(
                "version", f"slurmrestd at {self.url} does not offer {VERSION}, and no other is built"
            )
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise errors.malformed(f"JSON (status {status})") from error
        if not isinstance(found, dict):
            raise errors.malformed("answer")
        return status, found

    def _exchange(self, method: str, path: str, body: bytes | None, until_s: float) -> tuple[int, bytes]:
        connection = self._open(until_s)
        pieces: list[bytes] = []
        response: http.client.HTTPResponse | None = None
        try:
            connection.request(method, path, body, self._headers(body))
            response = connection.getresponse()
            while True:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                if connection.sock is not None:
                    connection.sock.settimeout(left_s)
                piece = response.read1(_CHUNK_BYTES)
                if not piece:
                    break
                pieces.append(piece)
                if sum(map(len, pieces)) > ANSWER_BYTES_MAX:
                    raise errors.malformed(f"answer: it is longer than {ANSWER_BYTES_MAX} bytes")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return response.status, b"".join(pieces)
        except (OSError, http.client.HTTPException) as error:
            raise errors.no_answer(self.url, _why(error)) from error
        finally:
            if response is not None:
                response.close()  # it holds the socket where the server closes after each answer
            connection.close()

    def _headers(self, body: bytes | None) -> dict[str, str]:
        made = {"Accept": "application/json", "User-Agent": "comity", "X-SLURM-USER-NAME": self._wanted.user}
        if self._wanted.auth == "bearer":
            made["Authorization"] = f"Bearer {self._wanted.token}"
        else:
            made["X-SLURM-USER-TOKEN"] = self._wanted.token
        if body is not None:
            made["Content-Type"] = "application/json"
        return made

    def _open(self, until_s: float) -> http.client.HTTPConnection:
        https = self._split.scheme == "https"
        host, port = self._split.hostname or "", self._split.port or (443 if https else 80)
        try:
            tls = ssl.create_default_context(cadata=self._wanted.ca) if https else None
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:
            raise errors.unreachable(self.url, _why(error)) from error
        problem: Exception = OSError("no address")
        for family, kind, protocol, _, where in found[:8]:
            address = ipaddress.ip_address(str(where[0]).partition("%")[0])
            if why := settings.address_problem(address):
                raise errors.elsewhere("address-refused", f"{self.url} leads to {address}: {why}")
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(max(until_s - time.monotonic(), 0.001))
                sock.connect(where)
                made = http.client.HTTPConnection(host, port)
                made.sock = tls.wrap_socket(sock, server_hostname=host) if tls else sock
                return made
            except OSError as error:
                sock.close()
                problem = error
        raise errors.unreachable(self.url, _why(problem)) from problem


def problems(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what stands under ``errors``. Raises BackendError where that is no list of objects."""
    listed = found.get("errors") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise errors.malformed("list of errors")
    return listed


def number(said: dict[str, Any]) -> object:
    """Return the number of an error: ``error_code`` of a submission, ``error_number`` elsewhere."""
    return said.get("error_number", said.get("error_code"))


def text(said: dict[str, Any]) -> str:
    """Return the words of an error."""
    return errors.shown(f"{said.get('error', '')} {said.get('description', '')}".strip()) or "an error without words"


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
