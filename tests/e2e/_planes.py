"""A control plane that a test may kill, restart, overfill and lie to; and requests no client library would send."""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.e2e.conftest import ROOT, Shell, free_port, make_shell

READY_S = 180.0
NURSERY = pathlib.Path(__file__).with_name("_nursery.py")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back; ``status`` 0: the connection was closed without an answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Return the code of a problem, "" for what is none."""
        try:
            found = self.json
        except ValueError:
            return ""
        return str(found.get("code", "")) if isinstance(found, dict) else ""


def wait_until(check: Callable[[], Any], *, seconds: float = READY_S, every: float = 0.02, what: str = "") -> Any:
    """Return what ``check`` says once it is true; fails after a bounded time."""
    deadline, pause = time.monotonic() + seconds, threading.Event().wait
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or check}"
        pause(every)
    return found


def document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document."""
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def job(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    """Return a job that reads no data."""
    return document("Job", name, {"command": list(command) or ["true"], "data": "none", **spec})


def backend(name: str, **spec: Any) -> dict[str, Any]:
    """Return a backend of the operator that ``comity init`` declares, in France."""
    country = {"location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}}
    return document(
        "Backend", name, {"adapter": "local", "operator": "me", "pools": [{"name": "p"}], **country, **spec}
    )


class Plane:
    """One state folder, one port, at most one server."""

    def __init__(
        self, folder: pathlib.Path, *, state: pathlib.Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.shell: Shell = make_shell(folder, server=f"http://127.0.0.1:{self.port}")
        if state is not None:
            self.shell.environment["COMITY_STATE_DIR"] = str(state)
        self.shell.environment.update(environment or {})
        self.state = pathlib.Path(self.shell.environment["COMITY_STATE_DIR"])
        self.log_file = folder / "server.log"
        self.pid = 0
        self._nursery: subprocess.Popen[str] | None = None
        self._cold: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        """Return the administrator's token."""
        return (self.state / "admin.token").read_text().strip()

    @property
    def log(self) -> str:
        """Return what the servers wrote."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def argv(self, *more: str) -> list[str]:
        """Return the arguments of ``comity``."""
        return ["serve", "--listen", f"127.0.0.1:{self.port}", *more]

    def init(self, country: str = "FR", operator: str = "me") -> None:
        """Write the documents that a server applies at its start."""
        ran = self.shell.run(f"comity init --country {country} --operator {operator}")
        assert ran.returncode == 0, ran.stderr

    def spawn(self, *, warm: bool = False) -> int:
        """Start a server without waiting for it; ``warm``: forked from an interpreter that has imported all."""
        assert not self.pid, "one at a time"
        if warm:
            self.pid = self._born()
            return self.pid
        with self.log_file.open("ab") as log:
            self._cold = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.cli", *self.argv()],
                cwd=self.shell.folder,
                env=self.shell.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._cold.pid
        return self.pid

    def start(self, *, warm: bool = False, path: str = "/readyz") -> None:
        """Start a server and wait until it is ready, or at least answers (``/healthz``)."""
        self.spawn(warm=warm)
        self.wait_ready(path)

    def wait_ready(self, path: str = "/readyz") -> None:
        """Wait until the server says that it can work."""

        def ready() -> bool:
            assert self.alive(), f"the server ended:\n{self.log[-3000:]}"
            return self.call("GET", path, token=None).status == 200

        wait_until(ready, every=0.01, what="ready")

    def alive(self) -> bool:
        """Say whether the server's process is there."""
        if self._cold is not None:
            return self._cold.poll() is None
        return self.pid > 0 and os.path.exists(f"/proc/{self.pid}")

    def end(self, number: int = signal.SIGKILL) -> int | None:
        """Send a signal and wait for the end; returns the status of a server that was started cold."""
        if not self.pid:
            return None
        pid, self.pid, cold, self._cold = self.pid, 0, self._cold, None
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(handle, number)
                if cold is not None:
                    return cold.wait(READY_S)
                assert select.select([handle], [], [], READY_S)[0], "the server did not end"
            finally:
                os.close(handle)
        return None

    def close(self) -> None:
        """End everything that was started, and what a test that failed has left running."""
        self.end(signal.SIGTERM)
        for line in processes_with(str(self.state)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        if self._nursery is not None:
            assert self._nursery.stdin is not None
            assert self._nursery.stdout is not None
            self._nursery.stdin.close()
            self._nursery.wait(READY_S)
            self._nursery.stdout.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> Answer:
        """Send one request; bytes go as they are, anything else as JSON. ``token`` "" is the administrator's."""
        fields = {"Accept": "application/json", **(headers or {})}
        if token is not None:
            with contextlib.suppress(FileNotFoundError):
                fields.setdefault("Authorization", f"Bearer {token or self.token}")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if raw is not None:
            fields.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.connect()
            with contextlib.suppress(ConnectionError):  # refused before all of it was sent: the answer may be there
                connection.request(method, path, raw, fields)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()})
        except (ConnectionError, http.client.HTTPException):
            return Answer(0)
        finally:
            connection.close()

    def raw(self, content: bytes, *, shut: bool = False, timeout: float = 90.0) -> bytes:
        """Send bytes as they are and return what comes back until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as link:
            with contextlib.suppress(OSError):  # closed before all of it was sent, or before we said that it is all
                link.sendall(content)
                if shut:
                    link.shutdown(socket.SHUT_WR)
            return self._read(link)

    @staticmethod
    def _read(link: socket.socket) -> bytes:
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := link.recv(65536):
                found += piece
        return found

    def put(self, given: Mapping[str, Any], **more: Any) -> Answer:
        """Declare a document."""
        plural = {"DataSet": "datasets", "Policy": "policies"}.get(given["kind"], f"{given['kind'].lower()}s")
        return self.call("PUT", f"/v1/{plural}/{given['metadata']['name']}", given, **more)

    def until_reached(self, *names: str, seconds: float = READY_S) -> None:
        """Wait until backends have answered: before that nothing is known of what they can do."""

        def reached() -> bool:
            sites = self.call("GET", "/v1/sites?limit=200").json["items"]
            return all(any(one["backend"] == name and one["reachable"] for one in sites) for name in names)

        wait_until(reached, seconds=seconds, what=f"an answer of {', '.join(names)}")

    def submit(self, given: Mapping[str, Any], key: str | None = None, **more: Any) -> Answer:
        """Submit a job."""
        return self.call("POST", "/v1/jobs", given, headers={"Idempotency-Key": key} if key else {}, **more)

    def job(self, id: str, **more: Any) -> dict[str, Any]:
        """Return a job."""
        found = self.call("GET", f"/v1/jobs/{id}", **more)
        assert found.status == 200, found
        return dict(found.json)

    def ended(self, id: str, *, seconds: float = READY_S) -> dict[str, Any]:
        """Return a job once it has ended."""

        def check() -> dict[str, Any] | None:
            found = self.call("GET", f"/v1/jobs/{id}:wait?timeoutS=10").json
            return found if found["status"]["phase"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

        return dict(wait_until(check, seconds=seconds, what=f"the end of {id}"))

    def token_of(self, tenant: str, *roles: str) -> str:
        """Make a token."""
        made = self.call("POST", "/v1/tokens", {"tenant": tenant, "roles": list(roles)})
        assert made.status == 201, made
        return str(made.json["token"])

    def rss_kib(self) -> int:
        """Return the resident memory of the server."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))

    def _born(self) -> int:
        if self._nursery is None:
            self._nursery = subprocess.Popen(
                [sys.executable, str(NURSERY)],
                cwd=self.shell.folder,
                env=self.shell.environment | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(json.dumps({"argv": self.argv(), "log": str(self.log_file)}) + "\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())


def contents(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, bytes]]:
    """Give each file below a folder with its bytes; one that is gone before it is read is left out."""
    for path, _, names in os.walk(folder):
        for file in (pathlib.Path(path, name) for name in names):
            with contextlib.suppress(OSError):
                if file.is_file() and not file.is_symlink():
                    yield file, file.read_bytes()


def processes_with(text: str) -> list[str]:
    """Return the command lines of processes that mention ``text``."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if text in line:
                    found.append(f"{entry.name} {line[:200]}")
    return found
