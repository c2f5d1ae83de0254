"""A double of Akash's Console API, not the network: its HTTP, on loopback. Each answer names it as a double.

Each request is checked against the published specification before it has an effect, and each honest reply after
(:mod:`~tests.doubles.akash.contract`). Paths of the specification that no adapter needed are answered with 501, and the
gateway of a provider (logs, shell) is not built. ``Server.spoil`` lets it misbehave, as
:mod:`~tests.doubles.akash.faults` has it.
"""

import base64
import contextlib
import dataclasses
import http.server
import json
import math
import secrets
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.doubles.akash import contract, markets, network
from tests.doubles.akash.markets import RefusalError

NAME = "double-of-akash-console"
KEY = "ac.sk.double.key"
OWNER = markets.address("tenant")

Answer = tuple[int, Any]
Spoiler = Callable[["Handler", Callable[[], Answer]], None]
"""Answers one request; what is called does what was asked and returns the honest answer."""


@dataclasses.dataclass
class Exchange:
    """A request that had a route, and its honest reply."""

    operation: contract.Operation
    query: dict[str, str]
    body: Any
    status: int
    reply: Any


class Server(http.server.ThreadingHTTPServer):
    """Accounts and their network. Made by :func:`serve`."""

    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 64

    def __init__(self, images: Callable[[str], Sequence[str] | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.offset_s = 0.0
        """How far this server's clock is ahead: money is spent by it."""
        self.network = network.Network(self.now_s, images)
        self.keys = {KEY: (OWNER, math.inf)}
        """API key -> its account, and until when it is good."""
        self.signers = {OWNER: ec.generate_private_key(ec.SECP256K1())}
        self.received = bytearray()
        """Every byte that came, refused requests too."""
        self.requests: list[tuple[str, str, bytes]] = []
        """Method, target and body of every request."""
        self.exchanges: list[Exchange] = []
        self.breaches: list[str] = []
        """Honest replies that were not as the specification has them: bugs of the double."""
        self.over = threading.Event()
        self._spoilers: list[tuple[str, str, Spoiler]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def now_s(self) -> float:
        """Return the time of this server."""
        return time.time_ns() / 1e9 + self.offset_s

    def rotate(self, old: str, new: str) -> None:
        """Let a key be good no more, and another one for its account."""
        self.keys[new] = self.keys.pop(old)

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


class _Recorder:
    """Reads as a file does, and keeps what it read."""

    def __init__(self, inner: Any, kept: bytearray) -> None:
        self._inner, self._kept = inner, kept

    def read(self, size: int = -1) -> bytes:
        found: bytes = self._inner.read(size)
        self._kept += found
        return found

    def readline(self, size: int = -1) -> bytes:
        found: bytes = self._inner.readline(size)
        self._kept += found
        return found

    def close(self) -> None:
        self._inner.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        """Let what is read be kept."""
        super().setup()
        self.rfile = _Recorder(self.rfile, self.server.received)  # type: ignore[assignment] # as much of a file as is read

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

    def do_DELETE(self) -> None:
        """Answer."""
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, body))

        def honest() -> Answer:
            try:
                return self._do(body)
            except RefusalError as refusal:
                return refusal.status, refusal.body()

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
        for name, text in {"Server": NAME, **headers}.items():
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

    def _do(self, body: bytes) -> Answer:
        path, _, query_text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query_text, keep_blank_values=True))
        operation, names = _route(self.command, path)
        owner = "" if operation.public else self._owner()
        told = _told(body, operation, self.headers.get("Content-Type"))
        wrong = contract.query_problems(operation, query, names)
        if operation.body is not None:
            wrong += contract.problems(told, operation.body)
        if wrong:
            raise RefusalError(400, "BadRequest", "; ".join(wrong))
        reply = self._run(operation, owner, names, query, told)
        self.server.exchanges.append(Exchange(operation, query, told, operation.status, reply))
        if wrong := contract.problems(reply, operation.reply):
            self.server.breaches += [f"{operation.method} {operation.path}: {line}" for line in wrong]
        return operation.status, reply

    def _owner(self) -> str:
        bearer = (self.headers.get("Authorization") or "").partition("Bearer ")[2]
        owner, until_s = self.server.keys.get(self.headers.get("x-api-key") or bearer, ("", 0.0))
        if not owner or until_s <= self.server.now_s():
            raise RefusalError(401, "Unauthorized", "Invalid API key")
        return owner

    def _run(
        self, operation: contract.Operation, owner: str, names: Mapping[str, str], query: Mapping[str, str], told: Any
    ) -> Any:
        net = self.server.network
        match operation.method, operation.path:
            case "POST", "/v1/deployments":
                return net.create(owner, told["data"]["sdl"], told["data"].get("deposit"))
            case "GET", "/v1/deployments":
                return net.list(owner, int(query.get("skip", 0)), int(query.get("limit", 1000)))
            case "GET", "/v1/deployments/{dseq}":
                return net.get(owner, names["dseq"])
            case "PUT", "/v1/deployments/{dseq}":
                return net.update(owner, names["dseq"], told["data"]["sdl"])
            case "DELETE", "/v1/deployments/{dseq}":
                return net.delete(owner, names["dseq"])
            case "GET", "/v1/bids":
                return net.bids(owner, query["dseq"])
            case "POST", "/v1/leases":
                return net.lease(owner, told["manifest"], told["leases"])
            case "POST", "/v1/deposit-deployment":
                return net.deposit(owner, told["data"]["dseq"], told["data"]["deposit"])
            case "POST", "/v1/create-jwt-token":
                return {"data": {"token": _token(self.server, owner, told["data"]["ttl"], told["data"]["leases"])}}
            case "GET", "/v1/auditors":
                one = {"id": "1", "name": "double", "address": markets.AUDITOR, "website": "https://double.invalid"}
                return [one]
        listed = [one for one in net.providers if one.listed]
        if "address" in names:
            for one in listed:
                if one.address == names["address"]:
                    return one.details(1)
            raise RefusalError(404, "NotFound", "Provider not found")
        wanted = set(filter(None, query.get("addresses", "").split(",")))
        return [one.record(1) for one in listed if not wanted or one.address in wanted]


