"""Gangs on one machine: all or none, one rendezvous, one end."""

import collections.abc
import os
import pathlib

import pytest

from backends.local import client, errors
from orchestrator.domain import errors as port_errors
from orchestrator.domain import jobs, offers
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


def test_all_or_none(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine refuses one rank, the others are ended, the call had no effect, and a retry starts."""
    real = client.start

    def refusing(folders: list[str]) -> list[client.Started]:
        return [*real(folders[:-1]), client.Started(errors.RunnerStatus.NOT_STARTED, "")]

    placement = desk.place("sh", "-c", "sleep 600", nodes=3)
    with monkeypatch.context() as patch:
        patch.setattr(client, "start", refusing)
        with pytest.raises(port_errors.TransientError, match=r"local\.spawn-refused") as refused:
            desk.adapter.submit(placement)
    assert refused.value.effects is port_errors.SideEffects.NONE
    assert desk.look(placement).state is offers.ObservedState.GONE
    assert desk.adapter.list_owned() == []
    desk.adapter.submit(placement)
    assert desk.look(placement).state is offers.ObservedState.RUNNING


def test_half_started(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gang whose submitter died between two ranks is made whole by whoever looks next."""

    class Died(BaseException):
        pass

    real = client.start

    def dying(folders: list[str]) -> list[client.Started]:
        real(folders[:1])
        raise Died

    placement = desk.python(RENDEZVOUS, nodes=2)
    with monkeypatch.context() as patch:
        patch.setattr(client, "start", dying)
        with pytest.raises(Died):
            desk.adapter.submit(placement)
    assert desk.ended(placement).succeeded, desk.log(placement)
    assert os.path.basename(desk.attempt(placement)) == placement.key
