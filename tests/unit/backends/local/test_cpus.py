"""CPUs that are enforced: by quota where control groups are, by whole CPUs elsewhere, and said where by neither."""

import collections.abc
import os
import pathlib
import socket

import pytest

from backends.local import limits, settings
from orchestrator.domain import jobs, sites
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

CPUS = sorted(os.sched_getaffinity(0))
BUSY = """
import os, time
begun, end = time.monotonic(), time.monotonic() + 1
for _ in range(3):
    if os.fork() == 0:
        while time.monotonic() < end: pass
        os._exit(0)
for _ in range(3): os.wait()
used = os.times()
print((used.children_user + used.children_system) / (time.monotonic() - begun))
"""
"""Prints how many CPUs three busy processes had, on average of a second. Others on the machine can only lower it."""
WHERE = "import os; print(sorted(os.sched_getaffinity(0)), flush=True); os.read(os.open('go', os.O_RDONLY), 1)"


def quota() -> bool:
    """Whether CPU time can be held here."""
    return limits.limits(settings.LocalSettings.read({}), "/nowhere").cpus is limits.Cpus.QUOTA


needs_quota = pytest.mark.skipif(not quota(), reason="no usable cpu controller of control groups, or not root")
needs_two = pytest.mark.skipif(len(CPUS) < 2, reason="with one CPU there is nothing to hold")


@pytest.fixture(autouse=True)
def runner(runner_binary: pathlib.Path) -> None:
    """Make sure that the compiled runner is there."""