def _route(method: str, path: str) -> tuple[contract.Operation, dict[str, str]]:
    for operation in contract.OPERATIONS:
        found = operation.match(method, path)
        if found is not None:
            return operation, found
    if any(operation.match(operation.method, path) is not None for operation in contract.OPERATIONS):
        raise RefusalError(404, "NotFound", f"no {method} here")
    raise RefusalError(501, "NotImplemented", f"the double has no {path}")


def _told(body: bytes, operation: contract.Operation, kind: str | None) -> Any:
    if operation.body is None:
        return None
    if (kind or "").partition(";")[0].strip() != "application/json":
        raise RefusalError(400, "BadRequest", f"the body is {kind}, not application/json")
    try:
        return json.loads(body)
    except ValueError as error:
        raise RefusalError(400, "BadRequest", f"the body is no JSON: {error}") from error


def _token(server: Server, owner: str, ttl_s: int, leases: Any) -> str:
    now = int(server.now_s())
    claims = {"iss": owner, "iat": now, "nbf": now, "exp": now + ttl_s, "jti": secrets.token_hex(8)}
    claims |= {"version": "v1", "leases": leases}
    if wrong := contract.problems(claims, contract.CLAIMS):
        raise RefusalError(400, "BadRequest", "; ".join(wrong))
    parts = [_b64(json.dumps(part).encode()) for part in ({"alg": "ES256K", "typ": "JWT"}, claims)]
    made = server.signers[owner].sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(made)
    return ".".join([*parts, _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextlib.contextmanager
def serve(images: Callable[[str], Sequence[str] | None] = lambda image: ()) -> Iterator[Server]:
    """Run a double for as long as the block lasts; its services end with it.

    ``images`` gives the program of an image, which a ``command`` replaces; ``None``: it cannot be pulled, so the
    service never comes up. By default each image can be pulled and has no program of its own.

    :raises AssertionError: at the end, where an honest reply was not as the specification has it.
    """
    server = Server(images)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
        server.network.close()
    assert not server.breaches, server.breaches
