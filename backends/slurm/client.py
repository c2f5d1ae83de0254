"""HTTP with slurmrestd: bounded in time and size, no redirects, each address looked at first, and no more calls a
minute than the site allows. The only module that opens connections; one request a connection.
"""

from __future__ import annotations

import collections
import datetime as dt
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends import addresses, answers
from backends.slurm import errors, settings
from orchestrator.domain import errors as port_errors

ANSWER_BYTES_MAX = 128 * 2**20
"""A job is about 3 kB in a list: tens of thousands of them."""
VERSIONS = ("v0.0.42", "v0.0.41", "v0.0.40", "v0.0.38")
"""Those that are spoken here, best first."""
_OFFERED = re.compile(r"/slurm\\?/(v0\.0\.[0-9]{2})\\?/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``errors``: (number, text) of what it says went wrong, whatever its status."""

    status: int
    body: Mapping[str, Any]
    errors: Sequence[tuple[int, str]]
    warnings: Sequence[str] = ()

    @property
    def good(self) -> bool:
        """Say whether it is what was asked for. Slurm also answers 200 with errors inside."""
        return self.status == 200 and not self.errors


class Rest:
    """One slurmrestd. Safe to call from any thread."""

    def __init__(
        self,
        wanted: settings.SlurmSettings,
        now: Callable[[], dt.datetime],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        split = urllib.parse.urlsplit(wanted.url)
        self.url = wanted.url
        self._https = split.scheme == "https"
        self._host = split.hostname or ""
        self._port = split.port or (443 if self._https else 80)
        self._prefix = split.path.rstrip("/")
        self._settings = wanted
        self._now = now
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._calls: collections.deque[float] = collections.deque()
        self._version: str | None = None

    def version(self) -> str:
        """Return the best version that both sides speak, asked for once. Raises BackendError."""
        if self._version is None:
            body = self._send("GET", "/openapi/v3", None, None)[1]
            offered = set(_OFFERED.findall(body.decode("utf-8", "replace")))
            found = next((version for version in VERSIONS if version in offered), None)
            if found is None:
                if not offered:
                    raise errors.malformed(self.url, "description (/openapi/v3)")
                text = f"slurmrestd at {self.url} speaks {', '.join(sorted(offered))}; here {', '.join(VERSIONS)} are"
                raise errors.elsewhere("version", text)
            self._version = found
        return self._version

    def call(self, method: str, path: str, body: object = None, *, who: tuple[str, str] | None = None) -> Answer:
        """Send one request below the version's path and read the answer, good or not. Raises BackendError.

        :param who: (user, token) as whom; None: as the user of the settings.
        """
        sent = None if body is None else json.dumps(body).encode()
        status, raw = self._send(method, f"/slurm/{self.version()}/{path}", sent, who)
        if status in (401, 403, 511) or status >= 500:
            self._check_token((who or (self._settings.user, self._settings.token))[1])
        if status == 404:
            self._version = None  # another slurmrestd may answer there now
        if 300 <= status < 400 or (status == 404 and not raw.startswith(b"{")):
            raise errors.of_answer(self.url, status, ())
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            if status >= 400:
                raise errors.of_answer(
                    self.url, status, [(0, errors.shown(raw[:200].decode("utf-8", "replace")))]
                ) from error
            raise errors.not_json(self.url) from error
        if not isinstance(found, dict) or not isinstance(found.get("errors"), list | None):
            raise errors.malformed(self.url, "answer")
        return Answer(status, found, _errors(found.get("errors")), _warnings(found.get("warnings")))

    def get(self, path: str, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the list ``name`` of an answer. Raises BackendError for one with errors, or without it."""
        answer = self.call("GET", path)
        if not answer.good:
            raise errors.of_answer(self.url, answer.status, answer.errors)
        found = answer.body.get(name)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise errors.malformed(self.url, f"list of {name}")
        return found

    def _send(self, method: str, path: str, body: bytes | None, who: tuple[str, str] | None) -> tuple[int, bytes]:
        self._count()
        until_s = self._clock_s() + self._settings.timeout_seconds
        sock = self._connect()
        try:
            found = answers.ask(
                sock,
                (self._host, self._port),
                method,
                self._prefix + path,
                body,
                self._headers(who, body),
                until_s=until_s,
                bytes_max=ANSWER_BYTES_MAX,
                clock_s=self._clock_s,
            )
        except answers.NoAnswerError as error:
            raise errors.no_answer(self.url, error.code, str(error)) from error
        return found.status, found.body

    def _check_token(self, token: str) -> None:
        """Say of a request that failed whether its token could be why: Slurm 22.05 says ``Unspecified error``."""
        first_s, last_s = settings.lifetime(token)
        now_s = self._now().timestamp()
        if last_s is not None and last_s <= now_s:
            when = dt.datetime.fromtimestamp(last_s, dt.UTC).isoformat(timespec="seconds")
            raise errors.no_answer(self.url, "token-expired", f"it refuses the token, which expired at {when}")
        if first_s is not None and first_s > now_s:
            text = (
                f"it refuses the token, which begins in {first_s - now_s:.0f} s by the clock here: is one clock wrong?"
            )
            raise errors.no_answer(self.url, "clock", text)

    def _headers(self, who: tuple[str, str] | None, body: bytes | None) -> dict[str, str]:
        user, token = who or (self._settings.user, self._settings.token)
        made = {"Accept": "application/json", "User-Agent": "comity"}
        if self._settings.auth == "bearer":
            made["Authorization"] = f"Bearer {token}"
        else:
            made |= {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}
        return made if body is None else {**made, "Content-Type": "application/json"}

    def _count(self) -> None:
        """Note a call. Raises TransientError ``slurm.busy`` where the site's bound is reached."""
        with self._lock:
            now_s = self._clock_s()
            while self._calls and now_s - self._calls[0] > 60:
                self._calls.popleft()
            if len(self._calls) >= self._settings.calls_per_minute:
                text = f"{self._settings.calls_per_minute} calls a minute were made (callsPerMinute): later again"
                raise port_errors.TransientError("slurm.busy", text, effects=port_errors.SideEffects.NONE)
            self._calls.append(now_s)

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


def _errors(found: object) -> list[tuple[int, str]]:
    """Return the errors of an answer; v0.0.38 says ``error_code`` where it refuses a job."""
    made = []
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            number = one.get("error_number", one.get("error_code", 0))
            texts = [str(one[name]) for name in ("error", "description") if one.get(name)]
            made.append((number if isinstance(number, int) else 0, ": ".join(texts)))
        else:
            made.append((0, str(one)))
    return made


def _warnings(found: object) -> list[str]:
    rows = found if isinstance(found, list) else ()
    return [str(one.get("description", one)) if isinstance(one, dict) else str(one) for one in rows]
