"""Requests that no client library would send, byte by byte: methods, hosts, lengths, halves, pipelines."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.e2e import _strangers as strangers
from tests.e2e._planes import Plane, job, wait_until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    with strangers.guarded(tmp_path_factory.mktemp("bad")) as found:
        yield found


def _head(
    plane: Plane, *lines: str, method: str = "GET", path: str = "/v1/jobs", host: str | None = "127.0.0.1"
) -> bytes:
    fields = [f"{method} {path} HTTP/1.1", f"Authorization: Bearer {plane.token}", "Connection: close", *lines]
    if host is not None:
        fields.insert(1, f"Host: {host}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.mark.parametrize("method", METHODS)
def test_host_and_origin_are_checked_for_every_method(plane: Plane, method: str) -> None:
    """A missing, doubled or foreign Host is 400 and a foreign Origin 403, before anything else."""
    for host in (
        None,
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "",
        "[::1].evil",
        "0",
        "2130706433",
    ):
        for path in ("/v1/jobs", "/healthz", "/nowhere"):
            answer = plane.raw(_head(plane, method=method, path=path, host=host))
            assert answer.startswith(b"HTTP/1.1 400"), (host, path, answer[:200])
    assert plane.raw(_head(plane, "Host: 127.0.0.1", method=method)).startswith(b"HTTP/1.1 400")
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "http://localhost:1"):
        answer = plane.raw(_head(plane, f"Origin: {origin}", method=method))
        assert answer.startswith(b"HTTP/1.1 403"), (origin, answer[:200])


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 300])
def test_another_method_is_refused(plane: Plane, method: str) -> None:
    """A method that a route has not is 400 or 405."""
    answer = plane.raw(_head(plane, method=method))
    assert re.match(rb"HTTP/1.1 (400|405)", answer), answer[:300]


@pytest.mark.parametrize(
    "type_",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/yaml", "x" * 1000, "\x00"],
)
def test_another_type_of_body_is_refused(plane: Plane, type_: str) -> None:
    """A body that says it is something else is not read as JSON."""
    body, before = json.dumps(job("x")).encode(), strangers.made(plane)
    head = _head(plane, f"Content-Type: {type_}", f"Content-Length: {len(body)}", method="POST")
    assert re.match(rb"HTTP/1.1 4[0-9][0-9]", plane.raw(head + body))
    assert strangers.made(plane) == before


def _chunked(content: bytes, size: int) -> bytes:
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_bodies_in_pieces_are_read_and_bounded(plane: Plane) -> None:
    """A chunked body is a body; one without end is cut at the bound; broken ones are 400."""
    line = "Transfer-Encoding: chunked"
    good = json.dumps(job("chunked")).encode()
    assert plane.raw(_head(plane, line, method="POST") + _chunked(good, 7)).startswith(b"HTTP/1.1 202")
    big = _head(plane, line, method="POST") + _chunked(b" " * (9 * 2**20), 65536)
    answer = plane.raw(big)
    assert answer.startswith(b"HTTP/1.1 413") or answer == b"", answer[:200]
    for broken in (
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"ffffffffffffffffff\r\n",
        b"5;x=" + b"y" * 100_000,
    ):
        answer = plane.raw(_head(plane, line, method="POST") + broken, shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    both = _head(plane, line, "Content-Length: 5", method="POST") + _chunked(good, 100)
    answer = plane.raw(both, shut=True)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "99999999999999999999999", "9000000", "\u0663", "5, 6", "+5", "0x5", ""]
)
def test_a_length_that_is_none_is_refused(plane: Plane, length: str) -> None:
    """A Content-Length that is no number, or too much of one, is 4xx before a body is read."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
    head = head % plane.token.encode() + b"Content-Length: " + length.encode() + b"\r\n\r\nhello"
    answer = plane.raw(head, shut=True)
    assert answer == b"" or re.match(rb"HTTP/1.1 4[0-9][0-9]", answer), answer[:200]


def test_half_closed_and_half_sent_requests_hurt_nobody(plane: Plane) -> None:
    """Connections that stop in the middle, hold still or say nonsense leave the server answering others."""
    body = json.dumps(job("half")).encode()
    whole = _head(plane, f"Content-Length: {len(body)}", "Content-Type: application/json", method="POST") + body
    for cut in (0, 1, 10, len(whole) - len(body), len(whole) - 1):
        plane.raw(whole[:cut], shut=True)
    assert plane.call("GET", "/v1/jobs?filter=name=half").json["items"] == []
    assert plane.raw(whole, shut=True)[:12] in (b"HTTP/1.1 202", b"")
    idle = [socket.create_connection(("127.0.0.1", plane.port)) for _ in range(100)]
    for link in idle:
        link.sendall(whole[:20])
    assert plane.call("GET", "/v1/jobs").status == 200
    for link in idle:
        link.close()
    for nonsense in (
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET " + b"/" * 100_000,
    ):
        answer = plane.raw(nonsense, shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    for line in ("X: " + "y" * 1_000_000, *["\r\n".join(f"X{n}: y" for n in range(500))]):
        answer = plane.raw(_head(plane, line), shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


def test_pipelined_requests_are_answered_in_order(plane: Plane) -> None:
    """Requests that come before their predecessors' answers are answered one after the other."""
    one = _head(plane, path="/healthz").replace(b"Connection: close\r\n", b"")
    answer = plane.raw(one * 50 + _head(plane, path="/healthz"), shut=False)
    assert answer.count(b"HTTP/1.1 200") == 51


def test_poison_stands_aside(plane: Plane) -> None:
    """After all of this a plain job still runs."""
    found = plane.submit(job("after", "echo", "alive")).json["id"]
    assert plane.ended(found)["status"]["phase"] == "SUCCEEDED"
    wait_until(lambda: plane.call("GET", "/readyz", token=None).status == 200)
