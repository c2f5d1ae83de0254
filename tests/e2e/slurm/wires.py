"""The wire between an adapter and slurmrestd, which loses what it is told to lose, and keeps a copy of what it carried.

A server on loopback that hands each request on to the real one. Faults wait in a list, each for the next request that
fits; a request that fits none is carried faithfully.
"""

import contextlib
import dataclasses
import enum
import http.client
import http.server
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

CARRIED_S = 180.0


class Loss(enum.Enum):
    """What gets lost; the connection is closed then."""

    REQUEST = "request"
    """slurmrestd never hears of it."""
    REPLY = "reply"
    """slurmrestd has done it; the answer is thrown away."""


@dataclasses.dataclass(frozen=True)
class Lie:
    """An answer that is not slurmrestd's, instead of asking it."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"Content-Type": "application/json"})
    length: int | None = None
    """What Content-Length says where that is not true."""


@dataclasses.dataclass(frozen=True)
class Carried:
    """One request as it came by, and the status of the answer (0: none was given back)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int


@dataclasses.dataclass
class Wire:
    """One proxy."""

    target: str
    """Host and port of slurmrestd."""
    carried: list[Carried] = dataclasses.field(default_factory=list)
    url: str = ""
    hook: Callable[[str, str, str], bool] = lambda moment, method, path: True
    """Is told ``before`` or ``after``, method and path of a request that is carried; False loses it, or its answer."""
    _waiting: list[tuple[str, str, Loss | Lie]] = dataclasses.field(default_factory=list)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def next(self, method: str, path: str, what: Loss | Lie, times: int = 1) -> None:
        """Do this to the next requests of a method whose path holds a text."""
        with self._lock:
            self._waiting += [(method, path, what)] * times

    def calm(self) -> None:
        """Do nothing to anybody any more."""
        with self._lock:
            self._waiting.clear()

    @property
    def waiting(self) -> int:
        """Return how many faults nobody has met yet."""
        return len(self._waiting)

    def fault(self, method: str, path: str) -> Loss | Lie | None:
        """Return what is to be done to a request, once."""
        with self._lock:
            for number, (wanted, part, what) in enumerate(self._waiting):
                if wanted == method and part in path:
                    del self._waiting[number]
                    return what
        return None

    def sent(self, method: str, path: str = "") -> list[Carried]:
        """Return the requests of a method whose path holds a text."""
        return [one for one in self.carried if one.method == method and path in one.path]

    @property
    def bytes_seen(self) -> bytes:
        """Return everything that was sent towards slurmrestd: paths, headers, bodies."""
        parts = ((one.path, *one.headers.values(), one.body) for one in list(self.carried))
        return b"\n".join(part if isinstance(part, bytes) else part.encode() for parts_ in parts for part in parts_)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Carries one connection's requests."""

    protocol_version = "HTTP/1.1"
    wire: Wire

    def _carry(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.wire.fault(self.command, self.path)
        if isinstance(fault, Lie):
            self._note(body, fault.status)
            self._answer(fault.status, fault.headers, fault.body, fault.length)
            return
        status, headers, answer = 0, {}, b""
        if not self.wire.hook("before", self.command, self.path):
            fault = Loss.REQUEST
        if fault is not Loss.REQUEST:
            try:
                status, headers, answer = self._ask(body)
            except (OSError, http.client.HTTPException):
                fault = Loss.REQUEST
            else:
                fault = fault if self.wire.hook("after", self.command, self.path) else Loss.REPLY
        self._note(body, 0 if fault else status)
        if fault:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._answer(status, headers, answer)

    do_GET = do_POST = do_DELETE = do_PUT = _carry  # noqa: N815 -- the names that http.server calls

    def _note(self, body: bytes, status: int) -> None:
        self.wire.carried.append(Carried(self.command, self.path, dict(self.headers), body, status))

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.wire.target, timeout=CARRIED_S)
        headers = {name: text for name, text in self.headers.items() if name.lower() != "connection"}
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, {"Content-Type": answer.headers.get("Content-Type", "")}, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, length: int | None = None) -> None:
        with contextlib.suppress(OSError):  # whoever asked may be gone
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def wire(url: str) -> Iterator[Wire]:
    """Give a wire to slurmrestd at an address."""
    made = Wire(url.removeprefix("http://"))
    handler = type("Handler", (_Handler,), {"wire": made})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
