"""Ports for servers of tests that begin, end and begin again at the same address, beside other tests that do the same.

A port that the system gives away (``net.ipv4.ip_local_port_range``) may be anybody's as soon as its server is down: a
client's end of a connection is enough. So ports are chosen below that range, and each is reserved by a name among the
kernel's abstract sockets, which only one process of this machine can hold, and which goes with that process.
"""

import atexit
import pathlib
import secrets
import socket

LOWEST, HIGHEST = 10_000, 31_999
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 10_000
_RESERVED: list[socket.socket] = []


def _given_away() -> range:
    """Return the ports that the system gives to whoever asks for any."""
    try:
        first, last = RANGE.read_text().split()
    except OSError:
        return range(32_768, 61_000)
    return range(int(first), int(last) + 1)


def _reserve(port: int) -> bool:
    """Say whether nobody else has this port, neither by reservation nor by listening there."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0comity-test-port-{port}")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError:
        mark.close()
        return False
    _RESERVED.append(mark)
    return True


def free(count: int) -> list[int]:
    """Return ports that nobody listens on, reserved until this process ends.

    :raises OSError: where none can be found.
    """
    away, choice, found = _given_away(), secrets.SystemRandom(), []
    all_ = range(LOWEST, HIGHEST + 1)
    kept = [port for port in all_ if port not in away] or all_
    for _ in range(TRIES):
        port = choice.choice(kept)
        if _reserve(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"no {count} free ports among {LOWEST} to {HIGHEST}")


@atexit.register
def _release() -> None:
    """Give back what this process has reserved."""
    while _RESERVED:
        _RESERVED.pop().close()
