"""A small HTTP server on loopback that answers as a test says, and remembers what it was asked."""

import dataclasses
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

DROP = "drop"
"""Answer of a route that takes the request and hangs up without a reply."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as data."""
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Reply:
    """What to answer; a ``body`` that is not bytes is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


Answer = Callable[[Asked], Any]


class Server:
    """Routes are (method, path) -> a value to answer with, a Reply, DROP, a function, or a list of these in turn."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Any] = {}
        self.asked: list[Asked] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                path, _, query = self.path.partition("?")
                asked = Asked(self.command, path, query, dict(self.headers.items()), self.rfile.read(length))
                outer.asked.append(asked)
                answer = outer.answer(asked)
                if answer is DROP:
                    self.close_connection = True
                    return
                reply = answer if isinstance(answer, Reply) else Reply(answer)
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815 -- the names http.server calls

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def answer(self, asked: Asked) -> Any:
        """Return what the route says; a list is answered in turn, its last entry for ever."""
        found = self.routes.get((asked.method, asked.path), problem(404, "request.no-route"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found(asked) if callable(found) else found

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def problem(status: int, code: str, **more: Any) -> Reply:
    """Return an RFC 9457 problem."""
    body = {"type": "about:blank", "title": "No", "status": status, "code": code, **more}
    return Reply(body, status, {"Content-Type": "application/problem+json"})


def job(phase: str = "QUEUED", *, name: str = "hello", id: str = "01JD8Z3M5N6P7Q8R9STVWXYZ01", **status: Any) -> Any:
    """Return a job's document."""
    return {
        "apiVersion": "comity.dev/v1",
        "kind": "Job",
        "metadata": {"id": id, "tenant": "default", "name": name},
        "spec": {"command": ["true"], "data": "none"},
        "status": {"phase": phase, "conditions": [], "exitCode": None, "signal": None, "reason": "", "attempts": []}
        | status,
    }
