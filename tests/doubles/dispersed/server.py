"""A double of Dispersed, not the network: its HTTP, on loopback. Each answer names it as a double.

``Server.spoil`` lets it misbehave: the next answers to requests of a method and path are made by the test.
"""

import contextlib
import http.server
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from email import utils
from pathlib import Path
from typing import Any

from tests.doubles.dispersed import accounts, network

NAME = "double-of-dispersed"
PUBLIC, SECRET = "pk_double", "sk_double-secret"
ENTRYPOINT = Path(__file__).parents[3] / "examples" / "dispersed" / "entrypoint.py"
COMMAND_IMAGE = "comity-double/entrypoint:1"
"""The image that tests agree on: the published entry point, run by this Python."""

Spoiler = Callable[["Handler", Callable[[], tuple[int, Any]]], None]
"""Answers one request; what is called does what was asked and returns the honest answer."""


class Server(http.server.ThreadingHTTPServer):
    """One account and its network. Made by :func:`running`."""

    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 64

    def __init__(self, images: Mapping[str, Sequence[str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.offset_ms = 0
        """How far this server's clock is ahead."""
        self.gate = accounts.Gate(self.now_ms)
        self.gate.keys[PUBLIC] = SECRET
        self.network = network.Network(self.gate, images)
        self.requests: list[tuple[str, str, bytes]] = []
        """Method, target and body of every request, refused ones too: what the network was told."""
        self._spoilers: list[tuple[str, str, Spoiler]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def now_ms(self) -> int:
        """Return the time of this server."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def spoil(self, method: str, path: str, *how: Spoiler) -> None:
        """Let the next requests whose method is this one and whose path begins so be answered so, one each."""
        with self._lock:
            self._spoilers += [(method, path, one) for one in how]

    def spoiler(self, method: str, path: str) -> Spoiler | None:
        """Return how the next such request is to be answered, once."""
        with self._lock:
            for at, (verb, front, how) in enumerate(self._spoilers):
                if verb == method and path.startswith(front):
                    del self._spoilers[at]
                    return how
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_POST(self) -> None:
        """Answer."""
        self._answer()

    def do_PUT(self) -> None:
        """Answer."""
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, body))

        def honest() -> tuple[int, Any]:
            try:
                found = {name.lower(): text for name, text in self.headers.items()}
                self.server.gate.check(self.command, self.path, found, body)
                return 200, self._do(body)
            except accounts.RefusalError as refusal:
                return refusal.status, {"error": {"code": refusal.code, "message": refusal.message}}

        how = self.server.spoiler(self.command, self.path)
        if how is not None:
            how(self, honest)
        else:
            self.say(*honest())

    def say(self, status: int, body: Any) -> None:
        """Send an answer in JSON."""
        self.say_raw(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def say_raw(self, status: int, raw: bytes, headers: Mapping[str, str], length: int | None = None) -> None:
        """Send an answer as it is; ``length``: what it claims instead of the truth."""
        self.send_response_only(status)
        fields = {"Server": NAME, "Date": utils.formatdate(self.server.now_ms() / 1000, usegmt=True), **headers}
        for name, text in fields.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(raw) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = True

    def hang_up(self) -> None:
        """End the connection without a word."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _do(self, body: bytes) -> Any:
        path, _, query_text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query_text, keep_blank_values=True))
        parts = path.strip("/").split("/")
        told = json.loads(body) if body else None
        match (self.command, parts):
            case ("POST", ["v1", "jobs"]):
                return self.server.network.create(told)
            case ("GET", ["v1", "jobs"]):
                return self.server.network.list(query)
            case ("GET", ["v1", "jobs", name]):
                return self.server.network.get(name)
            case ("PUT", ["v1", "jobs", name, "cancel"]):
                return self.server.network.cancel(name, told)
            case ("GET", ["v1", "job-runs"]):
                return self.server.network.list_runs(query)
            case ("GET", ["v1", "job-runs", name]):
                return self.server.network.get_run(name)
        raise accounts.RefusalError(404, "NO_ROUTE", "no such route")


@contextlib.contextmanager
def running(images: Mapping[str, Sequence[str]] | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a double for as long as the block lasts; its jobs end with it."""
    own = {COMMAND_IMAGE: (sys.executable, "-S", "-E", str(ENTRYPOINT))}
    server = Server(own | dict(images or {}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.network.close()
