"""Stands between a server of ours and a real API server, and is told of each request before and after it took effect.

It shows a certificate of an authority of its own and sends what it is sent on with the cluster's credentials, watches
piece by piece. A hook that says no ends the connection there: the request was not sent, or its answer is lost.
"""

import contextlib
import http.client
import http.server
import json
import pathlib
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

from tests.e2e.kube import certificates, clusters

READ_S = 310.0
"""Longer than a watch lasts."""
KEPT = ("content-type", "accept")
Hook = Callable[[str, str, str], bool]
"""Is told ``before`` or ``after``, the method and the path; False ends the connection."""


class Between(http.server.ThreadingHTTPServer):
    """Listens on the loopback. ``kubeconfig`` is how it is reached."""

    daemon_threads = True

    def __init__(self, cluster: clusters.Cluster, folder: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.hook: Hook = lambda moment, method, path: True
        own = certificates.Authority(folder, "between")
        shown = own.issue("shown", user="api", addresses=["127.0.0.1"])
        user = own.issue("user", user="somebody")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.certificate, shown.key)
        # Each connection's own thread shakes hands: one that never does holds nobody up.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.kubeconfig = certificates.kubeconfig(
            folder / "kubeconfig",
            cluster="between",
            server=f"https://127.0.0.1:{self.server_address[1]}",
            authority=own.pair.certificate,
            user=user,
        )
        found = json.loads(cluster.kubeconfig.read_text())
        self._address = urllib.parse.urlsplit(found["clusters"][0]["cluster"]["server"])
        self._tls = cluster.api._tls
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def upstream(self) -> http.client.HTTPSConnection:
        """Return a connection to the API server."""
        host, port = self._address.hostname or "", self._address.port
        return http.client.HTTPSConnection(host, port, timeout=READ_S, context=self._tls)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections end here on purpose."""

    def end(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()


class Passing(http.server.BaseHTTPRequestHandler):
    """One connection of :class:`Between`."""

    protocol_version = "HTTP/1.1"
    server: Between

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        if not self.server.hook("before", self.command, self.path):
            self.close_connection = True
            return
        with contextlib.closing(self.server.upstream()) as connection:
            fields = {name: value for name, value in self.headers.items() if name.lower() in KEPT}
            connection.request(self.command, self.path, body, fields)
            answer = connection.getresponse()
            if "watch=true" in self.path:
                self._stream(answer)
                return
            data = answer.read()
        if not self.server.hook("after", self.command, self.path):
            self.close_connection = True
            return
        self._begin(answer, "Content-Length", str(len(data)))
        self.wfile.write(data)

    def _begin(self, answer: http.client.HTTPResponse, field: str, value: str) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"] or "application/json")
        self.send_header(field, value)
        self.end_headers()

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        self._begin(answer, "Transfer-Encoding", "chunked")
        while piece := answer.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 -- as the library calls them

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
