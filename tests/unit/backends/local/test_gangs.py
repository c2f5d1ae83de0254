"""Gangs on one machine: all or none, one rendezvous, one end."""

import collections.abc
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from backends.local import attempts, client, errors
from orchestrator.domain import errors as port_errors
from orchestrator.domain import jobs, offers
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

KIND = jobs.OutcomeKind
RENDEZVOUS = """
import os, socket, time
rank, nodes = int(os.environ["COMITY_NODE_RANK"]), int(os.environ["COMITY_NODES"])
addresses = os.environ["COMITY_NODE_ADDRS"].split(",")
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
assert addresses[0] == place[0] and len(addresses) == nodes
if rank == 0:
    with socket.create_server(place) as server:
        friends = [server.accept()[0] for _ in range(nodes - 1)]
        ranks = sorted([0] + [int(friend.recv(8)) for friend in friends])
        for friend in friends:
            friend.sendall(repr(ranks).encode())
else:
    for _ in range(2000):
        try:
            to = socket.create_connection(place)
            break
        except ConnectionRefusedError:
            time.sleep(0.005)
    to.sendall(str(rank).encode())
    ranks = eval(to.recv(100))
print("met", ranks)
"""


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk() as made:
        yield made


def test_rendezvous(desk: desks.Desk) -> None:
    """The ranks of a gang find each other by MASTER_ADDR and MASTER_PORT; the log says who wrote what."""
    placement = desk.python(RENDEZVOUS, nodes=3)
    assert desk.run(placement).succeeded, desk.log(placement)
    chunks, _ = desk.adapter.read_logs(desks.ref(placement), cursor=None, node=None, limit=1000)
    assert [(chunk.node, chunk.data) for chunk in chunks] == [(rank, b"met [0, 1, 2]\n") for rank in range(3)]
    assert desk.log(placement, node=1) == "met [0, 1, 2]\n"


def test_first_failure_ends_all(desk: desks.Desk) -> None:
    """The first rank that fails ends the others, and its end is the gang's."""
    placement = desk.place("sh", "-c", "test $COMITY_NODE_RANK = 1 && exit 7; sleep 600", nodes=3)
    outcome = desk.run(placement)
    assert (outcome.kind, outcome.exit_code) == (KIND.EXITED, 7)
    assert "node 1" in outcome.detail
    assert desk.look(placement).outcome == outcome


def test_stop_ends_all(desk: desks.Desk) -> None:
    """A stopped gang is STOPPED, whichever rank noticed first."""
    placement = desk.place("sleep", "600", nodes=3)
    desk.adapter.submit(placement)
    desk.stop(placement)
    assert desk.ended(placement).kind is KIND.STOPPED
    assert desk.adapter.list_owned() == []


def test_capacity_counts_all_ranks(desk: desks.Desk) -> None:
    """A gang takes what one node takes, times its nodes."""
    before = desk.adapter.offers()[0]
    placement = desk.place("sleep", "600", nodes=3, resources=jobs.Resources(cpu_milli=100, memory_bytes=2**20))
    desk.adapter.submit(placement)
    after = desk.adapter.offers()[0]
    assert before.free.cpu_milli - after.free.cpu_milli == 300
    assert before.free.memory_bytes - after.free.memory_bytes == 3 * 2**20


def test_program_missing(desk: desks.Desk) -> None:
    """A program that cannot be executed fails the gang as a start."""
    placement = desk.place("./once", nodes=2, files=(("x", b""),))
    assert desk.run(placement).kind is KIND.START_FAILED


