"""Real server processes for the benchmarks: on a free port of the loopback, with a state folder that goes with them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench import compiled

START_S = 60.0
STOP_S = 20.0
LISTENING = "listening on http://127.0.0.1:"
LIVE = "QUEUED,PLACED,STARTING,RUNNING,STOPPING"


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens. ``token`` is its administrator's; "" where it asks for none."""

    process: subprocess.Popen[str]
    folder: pathlib.Path
    port: int
    token: str = ""

    @property
    def state(self) -> pathlib.Path:
        """Return the state folder."""
        return self.folder / "state"

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """Return one request, byte for byte, as a keep-alive client sends it."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        head = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(content)}"]
        if content:
            head.append("Content-Type: application/json")
        if self.token:
            head.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*head, "", ""]).encode() + content

    def connect(self) -> Client:
        """Return a client with a connection of its own."""
        return Client(self)

    def resident_mib(self) -> float:
        """Return the memory that the process holds."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Client:
    """One keep-alive connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.connect()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the decoded answer; raises RuntimeError where it is a refusal."""
        headers = {"Authorization": f"Bearer {self._server.token}", "Content-Type": "application/json"}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {raw[:400].decode('utf-8', 'replace')}")
        return json.loads(raw) if "json" in (answer.headers["Content-Type"] or "") else raw

    def send(self, request: bytes) -> tuple[int, int, Any]:
        """Send a request that is ready; return when, in ns of the monotonic clock, when answered, and the answer."""
        socket = self._connection.sock
        sent_at = time.monotonic_ns()
        socket.sendall(request)
        answer = http.client.HTTPResponse(socket, method="POST")
        answer.begin()
        raw = answer.read()
        answered_at = time.monotonic_ns()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status} {raw[:400].decode('utf-8', 'replace')}")
        return sent_at, answered_at, json.loads(raw)

    def until_none_lives(self, *, timeout_s: float, pause_s: float = 0.02) -> None:
        """Wait until every job has ended."""
        until = time.monotonic() + timeout_s
        while self.call("GET", f"/v1/jobs?filter=phase={LIVE}&limit=1")["items"]:
            if time.monotonic() > until:
                raise RuntimeError(f"jobs still live after {timeout_s} s")
            threading.Event().wait(pause_s)

    def until_offers(self, *, timeout_s: float = 20.0) -> None:
        """Wait until the backend has been seen."""
        until = time.monotonic() + timeout_s
        while not _reachable(self.call("GET", "/v1/backends/here")):
            if time.monotonic() > until:
                raise RuntimeError("the backend does not answer")
            threading.Event().wait(0.05)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def job(name: str, *command: str, **spec: object) -> dict[str, object]:
    """Return a small Job document."""
    given = {"command": list(command), "data": "none", "resources": {"cpus": "10m"}, **spec}
    return {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": name}, "spec": given}


@contextlib.contextmanager
def comity(
    adapter: str | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    module: str = "orchestrator.cli",
    environment: Mapping[str, str] | None = None,
    **backend: object,
) -> Iterator[Server]:
    """Run a control plane in France with one backend ``here`` (None: with none) until the block ends."""
    documents = [
        _document("Operator", "us", legalCountry="FR", ultimateParentHq="FR", owners={"coverage": 100}),
        _document("ControlPlane", "self", operator="us", location={"country": "FR"}),
    ]
    if adapter is not None:
        place = {"operator": "us", "location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}}
        documents.append(
            _document("Backend", "here", adapter=adapter, settings=dict(settings or {}), **place, **backend)
        )
    command = ["-m", module, "serve", "--listen", "127.0.0.1:0", "--log-level", "warning"]

    def arguments(folder: pathlib.Path) -> list[str]:
        declared = folder / "comity.d"
        declared.mkdir()
        for number, document in enumerate(documents):
            (declared / f"{number}.json").write_text(json.dumps(document), encoding="utf-8")
        return [*command, "--state", str(folder / "state"), "--documents", str(declared)]

    with _running(arguments, environment or {}) as server:
        token = (server.state / "admin.token").read_text(encoding="ascii").strip()
        known = Server(server.process, server.folder, server.port, token)
        if adapter is not None:
            client = known.connect()
            client.until_offers()
            client.close()
        try:
            yield known
        finally:
            if adapter == "local":
                _end_jobs(known)


@contextlib.contextmanager
def floor() -> Iterator[Server]:
    """Run the bare script of :mod:`bench.floor` until the block ends."""

    def arguments(folder: pathlib.Path) -> list[str]:
        (folder / "state").mkdir()
        return ["-m", "bench.floor", str(folder / "state" / "floor.db")]

    with _running(arguments) as server:
        yield server


@contextlib.contextmanager
def _running(arguments: Callable[[pathlib.Path], list[str]], more: Mapping[str, str] | None = None) -> Iterator[Server]:
    folder = compiled.folder("server")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMITY_")}
    root = str(pathlib.Path(__file__).parents[1])
    environment |= more or {}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, *arguments(folder)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    ready = threading.Event()
    threading.Thread(target=_listen, args=(process, said, ready), daemon=True).start()
    try:
        if not ready.wait(START_S) or not any(LISTENING in line for line in said):
            raise RuntimeError(f"the server did not start: {''.join(said)[-2000:]}")
        line = next(line for line in said if LISTENING in line)
        yield Server(process, folder, int(line.split(LISTENING)[1].split(",")[0]))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listen(process: subprocess.Popen[str], said: list[str], ready: threading.Event) -> None:
    """Keep what the process says, so that its pipe never fills."""
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        del said[:-1000]
        if LISTENING in line:
            ready.set()
    ready.set()


def _reachable(backend: Any) -> bool:
    found = [one for one in backend["status"]["conditions"] if one["type"] == "Reachable"]
    return bool(found and found[0]["status"])


def _end_jobs(server: Server) -> None:
    """Cancel what lives, because jobs outlive their server."""
    if server.process.poll() is not None:
        return
    client = server.connect()
    for item in client.call("GET", f"/v1/jobs?filter=phase={LIVE}&limit=500")["items"]:
        client.call("POST", f"/v1/jobs/{item['metadata']['id']}:cancel")
    client.close()


def _document(kind: str, name: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
