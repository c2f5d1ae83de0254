"""Ports of servers of tests: below those that the system gives away, each once on this machine."""

import pathlib
import socket
import subprocess
import sys

from tests.e2e import ports

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_a_port_is_given_once_while_its_process_lives() -> None:
    """Not a second time here, and not to another process; that process's own are free again with its end."""
    (mine,) = ports.free(1)
    assert not ports._reserve(mine)
    code = f"from tests.e2e import ports; print(ports._reserve({mine}), *ports.free(1))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    said, theirs = ran.stdout.split()
    assert said == "False"
    assert ports._reserve(int(theirs))


def test_it_is_none_that_the_system_gives_to_clients() -> None:
    """A client's end of a connection is enough to keep a server from its port."""
    assert not set(ports.free(50)) & set(ports._given_away())


def test_one_where_somebody_listens_is_not_given() -> None:
    """Whether or not it was reserved."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not ports._reserve(taken.getsockname()[1])
