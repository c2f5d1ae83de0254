"""Groups made in advance: the second job that asks is started inside, is held as the first was, and leaves nothing."""

import collections.abc
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from backends.local import limits, seats, settings
from orchestrator.domain import jobs
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

MIB = 2**20
TAKE = "kept = bytearray(256 * 2**20); kept[::4096] = b'x' * len(kept[::4096]); print('took it')"
MEMBERS = "import os; os.mkfifo('go'); print('here', flush=True); open('go').read()"


def needed() -> bool:
    """Whether groups are usable here and of version 1."""
    found = limits.limits(settings.LocalSettings.read({}), "/nowhere")
    return bool(found.parent) and not os.path.exists(f"{found.parent}/cgroup.controllers")


pytestmark = pytest.mark.skipif(not needed(), reason="no usable memory controller of version 1, or not root")


def ours(desk: desks.Desk) -> list[str]:
    """The groups of this desk that are there."""
    held = desk.adapter._ready().limits
    parents = dict.fromkeys(filter(None, (held.parent, held.cpu_parent)))
    return [f"{one}/{name}" for one in parents for name in os.listdir(one) if name.startswith(held.prefix)]


def kept(desk: desks.Desk) -> list[str]:
    """Those that are nobody's yet."""
    return [path for path in ours(desk) if f"-{limits.SEAT}-" in path]


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk with a seat for each kind of job in the tests."""
    with desks.desk() as made:
        for resources in (MEMORY, BOTH):
            assert made.run(made.place("true", resources=resources)).succeeded
        assert len(kept(made)) == 3
        yield made
        made.adapter.close()
        conftest.until("no group is left", lambda: not ours(made))


MEMORY = jobs.Resources(memory_bytes=64 * MIB)
BOTH = jobs.Resources(memory_bytes=64 * MIB, cpu_milli=1000)


def inside(path: str) -> list[str]:
    """The names of the processes in a group."""
    pids = pathlib.Path(path, "cgroup.procs").read_text().split()
    return [pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


@pytest.mark.parametrize("resources", [MEMORY, BOTH])
def test_started_inside(desk: desks.Desk, resources: jobs.Resources) -> None:
    """A job takes the groups that are there, with their process, and the next seat is made."""
    mine = {os.stat(path).st_ino for path in kept(desk)}
    placement = desk.python(MEMBERS, resources=resources)
    desk.adapter.submit(placement)
    desk.wait_log(placement, "here")
    store = desk.adapter._ready().store
    attempt = store.read(str(placement.key))
    assert attempt is not None
    for path in attempt.cgroups:
        assert os.stat(path).st_ino in mine
        conftest.until("nobody else is inside", lambda path=path: len(inside(path)) == 3)  # type: ignore[misc]
        assert sorted(inside(path)) == ["comity-init", "comity-runner", "python"]
    (desk.attempt(placement) / "w" / "0" / "go").write_text("x")
    assert desk.ended(placement).succeeded
    conftest.until("its groups are gone", lambda: not any(map(os.path.exists, attempt.cgroups)))
    assert len(kept(desk)) == 3


@pytest.mark.parametrize("resources", [MEMORY, BOTH])
def test_held_as_ever(desk: desks.Desk, resources: jobs.Resources) -> None:
    """What takes more than it asked for is killed, and that is the reason it ended."""
    outcome = desk.run(desk.python(TAKE, resources=resources))
    assert (outcome.kind, outcome.signal) == (jobs.OutcomeKind.OUT_OF_MEMORY, signal.SIGKILL)


def test_killed_runner(desk: desks.Desk) -> None:
    """A killed supervisor's groups are removed by whoever sees that, or forgets the attempt."""
    placement = desk.place("sleep", "600", resources=BOTH)
    desk.adapter.submit(placement)
    store = desk.adapter._ready().store
    attempt = store.read(str(placement.key))
    assert attempt is not None
    os.kill(store.ranks(attempt)[0].pid, signal.SIGKILL)
    assert desk.ended(placement).kind is jobs.OutcomeKind.LOST
    conftest.until("nobody is inside", lambda: not any(os.path.exists(one) and inside(one) for one in attempt.cgroups))
    desk.adapter.forget(desks.ref(placement))
    assert not any(map(os.path.exists, attempt.cgroups))


def test_killed_seat(desk: desks.Desk) -> None:
    """Where the process of a seat was killed the job starts without."""
    for path in kept(desk):
        for pid in pathlib.Path(path, "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        conftest.until("it is empty", lambda path=path: not inside(path))  # type: ignore[misc]
    outcome = desk.run(desk.python(TAKE, resources=BOTH))
    assert outcome.kind is jobs.OutcomeKind.OUT_OF_MEMORY


KILLED = """
import os, pathlib, signal, sys
from orchestrator.domain import jobs
from tests.unit.backends.local import desk as desks

desk = desks.Desk.__new__(desks.Desk)
desk.root, desk.folder = map(pathlib.Path, sys.argv[1:3])
desk.values, desk.pools, desk._count = {}, (), 500
adapter = desk.fresh()
adapter.submit(desk.place("true", resources=jobs.Resources(memory_bytes=64 * 2**20)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_server(desk: desks.Desk) -> None:
    """``kill -9`` of a server leaves no process waiting, and the next one removes its empty groups."""
    program = [sys.executable, "-c", KILLED, str(desk.root), str(desk.folder)]
    before = set(kept(desk))
    assert subprocess.run(program, cwd=conftest.REPOSITORY, check=False).returncode == -signal.SIGKILL
    assert set(kept(desk)) >= before
    held = desk.adapter._ready().limits

    def cleaned() -> bool:
        seats.clean(held.prefix, (held.parent, held.cpu_parent))
        return set(kept(desk)) == before

    conftest.until("what it left is gone", cleaned)


def test_hardly_any_memory(desk: desks.Desk) -> None:
    """A job with less memory than a runner should share takes no seat."""
    before = {os.stat(path).st_ino for path in kept(desk)}
    desk.run(desk.place("true", resources=jobs.Resources(memory_bytes=MIB)))
    assert {os.stat(path).st_ino for path in kept(desk)} == before
