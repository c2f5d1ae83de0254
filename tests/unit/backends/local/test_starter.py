"""The process that forks runners: what it says, what it keeps from jobs, and what its death changes."""

import collections.abc
import concurrent.futures
import os
import pathlib
import signal

import pytest

from backends.local import attempts, client
from orchestrator.domain import jobs
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks


def _starter() -> int:
    """Return the pid of the starter of this process."""
    found = client._starters[client.RUNNER]
    text = pathlib.Path(f"/proc/self/fdinfo/{found._process}").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pid:"))


def _gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk(isolation="none") as made:
        yield made


def test_what_fails_is_said(make_attempt: collections.abc.Callable[[], conftest.Attempt]) -> None:
    """A missing folder, a bad spec and a missing program have the status and the words that an own runner has."""
    bad, lost, fine = make_attempt(), make_attempt().write("no-such-command"), make_attempt().write("/bin/true")
    (bad.folder / "spec").write_bytes(b"comity-spec=2\0end=\0")
    folders = ["/no/such/folder", "/" + "x" * 5000, str(bad.folder), str(lost.folder), str(fine.folder)]
    missing, cut, refused, failed, running = client.start(folders)
    assert (missing.status, "/no/such/folder" in missing.said) == (66, True)
    assert cut.status == 66
    assert (refused.status, "version 1" in refused.said) == (65, True)
    assert (failed.status, "no-such-command" in failed.said) == (13, True)
    assert (running.status, running.said) == (0, "")
    for attempt in (lost, fine):
        attempt.free()


def test_one_of_many_threads(make_attempt: collections.abc.Callable[[], conftest.Attempt]) -> None:
    """Of threads that start one folder at the same moment exactly one starts the job, and each learns its answer."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in range(10):
            attempt = make_attempt().write("/bin/sh", "-c", "echo x >> count")
            results = list(pool.map(lambda _, one=attempt: client.start([str(one.folder)]), range(16)))
            codes = sorted(one.status for (one,) in results)
            attempt.free()
            assert codes[0] == 0
            assert set(codes[1:]) <= {10, 11}
            assert (attempt.work / "count").read_text() == "x\n"


def test_nothing_of_it_reaches_a_job(desk: desks.Desk) -> None:
    """A job holds its three descriptors, so not the one by which anything can be started, and no ignored signal."""
    placement = desk.python("import os; print(sorted(int(name) for name in os.listdir('/proc/self/fd')))")
    desk.run(placement)
    assert desk.log(placement) == "[0, 1, 2, 3]\n"  # 3 is the listing itself
    grep = desk.place("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
    desk.run(grep)
    assert [int(line.split()[1], 16) for line in desk.log(grep).splitlines()] == [0, 0]


def test_killed(desk: desks.Desk) -> None:
    """When it is killed its runners go on, the next start makes another, and no zombie stays."""
    placement = desk.place("sh", "-c", "mkfifo gate; echo up; read x < gate; exit 4")
    desk.adapter.submit(placement)
    desk.wait_log(placement, "up")
    first = _starter()
    os.kill(first, signal.SIGKILL)
    conftest.until("it is dead", lambda: "Z" in pathlib.Path(f"/proc/{first}/stat").read_text().rpartition(")")[2])
    assert desk.run(desk.place("true")).succeeded
    assert _starter() != first
    assert _gone(first)
    with open(desk.attempt(placement) / "w/0/gate", "w") as gate:
        gate.write("go\n")
    outcome = desk.ended(placement)
    assert (outcome.kind, outcome.exit_code) == (jobs.OutcomeKind.EXITED, 4)


def test_ends_with_its_process(desk: desks.Desk) -> None:
    """It ends when the process that made it is killed, and the runner does not."""
    placement = desk.place("sh", "-c", "mkfifo gate; echo up; read x < gate; exit 4")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            desk.fresh().submit(placement)
            os.write(writer, b"%d" % _starter())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(writer)
    starter = int(os.read(reader, 20))
    os.close(reader)
    conftest.until("the starter is gone", lambda: _gone(starter))
    desk.wait_log(placement, "up")
    assert attempts.lock_holder(str(desk.attempt(placement) / "0"))
    with open(desk.attempt(placement) / "w/0/gate", "w") as gate:
        gate.write("go\n")
    assert desk.ended(placement).exit_code == 4
