"""The HTTP protocol: heads are bounded, bodies are not heads."""

import asyncio

import pytest
import uvicorn
from uvicorn import server

from orchestrator.bootstrap import protocols

LONG = 100 * 1024
POST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % LONG


class _Wire(asyncio.Transport):
    """Notes what is written and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _answer(scope: dict[str, object], receive: object, send: object) -> None:
    """Never answers: only what the protocol itself says is looked at."""


async def _sent(*pieces: bytes) -> _Wire:
    config = uvicorn.Config(_answer, log_config=None, lifespan="off")  # type: ignore[arg-type]
    protocol = protocols.BoundedProtocol(config, server.ServerState(), {}, asyncio.get_running_loop())
    wire = _Wire()
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for piece in pieces:
        protocol.data_received(piece)
    await asyncio.sleep(0)
    return wire


@pytest.mark.parametrize(
    "pieces",
    [(POST + b"x" * LONG,), (POST, b"x" * LONG), (POST, b"x" * 10, b"x" * (LONG - 10))],
    ids=["one", "two", "three"],
)
def test_long_bodies_pass(pieces: tuple[bytes, ...]) -> None:
    """A body may be longer than a head, in whatever pieces it comes."""
    wire = asyncio.run(_sent(*pieces))
    assert b"400 Bad Request" not in wire.written


def test_long_head_is_refused() -> None:
    """A head that goes on for too long ends the connection."""
    line = b"X-A: " + b"y" * 4096 + b"\r\n"
    wire = asyncio.run(_sent(b"GET / HTTP/1.1\r\nHost: h\r\n", *[line] * 20))
    assert b"400 Bad Request" in wire.written
    assert wire.closing