def test_all_or_none(runner_binary: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine refuses one rank, the others never began, the call had no effect, and a retry starts."""
    with desks.desk(isolation="none") as desk:
        _all_or_none(desk, monkeypatch)


def _all_or_none(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = client.request

    def refusing(folder: str, *, runner: str, seat: None) -> int:
        if not folder.endswith("/2"):
            return real(folder, runner=runner, seat=seat)
        reader, writer = os.pipe()
        os.write(writer, b"%d\n" % errors.RunnerStatus.NOT_STARTED)
        os.close(writer)
        return reader

    mark = desk.root / "ran"
    placement = desk.place("sh", "-c", f"touch {mark}; sleep 600", nodes=3)
    with monkeypatch.context() as patch:
        patch.setattr(client, "request", refusing)
        with pytest.raises(port_errors.TransientError, match=r"local\.spawn-refused") as refused:
            desk.adapter.submit(placement)
    assert refused.value.effects is port_errors.SideEffects.NONE
    assert desk.look(placement).state is offers.ObservedState.GONE
    assert desk.adapter.list_owned() == []
    assert not mark.exists()
    desk.adapter.submit(placement)
    assert desk.look(placement).state is offers.ObservedState.RUNNING
    conftest.until("it runs", mark.exists)


def test_half_started(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gang whose submitter died between two ranks is made whole by whoever looks next."""

    class Died(BaseException):
        pass

    def dying(folders: list[str], **_: object) -> list[client.Started]:
        client.request(folders[0])
        conftest.until("rank 0 waits for the others", lambda: os.path.exists(f"{folders[0]}/started"))
        raise Died

    placement = desk.python(RENDEZVOUS, nodes=2)
    with monkeypatch.context() as patch:
        patch.setattr(client, "start", dying)
        with pytest.raises(Died):
            desk.adapter.submit(placement)
    assert desk.ended(placement).succeeded, desk.log(placement)
    assert os.path.basename(desk.attempt(placement)) == placement.key


KILLED = """
import datetime, os, signal, sys
from backends.local import client
from tests.unit.backends.local import conftest, desk as desks
import pathlib

def dying(folders, **_):
    for folder in folders[:2]:
        client.request(folder)
    conftest.until("two wait", lambda: all(os.path.exists(f"{folder}/started") for folder in folders[:2]))
    os.kill(os.getpid(), signal.SIGKILL)

desk = desks.Desk.__new__(desks.Desk)
desk.root, desk.folder = map(pathlib.Path, sys.argv[1:3])
desk.values, desk.pools, desk._count = {}, (), 0
client.start = dying
desk.fresh().submit(desk.python(sys.argv[3], nodes=3))
"""


def test_killed_between_ranks(desk: desks.Desk) -> None:
    """After ``kill -9`` between two ranks none has begun, and the next control plane makes the gang whole."""
    program = [sys.executable, "-c", KILLED, str(desk.root), str(desk.folder), RENDEZVOUS]
    assert subprocess.run(program, cwd=conftest.REPOSITORY, check=False).returncode == -signal.SIGKILL
    placement = desk.python(RENDEZVOUS, nodes=3)
    assert desk.log(placement) == ""
    assert desk.ended(placement).succeeded, desk.log(placement)
    chunks, _ = desk.adapter.read_logs(desks.ref(placement), cursor=None, node=None, limit=1000)
    assert [(chunk.node, chunk.data) for chunk in chunks] == [(rank, b"met [0, 1, 2]\n") for rank in range(3)]


def test_killed_rank_before_the_start(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank whose supervisor is killed while it waits for the others takes the whole gang back: none begins."""
    placement = desk.place("sh", "-c", "echo no", nodes=3)

    class Died(BaseException):
        pass

    def dying(folders: list[str], **_: object) -> list[client.Started]:
        for folder in folders[:2]:
            client.request(folder)
        conftest.until("two wait", lambda: all(os.path.exists(f"{folder}/started") for folder in folders[:2]))
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(client, "start", dying)
        with pytest.raises(Died):
            desk.adapter.submit(placement)
    holder = attempts.lock_holder(f"{desk.attempt(placement)}/0")
    assert holder
    os.kill(holder, signal.SIGKILL)
    assert not desk.ended(placement).succeeded
    assert desk.log(placement) == ""
