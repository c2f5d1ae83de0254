"""How the double of Akash misbehaves: one function a fault, for ``Server.spoil``."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.doubles.akash import server

JSON: Mapping[str, str] = {"Content-Type": "application/json"}
Honest = Callable[[], server.Answer]


def errors_inside(handler: server.Handler, honest: Honest) -> None:
    """Answer 200 whose body is an error; nothing was done."""
    handler.say(200, {"errors": [{"message": "account sequence mismatch"}], "data": None})


def failed_inside(handler: server.Handler, honest: Honest) -> None:
    """Answer as if all went well, with a transaction that the chain refused; nothing was done."""
    sign = {"code": 5, "transactionHash": "", "rawLog": "insufficient funds"}
    handler.say(201, {"data": {"dseq": "1", "manifest": "[]", "signTx": sign}})


def error_500(handler: server.Handler, honest: Honest) -> None:
    """Answer 500 with a body that says why; nothing was done."""
    handler.say(500, {"error": "InternalServerError", "message": "the chain is halted for an upgrade"})


def html(handler: server.Handler, honest: Honest) -> None:
    """Answer 200 with a page."""
    handler.say_raw(200, b"<!doctype html><title>Just a moment...</title>", {"Content-Type": "text/html"})


def truncated(handler: server.Handler, honest: Honest) -> None:
    """Do it, and end the connection in the middle of the answer."""
    status, body = honest()
    raw = json.dumps(body).encode()
    handler.say_raw(status, raw[: len(raw) // 2], JSON, len(raw))


def endless(handler: server.Handler, honest: Honest) -> None:
    """Answer 200 with a body that ends only when the client goes away."""
    handler.send_response_only(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.wfile.write(b'{"data":"')
        while not handler.server.over.is_set():
            handler.wfile.write(b"a" * 65_536)


def lost_before(handler: server.Handler, honest: Honest) -> None:
    """Hang up; nothing was done."""
    handler.hang_up()


def lost_after(handler: server.Handler, honest: Honest) -> None:
    """Do it, and hang up before the answer."""
    honest()
    handler.hang_up()


def redirect(to: str) -> server.Spoiler:
    """Send the client to another address; nothing was done."""

    def answer(handler: server.Handler, honest: Honest) -> None:
        handler.say_raw(307, b"", {"Location": to})

    return answer


def rate_limited(after: str = "7") -> server.Spoiler:
    """Answer 429 with this ``Retry-After``; nothing was done."""

    def answer(handler: server.Handler, honest: Honest) -> None:
        body = json.dumps({"error": "TooManyRequests", "message": "Request rate exceeded"}).encode()
        handler.say_raw(429, body, {**JSON, "Retry-After": after})

    return answer


def changed(change: Callable[[Any], Any]) -> server.Spoiler:
    """Do it, and answer what ``change`` makes of the honest body."""

    def answer(handler: server.Handler, honest: Honest) -> None:
        status, body = honest()
        handler.say(status, change(body))

    return answer
