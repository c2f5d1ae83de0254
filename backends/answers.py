"""One request over a connection that was looked at, and its whole answer: bounded in time and in size, no redirects.

For every adapter that asks once a connection. What an answer means, and which error of the port it is, adapters say.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends import addresses

_CHUNK_BYTES = 64 * 1024


class NoAnswerError(Exception):
    """It was sent, and nobody knows what came of it. The text says what is wrong with the answer; ``code`` in short."""

    code = "no-answer"


class TruncatedError(NoAnswerError):
    """The answer breaks off."""

    code = "truncated"


class EndlessError(NoAnswerError):
    """The answer is longer than is read. The text says how many bytes are."""

    code = "endless"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, of any status. ``head``: by lower-case names, the last of several with one name."""

    status: int
    head: Mapping[str, str]
    body: bytes


def context(ca: str | None) -> ssl.SSLContext:
    """Return how certificates are checked: against ``ca`` (PEM), or against what this machine trusts.

    :raises ValueError: where ``ca`` holds no certificates.
    """
    try:
        return ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise ValueError("no certificates in PEM") from error


def ask(
    sock: socket.socket,
    server: tuple[str, int],
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    until_s: float,
    bytes_max: int,
    clock_s: Callable[[], float] = time.monotonic,
) -> Answer:
    """Send one request, read all of its answer, and close the connection.

    :param sock: connected, and with TLS where there is any. It is closed whatever happens.
    :param server: host and port, for the header ``Host``.
    :param target: path and query, quoted.
    :param until_s: of ``clock_s``, by when the last byte has come.
    :raises NoAnswerError: where there is no whole answer; :class:`TruncatedError`, :class:`EndlessError`.
    """
    connection = http.client.HTTPConnection(*server)
    connection.sock = sock
    connection.auto_open = 0
    response: http.client.HTTPResponse | None = None
    try:
        sock.settimeout(max(0.001, until_s - clock_s()))
        connection.request(method, target, body, {"Connection": "close", **headers})
        response = connection.getresponse()
        pieces, size = [], 0
        while True:
            left_s = until_s - clock_s()
            if left_s <= 0:
                raise TimeoutError
            sock.settimeout(left_s)
            piece = response.read1(_CHUNK_BYTES)
            if not piece:
                break
            size += len(piece)
            if size > bytes_max:
                raise EndlessError(f"its answer is longer than {bytes_max} bytes")
            pieces.append(piece)
        if response.length:
            raise TruncatedError("its answer breaks off")
        return Answer(response.status, {name.lower(): text for name, text in response.getheaders()}, b"".join(pieces))
    except http.client.IncompleteRead as error:
        raise TruncatedError("its answer breaks off") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"it did not answer: {addresses.why(error)}") from error
    finally:
        if response is not None:
            response.close()  # an answer given up holds the socket by itself
        connection.close()
