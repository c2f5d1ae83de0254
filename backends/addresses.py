"""Where adapters may connect to: urls that an operator wrote, and the addresses that their names lead to.

For every adapter that speaks HTTP by itself. Clouds keep credentials at link-local addresses: nothing is ever sent to
them, whatever name leads there, and a connection goes to the very address that was looked at.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import urllib.parse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRIED_MAX = 8


class UnreachableError(Exception):
    """Nobody answers there; nothing was sent. The text says why."""


class CertificateError(UnreachableError):
    """Somebody answers there with a certificate that is not trusted; nothing was sent."""


class RefusedError(Exception):
    """The name leads where nothing is sent. The text says where and why."""


def checked_url(url: str, *, whose: str, setting: str) -> str:
    """Return a url without its last slash; raises ValueError for one that is never connected to.

    :param whose: what answers there, with its article: ``a head``.
    :param setting: the one that holds what stands in no url: ``token``.
    """
    if any(ord(letter) <= 0x20 or ord(letter) >= 0x7F or letter == "\\" for letter in url):
        raise ValueError("a url has no spaces, backslashes or control characters")
    split = urllib.parse.urlsplit(url)
    if split.scheme not in ("http", "https"):
        raise ValueError("only http and https")
    if split.username is not None or split.password is not None:
        raise ValueError(f"no user and no password in a url: the {setting} has a setting of its own")
    if split.query or split.fragment or "?" in url or "#" in url:
        raise ValueError("no query and no fragment")
    if not split.hostname or split.port == 0:
        raise ValueError("names no host")
    if any(part in ("..", ".") for part in split.path.split("/")):
        raise ValueError("no dots in its path")
    try:
        address = ipaddress.ip_address(split.hostname)
    except ValueError:
        return url.rstrip("/")
    if why := problem(address):
        raise ValueError(f"{why}: {whose} has another")
    return url.rstrip("/")


def problem(address: Address) -> str:
    """Return why nothing is ever sent to an address; "" where it may be."""
    real = getattr(address, "ipv4_mapped", None) or address
    if real.is_link_local or real.is_multicast or real.is_unspecified or int(real) == 2**32 - 1:
        return "nothing is sent to a link-local, multicast or unspecified address"
    return ""


def connect(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None) -> tuple[socket.socket, Address]:
    """Connect to an address that was looked at: what a name means cannot change in between.

    :raises UnreachableError: where nobody answers, or the name is not known; :class:`CertificateError`.
    :raises RefusedError: where the name leads to an address that nothing is sent to.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"its name is not known ({why(error)})") from error
    last: Exception = OSError("no address")
    for family, kind, protocol, _, where in found[:_TRIED_MAX]:
        address = ipaddress.ip_address(str(where[0]).partition("%")[0])
        if refused := problem(address):
            raise RefusedError(f"{address}: {refused}")
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout_s)
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return (tls.wrap_socket(sock, server_hostname=host) if tls else sock), address
        except OSError as error:
            sock.close()
            last = error
    untrusted = isinstance(last, ssl.SSLCertVerificationError)
    raise (CertificateError if untrusted else UnreachableError)(why(last)) from last


def why(error: Exception) -> str:
    """Return what went wrong with a connection, in a few words and without what was sent."""
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
