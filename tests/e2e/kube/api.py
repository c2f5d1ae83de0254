"""The smallest client of an API server: one request, one decoded answer. For the harness and its faults, not for tests
of the adapter, which has a client of its own.
"""

import base64
import http.client
import json
import pathlib
import ssl
import tempfile
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

REQUEST_S = 60.0
PAUSE_S = 0.1
MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused, or nobody answered."""


class Api:
    """An API server as one kubeconfig names it; every request is a connection of its own."""

    def __init__(self, kubeconfig: pathlib.Path) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        address = urllib.parse.urlsplit(cluster["server"])
        self._host, self._port = address.hostname or "", address.port or 443
        self._tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self._headers = {"Accept": "application/json"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
            return
        with tempfile.NamedTemporaryFile() as chain:
            for part in ("client-certificate-data", "client-key-data"):
                chain.write(base64.b64decode(user[part]))
            chain.flush()
            self._tls.load_cert_chain(chain.name)

    def request(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", timeout_s: float = REQUEST_S
    ) -> tuple[int, Any]:
        """Return status and decoded body (text where it is not JSON).

        :raises ApiError: when nobody answers within ``timeout_s`` seconds.
        """
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": kind, **self._headers})
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        json_like = "json" in (answer.headers["Content-Type"] or "")
        return answer.status, json.loads(raw) if json_like else raw.decode(errors="replace")

    def ask(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> Any:
        """Return the body of an answer that must be a success.

        :raises ApiError: with the server's own message when it refuses.
        """
        status, answer = self.request(method, path, body, kind=kind)
        if status >= 300:
            said = answer.get("message", answer) if isinstance(answer, dict) else answer
            raise ApiError(f"{method} {path}: {status} {said}")
        return answer

    def get(self, path: str) -> Any:
        """Read."""
        return self.ask("GET", path)

    def create(self, path: str, body: Any) -> Any:
        """Create an object in a collection."""
        return self.ask("POST", path, body)

    def merge(self, path: str, body: Any) -> Any:
        """Change some fields of an object."""
        return self.ask("PATCH", path, body, kind=MERGE)

    def ready(self) -> bool:
        """Say whether the server says that it is ready."""
        try:
            return self.request("GET", "/readyz", timeout_s=10.0)[0] == 200
        except ApiError:
            return False


def until(wanted: Callable[[], Any], what: str, *, timeout_s: float) -> Any:
    """Ask until the answer is true and return it; an API server that does not answer yet counts as no.

    :raises ApiError: after ``timeout_s`` seconds, with ``what`` and the last refusal.
    """
    pause, last = threading.Event(), ""
    for _ in range(max(1, int(timeout_s / PAUSE_S))):
        try:
            found = wanted()
            if found:
                return found
        except ApiError as error:
            last = f" ({error})"
        pause.wait(PAUSE_S)
    raise ApiError(f"{what}: not within {timeout_s:.0f} s{last}")
