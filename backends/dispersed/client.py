"""HTTP with the network: signed, bounded in time and size, no redirects, each address looked at before anything is
sent. The only module that opens connections; one request a connection, one nonce a request.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backends import answers, doors
from backends.dispersed import errors, settings, signing

ANSWER_BYTES_MAX = 16 * 2**20
"""Logs come inside JSON; what is longer is no answer."""
SKEW_MAX = dt.timedelta(minutes=1)
"""Clocks further apart than this: nothing is created, for a late request could still be taken by then."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer in JSON, of a status of success or 404."""

    status: int
    body: Mapping[str, Any]
    skew: dt.timedelta = dt.timedelta(0)
    """How far the server's clock is from ours, as far as it tells."""


def _nonce() -> str:
    return secrets.token_hex(16)


class Rest:
    """One account. Safe to call from any thread."""

    def __init__(
        self,
        wanted: settings.DispersedSettings,
        now: Callable[[], dt.datetime],
        nonce: Callable[[], str] = _nonce,
    ) -> None:
        self.url = wanted.url
        self._door = wanted.door
        self._settings = wanted
        self._now = now
        self._nonce = nonce

    def call(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, object] | None = None
    ) -> Answer:
        """Send one request and read the answer: one of success, or a 404 of the API's own. Raises BackendError.

        :param path: from ``/v1``, quoted.
        """
        told = self._send(method, path, signing.canonical_query(query), signing.canonical_body(body))
        status, raw, skew = told.status, told.body, self._skew(told.head)
        if 300 <= status < 400:
            raise errors.of_answer(self.url, status, "")
        if status == 401 and skew > signing.WINDOW - SKEW_MAX:
            raise errors.elsewhere("clock", f"the clock of {self.url} is {skew.total_seconds():.0f} s from ours")
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            if status >= 400 and status != 404 and raw.lstrip()[:1] != b"<":
                raise errors.of_answer(self.url, status, raw[:500].decode("utf-8", "replace")) from error
            raise errors.unsure("not-json", f"what {self.url} answered, status {status}, is not JSON") from error
        said = _said(found)
        if status == 404 and said is None:  # somebody else's 404 says nothing of a job
            raise errors.unsure("malformed", f"{self.url} answers 404, and not as Dispersed does: is it the API?")
        if status >= 400 and status != 404:
            raise errors.of_answer(self.url, status, said or "")
        if not isinstance(found, dict):
            raise errors.unsure("malformed", f"what {self.url} answered is no answer of Dispersed")
        if status < 300 and (found.get("error") or found.get("errors")):
            raise errors.unsure(
                "error-inside", f"{self.url} answers {status} with an error: {errors.shown(said or '')}"
            )
        if not 200 <= status < 300 and status != 404:
            raise errors.unsure("malformed", f"{self.url} answers with status {status}")
        return Answer(status, found, skew)

    def _skew(self, head: Mapping[str, str]) -> dt.timedelta:
        try:
            told = email.utils.parsedate_to_datetime(head.get("date", ""))
        except (ValueError, TypeError):
            return dt.timedelta(0)
        return abs(told - self._now()) if told.tzinfo is not None else dt.timedelta(0)

    def _send(self, method: str, path: str, query: str, body: bytes) -> answers.Answer:
        until_s = time.monotonic() + self._settings.timeout_seconds
        try:
            return answers.ask(
                self._connect(),
                (self._door.host, self._door.port),
                method,
                f"{path}?{query}" if query else path,
                body or None,
                self._headers(method, path, query, body),
                until_s=until_s,
                bytes_max=ANSWER_BYTES_MAX,
            )
        except answers.NoAnswerError as error:
            raise errors.unsure(error.code, f"{self.url}: {error}") from error

    def _headers(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        made = signing.headers(
            self._settings.public_key,
            self._settings.secret_key,
            now=self._now(),
            nonce=self._nonce(),
            method=method,
            path=path,
            query=query,
            body=body,
        )
        made |= {"Accept": "application/json", "User-Agent": "comity"}
        return made | ({"Content-Type": "application/json"} if body else {})

    def _connect(self) -> socket.socket:
        try:
            return self._door.open(self._settings.timeout_seconds)
        except doors.NobodyError as error:
            raise errors.unsent("unreachable", str(error)) from error
        except doors.ClosedError as error:
            made = errors.refused if error.code == "ca" else errors.elsewhere
            raise made(error.code, str(error)) from error


def _said(found: object) -> str | None:
    """Return what an answer says went wrong; None where it is no error of an API."""
    if not isinstance(found, dict):
        return None
    told = found.get("error", found.get("message"))
    if isinstance(told, dict):
        told = told.get("message") or told.get("code")
    return told if isinstance(told, str) else ("" if "error" in found else None)
