"""The start barrier of a gang, at the runner: every rank is ready, or none executes; nobody waits for ever."""

import collections.abc
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from tests.unit.backends.local import conftest

Ranks = collections.abc.Callable[..., list[conftest.Attempt]]
RUNNING, FENCED, SETUP_FAILED, CALLED_OFF = 0, 12, 15, 16
SHORT_MS = 300
"""What a test waits for a rank that never comes; a start that is to succeed is given the default."""


@pytest.fixture
def gang(runner_binary: pathlib.Path) -> collections.abc.Iterator[Ranks]:
    """Makes the folders of the ranks of one gang, and ends what a failing test left running."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="comity-gang-", dir="/var/tmp"))
    base.chmod(0o755)
    made: list[conftest.Attempt] = []

    def make(nodes: int, **options: object) -> list[conftest.Attempt]:
        made.extend(conftest.Attempt(runner_binary, base / str(rank)) for rank in range(nodes))
        for one in made:
            one.write("sh", "-c", "echo ran", gang=nodes, **options)
        return made

    yield make
    for one in made:
        if one.runner_pid():
            one.stop(0)
            one.free()
    shutil.rmtree(base)


def waits(rank: conftest.Attempt) -> None:
    """Wait until a rank is ready and waits for the others."""
    conftest.until("it waits", lambda: (rank.folder / "started").exists() and rank.record("started"))


def code(process: object) -> int:
    """The status of a runner that was spawned."""
    with process as one:  # type: ignore[attr-defined]
        one.communicate(timeout=conftest.DEADLINE_S)
        return int(one.returncode)


def decision(rank: conftest.Attempt) -> str:
    """What was decided for all."""
    return (rank.folder.parent / "gang").read_text()


def test_all_ready_all_go(gang: Ranks) -> None:
    """No rank executes before the last one is ready, and then all do."""
    ranks = gang(3)
    early = [rank.spawn() for rank in ranks[:2]]
    for rank in ranks[:2]:
        waits(rank)
        assert rank.runner_pid()
        assert rank.log() == ""
    assert [code(one) for one in (*early, ranks[2].spawn())] == [RUNNING] * 3
    for rank in ranks:
        assert rank.outcome()["reason"] == "exited"
        assert rank.log() == "ran\n"
    assert decision(ranks[0]) == "go\n"
    assert sorted(path.name for path in ranks[0].folder.parent.iterdir()) == ["0", "1", "2", "gang"]


def test_nobody_waits_for_ever(gang: Ranks) -> None:
    """Where one rank never comes, those that wait end by themselves without having executed; a late one neither."""
    ranks = gang(3, gang_ms=SHORT_MS)
    assert [code(one) for one in [rank.spawn() for rank in ranks[:2]]] == [CALLED_OFF] * 2
    assert ranks[2].start() == CALLED_OFF
    for rank in ranks:
        ended = rank.outcome()
        assert (ended["reason"], ended["step"]) == ("called-off", "gang")
        assert rank.log() == ""
    assert decision(ranks[0]) == "off\n"


def test_one_that_cannot_be_set_up_ends_all(gang: Ranks) -> None:
    """The rank that fails says why; the others were called off before they executed, and need not time out."""
    ranks = gang(3)
    ranks[1].write("sh", "-c", "echo ran", gang=3, cwd="/nowhere-at-all")
    codes = [code(one) for one in [rank.spawn() for rank in ranks]]
    assert codes == [CALLED_OFF, SETUP_FAILED, CALLED_OFF]
    assert (ranks[1].outcome()["reason"], ranks[1].outcome()["step"]) == ("setup-failed", "cwd")
    for rank in (ranks[0], ranks[2]):
        assert rank.outcome()["reason"] == "called-off"
        assert rank.log() == ""


def test_killed_while_it_waits(gang: Ranks) -> None:
    """A runner that is killed at the barrier takes the others back, at once, and its own process dies unexecuted."""
    ranks = gang(3)
    early = [rank.spawn() for rank in ranks[:2]]
    for rank in ranks[:2]:
        waits(rank)
    os.kill(ranks[0].runner_pid(), signal.SIGKILL)
    code(early[0])
    assert code(early[1]) == CALLED_OFF
    assert ranks[2].start() == CALLED_OFF
    assert all(rank.log() == "" for rank in ranks)
    assert not (ranks[0].folder / "exit").exists()


def test_stopped_while_it_waits(gang: Ranks) -> None:
    """A rank that is stopped at the barrier is stopped, and the gang is called off."""
    ranks = gang(2)
    early = ranks[0].spawn()
    waits(ranks[0])
    ranks[0].stop(5000)
    assert code(early) == FENCED
    assert ranks[0].outcome()["reason"] == "stopped"
    assert ranks[1].start() == CALLED_OFF
    assert all(rank.log() == "" for rank in ranks)


def test_decided_once(gang: Ranks) -> None:
    """Called off from outside before the last one came: that holds, though all are ready then."""
    ranks = gang(2)
    early = ranks[0].spawn()
    waits(ranks[0])
    (ranks[0].folder.parent / "gang").write_text("off\n")
    assert code(early) == CALLED_OFF
    assert ranks[1].start() == CALLED_OFF
    assert all(rank.log() == "" for rank in ranks)
