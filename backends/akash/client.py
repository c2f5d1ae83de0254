"""HTTP with the Console and with the store: bounded in time and size, no redirects, each address looked at first.

The only module that opens connections; one request a connection.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backends import answers, doors
from backends.akash import errors, presigning, settings

ANSWER_BYTES_MAX = 32 * 2**20
"""The list of all providers is about 1 MB."""
MARK_BYTES_MAX = 64 * 1024
SKEW_MAX = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer in JSON, of a status of success or 404."""

    status: int
    body: Any


class Console:
    """One account of the Console API. Safe to call from any thread."""

    def __init__(self, wanted: settings.AkashSettings, now: Callable[[], dt.datetime]) -> None:
        self.url = wanted.url
        self._settings = wanted
        self._now = now

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        public: bool = False,
    ) -> Answer:
        """Send one request and read the answer: one of success, or a 404 of the API's own. Raises BackendError.

        :param path: from ``/v1``, quoted.
        :param public: the key is not sent.
        """
        headers = {"Accept": "application/json", "User-Agent": "comity"}
        headers |= {} if public else {"x-api-key": self._settings.key}
        raw = None if body is None else json.dumps(body).encode()
        headers |= {} if raw is None else {"Content-Type": "application/json"}
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        told = _send(self._settings.door, method, target, raw, headers, self._settings.timeout_seconds)
        return self._read(told)

    def _read(self, told: answers.Answer) -> Answer:
        status = told.status
        if 300 <= status < 400:
            raise errors.of_answer(self.url, status, "")
        try:
            found = json.loads(told.body)
        except (ValueError, RecursionError) as error:
            if status >= 400 and status != 404 and told.body.lstrip()[:1] != b"<":
                raise errors.of_answer(self.url, status, told.body[:500].decode("utf-8", "replace")) from error
            raise errors.unsure("not-json", f"what {self.url} answered, status {status}, is not JSON") from error
        said = _said(found)
        if status == 404 and said is None:  # somebody else's 404 says nothing of a deployment
            raise errors.unsure("malformed", f"{self.url} answers 404, and not as the Console does: is it the API?")
        if status in (401, 403) and (skew := self._skew(told.head)) > SKEW_MAX:
            raise errors.elsewhere("clock", f"the clock of {self.url} is {skew.total_seconds():.0f} s from ours")
        if status >= 400 and status != 404:
            raise errors.of_answer(self.url, status, said or "")
        if status < 300 and isinstance(found, dict) and (found.get("error") or found.get("errors")):
            inside = errors.shown(said or json.dumps(found.get("errors"))[:200])
            raise errors.unsure("error-inside", f"{self.url} answers {status} with an error: {inside}")
        if not 200 <= status < 300 and status != 404:
            raise errors.unsure("malformed", f"{self.url} answers with status {status}")
        return Answer(status, found)

    def _skew(self, head: Mapping[str, str]) -> dt.timedelta:
        try:
            told = email.utils.parsedate_to_datetime(head.get("date", ""))
        except (ValueError, TypeError):
            return dt.timedelta(0)
        return abs(told - self._now()) if told.tzinfo is not None else dt.timedelta(0)


class Marks:
    """The objects by which attempts tell what becomes of them. Safe to call from any thread."""

    def __init__(self, wanted: settings.AkashSettings, now: Callable[[], dt.datetime]) -> None:
        self._settings = wanted
        self._now = now

    def address(self, method: str, name: str, valid: dt.timedelta) -> str:
        """Return a URL by which whoever has it may do this one thing with this one object, until it ends."""
        return presigning.url(self._settings.store, method, name, self._now(), valid)

    def read(self, name: str) -> bytes | None:
        """Return an object; None where there is none. Raises BackendError: nobody knows whether there is one."""
        told = self._call("GET", name)
        if told.status == 404:
            return None
        if told.status != 200:
            raise errors.unsure("store", f"the store answers {told.status} for the mark of an attempt")
        return told.body

    def claim(self, name: str, text: bytes) -> bool:
        """Make an object that is not there yet; False: somebody else's is there. Raises BackendError: nobody knows."""
        told = self._call("PUT", name, text, {"If-None-Match": "*"})
        if told.status == 412:
            return self.read(name) == text  # ours, where the answer was lost
        if not 200 <= told.status < 300:
            raise errors.unsure("store", f"the store answers {told.status} for the claim of an attempt")
        return True

    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is fine. Raises BackendError."""
        told = self._call("DELETE", name)
        if not 200 <= told.status < 300 and told.status != 404:
            raise errors.unsure("store", f"the store answers {told.status} for the removal of a mark")

    def _call(
        self, method: str, name: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> answers.Answer:
        split = urllib.parse.urlsplit(self.address(method, name, dt.timedelta(minutes=5)))
        target = f"{split.path}?{split.query}"
        door, timeout_s = self._settings.store.door, self._settings.timeout_seconds
        sent = {"User-Agent": "comity"} | dict(headers or {})
        return _send(door, method, target, body, sent, timeout_s, MARK_BYTES_MAX)


def _send(
    door: doors.Door,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout_s: float,
    bytes_max: int = ANSWER_BYTES_MAX,
) -> answers.Answer:
    until_s = time.monotonic() + timeout_s
    try:
        sock = door.open(timeout_s)
        at = (door.host, door.port)
        return answers.ask(sock, at, method, target, body, headers, until_s=until_s, bytes_max=bytes_max)
    except answers.NoAnswerError as error:
        raise errors.unsure(error.code, f"{door.url}: {error}") from error
    except doors.NobodyError as error:
        raise errors.unsent("unreachable", str(error)) from error
    except doors.ClosedError as error:
        made = errors.refused if error.code == "ca" else errors.elsewhere
        raise made(error.code, str(error)) from error


def _said(found: object) -> str | None:
    """Return what an answer says went wrong; None where it is no error of the API."""
    if not isinstance(found, dict) or not {"error", "message"} & found.keys():
        return None
    told = found.get("message") or found.get("error")
    if isinstance(told, dict):
        told = told.get("message") or told.get("code")
    return told if isinstance(told, str) else ""
