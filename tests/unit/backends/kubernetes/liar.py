"""An API server that answers as a test says: also with what no API server should."""

import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import yaml

Answer = tuple[int, Any]
"""Status, and a body: JSON, bytes, or an iterator of bytes that is sent piece by piece."""


class Liar:
    """Listens on loopback. ``say`` gives the answer to (method, path, query, body)."""

    def __init__(self, say: Callable[[str, str, dict[str, str], Any], Answer]) -> None:
        liar = self
        self.calls: list[tuple[str, str]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def answer(self) -> None:
                split = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(split.query))
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                liar.calls.append((self.command, split.path))
                status, answer = say(self.command, split.path, query, body)
                self.send_response(status)
                if isinstance(answer, Iterator):
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    try:
                        for piece in answer:
                            self.wfile.write(piece)
                            self.wfile.flush()
                    except OSError:
                        pass
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        for method in ("GET", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def kubeconfig(self) -> str:
        """Return the text of a kubeconfig for it."""
        return kubeconfig(f"http://127.0.0.1:{self._server.server_address[1]}")

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def kubeconfig(server: str, *, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """Return the text of a kubeconfig."""
    return str(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
                "users": [{"name": "u", "user": {"token": "t"} if user is None else user}],
            }
        )
    )
