"""A real server process on a free port with a state folder of its own."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

START_S = 180.0
LINE = "listening on "


class Process:
    """One ``serve``. Its log lines are kept; ``url`` is known once it listens."""

    def __init__(self, state: pathlib.Path, *arguments: str, cwd: pathlib.Path | None = None) -> None:
        self.state = state
        command = [sys.executable, "-m", "orchestrator.cli", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COMITY_")}
        self.process = subprocess.Popen(
            [*command, *arguments], stderr=subprocess.PIPE, text=True, cwd=cwd or state.parent, env=environment
        )
        self.lines: list[str] = []
        self._listening = threading.Event()
        self.host = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if LINE in line:
                self.host = line.split(LINE)[1].split(",")[0].removeprefix("http://")
                self._listening.set()
        self._listening.set()

    def wait_until_it_listens(self) -> "Process":
        """Wait for the line that names the address."""
        assert self._listening.wait(START_S)
        assert self.host, "".join(self.lines)
        return self

    @property
    def token(self) -> str:
        """Return the administrator's token."""
        return (self.state / "admin.token").read_text()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and decoded body."""
        connection = http.client.HTTPConnection(self.host, timeout=90)
        given = {
            "Authorization": f"Bearer {token or self.token}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        try:
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        json_like = "json" in (answer.headers["Content-Type"] or "")
        return answer.status, json.loads(raw) if json_like and raw else raw

    def until(self, path: str, wanted: Any, *, timeout_s: float = 180.0) -> Any:
        """Read ``path`` until ``wanted(body)`` holds, and return the body."""
        until = time.monotonic() + timeout_s
        while True:
            _, body = self.request("GET", path)
            if wanted(body):
                return body
            assert time.monotonic() < until, body
            threading.Event().wait(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """End it politely; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(90)
        self._close()
        return code

    def _close(self) -> None:
        """Let go of its log."""
        self._reader.join(90)
        assert self.process.stderr is not None
        self.process.stderr.close()


def here(
    server: Process, more: Mapping[str, Any] | None = None, *, adapter: str = "simulated", **settings: Any
) -> None:
    """Declare this machine and one backend on it; ``more`` is what else the backend's document says."""
    for kind, plural, name, spec in (
        ("Operator", "operators", "us", {"legalCountry": "FR", "ultimateParentHq": "FR", "owners": {"coverage": 100}}),
        ("ControlPlane", "controlplanes", "self", {"operator": "us", "location": {"country": "FR"}}),
        (
            "Backend",
            "backends",
            "here",
            {
                "adapter": adapter,
                "operator": "us",
                "location": {"country": "FR"},
                "adminFrom": ["FR"],
                "logStore": {"country": "FR"},
                "settings": settings,
                **(more or {}),
            },
        ),
    ):
        document = {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        status, body = server.request("PUT", f"/v1/{plural}/{name}", document)
        assert status in (200, 201), body


def job(name: str = "hello", **spec: Any) -> dict[str, Any]:
    """Return a small Job document."""
    given = {"command": ["true"], "data": "none", **spec}
    return {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": name}, "spec": given}


def ended(body: Any) -> bool:
    """Say whether a job has ended."""
    return bool(body["status"]["phase"] in ("SUCCEEDED", "FAILED", "CANCELLED"))