@pytest.fixture
def desk() -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk that leaves no group behind."""
    with desks.desk() as made:
        yield made
        held = made.adapter._ready().limits
    for parent in filter(None, (held.parent, held.cpu_parent)):
        assert not [name for name in os.listdir(parent) if name.startswith(held.prefix)]


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[desks.Desk]:
    """A machine without control groups, with no CPU taken."""

    def free() -> bool:
        for cpu in CPUS:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(f"\0comity-cpu-{cpu}")
                except OSError:
                    return False
        return True

    conftest.until("no CPU is taken by others", free)
    monkeypatch.setattr(limits, "parents", lambda mountinfo, own, controller: iter(()))
    with desks.desk() as made:
        yield made


def asks(cpu_milli: int, memory_bytes: int = 0) -> jobs.Resources:
    """A request for CPUs."""
    return jobs.Resources(cpu_milli=cpu_milli, memory_bytes=memory_bytes)


@needs_quota
@needs_two
@pytest.mark.parametrize(("asked", "most"), [(1000, 1.25), (500, 0.75)])
def test_quota_holds(desk: desks.Desk, asked: int, most: float) -> None:
    """A job has no more time than it asked for, however many processes it starts, and whether or not others work."""
    assert "cpuEnforcement: quota" in desk.adapter.offers()[0].detail
    placement = desk.python(BUSY, resources=asks(asked, 64 * 2**20))
    assert desk.run(placement).succeeded
    assert float(desk.log(placement)) <= most


@needs_quota
def test_quota_is_the_kernels(desk: desks.Desk) -> None:
    """The kernel has the figure, and the job and its children are in the group, from the first instruction on."""
    program = "import os; os.mkfifo('go')\nos.fork() and print(os.getpid(), flush=True); open('go').read()"
    placement = desk.python(program, resources=asks(1500))
    desk.adapter.submit(placement)
    desk.wait_log(placement, "\n")
    held = desk.adapter._ready().limits
    group = pathlib.Path(f"{held.cpu_parent}/{held.prefix}-{placement.key}-0")
    both = (group / "cpu.max", group / "cpu.cfs_quota_us")
    assert next(file for file in both if file.exists()).read_text().split()[0] == "150000"
    assert len((group / "cgroup.procs").read_text().split()) == 2


@needs_quota
@needs_two
def test_each_rank_has_its_own(desk: desks.Desk) -> None:
    """Each rank of a gang is held to its own part."""
    placement = desk.python(BUSY, nodes=2, resources=asks(500))
    assert desk.run(placement).succeeded
    assert all(float(desk.log(placement, node=rank)) <= 0.75 for rank in range(2))


@needs_quota
@pytest.mark.parametrize("asked", [0, 10, limits.HELD_MILLI - 1])
def test_next_to_nothing_is_not_held(desk: desks.Desk, asked: int) -> None:
    """A job that asks for less than a tenth of a CPU pays for no group."""
    placement = desk.place("true", resources=asks(asked))
    assert desk.run(placement).succeeded
    assert b"cgroup=" not in (desk.attempt(placement) / "0" / "spec").read_bytes()


def test_more_declared_than_there_are() -> None:
    """Where the settings believe in more CPUs than there are, nobody is held, the offer says so, and jobs run."""
    with desks.desk(sites.Pool("host", cpu_milli=64_000), overcommit=True) as desk:
        offer = desk.adapter.offers()[0]
        assert offer.total.cpu_milli == 64_000
        assert "cpuEnforcement: none" in offer.detail
        placement = desk.place("true", resources=asks(32_000))
        assert desk.run(placement).succeeded
        spec = (desk.attempt(placement) / "0" / "spec").read_bytes()
        assert b"cgroup=" not in spec
        assert b"own_cpus=" not in spec


def test_off_says_so() -> None:
    """Where nothing is to be held the offer says it."""
    with desks.desk(limits="off") as desk:
        assert "cpuEnforcement: none" in desk.adapter.offers()[0].detail


def test_own_cpus(bound: desks.Desk) -> None:
    """Without groups each job has whole CPUs of its own; who finds none free runs anywhere; an end frees them."""
    assert "cpuEnforcement: affinity" in bound.adapter.offers()[0].detail
    begun = []
    for _ in CPUS:
        begun.append(bound.python(f"import os; os.mkfifo('go')\n{WHERE}", resources=asks(1000)))
        bound.adapter.submit(begun[-1])
    got = [bound.wait_log(one, "]").strip() for one in begun]
    assert sorted(got) == sorted(f"[{cpu}]" for cpu in CPUS)
    late = bound.python("import os; print(sorted(os.sched_getaffinity(0)))", resources=asks(1000))
    assert bound.run(late).succeeded
    assert bound.log(late).strip() == str(CPUS)
    (bound.attempt(begun[0]) / "w" / "0" / "go").write_text("x")
    assert bound.ended(begun[0]).succeeded
    again = bound.python("import os; print(sorted(os.sched_getaffinity(0)))", resources=asks(1000))
    assert bound.run(again).succeeded
    assert bound.log(again).strip() == got[0]


@needs_two
def test_own_cpus_of_a_killed_supervisor(bound: desks.Desk) -> None:
    """The CPUs of a job whose supervisor was killed are free again."""
    everything = asks(1000 * len(CPUS))
    first = bound.python(f"import os; os.mkfifo('go')\n{WHERE}", resources=everything)
    bound.adapter.submit(first)
    bound.wait_log(first, "]")
    store = bound.adapter._ready().store
    os.kill(store.ranks(store.read(str(first.key)))[0].pid, 9)  # type: ignore[arg-type]
    bound.ended(first)
    second = bound.place("true", resources=everything)
    assert bound.run(second).succeeded
    assert f"own_cpus={','.join(map(str, CPUS))}\n" in (bound.attempt(second) / "0" / "started").read_text()


def test_fractions_without_groups(bound: desks.Desk) -> None:
    """Less than a CPU is not bound; more is bound to as many as hold it."""
    held = bound.adapter._ready().limits
    assert [held.own_cpus(asked) for asked in (0, 100, 999, 1000, 1001, 2500)] == [0, 0, 0, 1, 2, 3]
    assert held.paths("k", 2, 0, 2000) == ()


def test_files_of_both_versions(tmp_path: pathlib.Path) -> None:
    """Version 2 has one group for both; version 1 one for each; a group that would hold nothing is an error."""
    two, memory, cpu = tmp_path / "two", tmp_path / "memory", tmp_path / "cpu"
    files = {
        two: ("memory.max", "memory.swap.max", "cpu.max"),
        memory: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        cpu: ("cpu.cfs_period_us", "cpu.cfs_quota_us"),
    }
    for group, names in files.items():
        group.mkdir()
        for name in names:
            (group / name).touch()
    limits.make([str(group) for group in files], 2**26, 1500)
    read = {name: (group / name).read_text() for group, names in files.items() for name in names}
    assert read == {
        "memory.max": str(2**26),
        "memory.swap.max": "0",
        "cpu.max": "150000 100000",
        "memory.limit_in_bytes": str(2**26),
        "memory.memsw.limit_in_bytes": str(2**26),
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
    }
    with pytest.raises(FileNotFoundError):
        limits.make([str(tmp_path / "bare")], 2**26, 1500)
    both = limits.Limits("/m", "/c", "p", limits.Cpus.QUOTA)
    assert both.paths("k", 2, 1, 1000) == ("/m/p-k-0", "/c/p-k-0", "/m/p-k-1", "/c/p-k-1")
    assert both.paths("k", 1, 1, 99) == ("/m/p-k-0",)
    assert limits.Limits("/m", "/m", "p", limits.Cpus.QUOTA).paths("k", 1, 1, 1000) == ("/m/p-k-0",)


def test_born_in_its_group(attempt: conftest.Attempt) -> None:
    """A job whose group is of version 2 begins in it."""
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    root = next((pathlib.Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    if root is None or os.geteuid() != 0:
        pytest.skip("no control groups of version 2, or not root")
    group = root / f"comity-test-{attempt.folder.parent.name}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"{root}: {error.strerror}")
    ended = attempt.write("cat", "/proc/self/cgroup", cgroup=group).run()
    assert (ended["reason"], ended["code"]) == ("exited", "0")
    assert f"/{group.name}\n" in attempt.log()
    assert not group.exists()
