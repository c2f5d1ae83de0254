"""Memory that is enforced: real jobs in real control groups where the machine has them, and what is said elsewhere."""

import collections.abc
import os
import pathlib
import signal

import pytest

from backends.local import limits, settings
from orchestrator.domain import errors, jobs, offers
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

MIB = 2**20
KIND = jobs.OutcomeKind
TAKE = "import sys; kept = bytearray({size}); kept[::4096] = b'x' * len(kept[::4096]); print('took it', flush=True)"


def usable() -> bool:
    """Whether groups can be made here."""
    return bool(limits.limits(settings.LocalSettings.read({}), "/nowhere").parent)


needs_groups = pytest.mark.skipif(not usable(), reason="no usable memory controller of control groups, or not root")


@pytest.fixture(autouse=True)
def runner(runner_binary: pathlib.Path) -> None:
    """Make sure that the compiled runner is there."""


@pytest.fixture
def desk() -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk that must enforce, and leaves no group behind."""
    with desks.desk(limits="required") as made:
        yield made
        prefix = groups(made)
    assert not [name for name in os.listdir(prefix.parent) if name.startswith(prefix.name)]


def groups(desk: desks.Desk) -> pathlib.Path:
    """The folder and the beginning of the names of a desk's groups."""
    found = desk.adapter._ready().limits
    return pathlib.Path(found.parent, found.prefix)


def asks(mib: int) -> jobs.Resources:
    """A request for memory."""
    return jobs.Resources(memory_bytes=mib * MIB)


@needs_groups
def test_beyond_its_memory(desk: desks.Desk) -> None:
    """A job that takes more than it asked for is OUT_OF_MEMORY, also for whoever comes later; its group is gone."""
    placement = desk.python(TAKE.format(size=256 * MIB), resources=asks(64))
    outcome = desk.run(placement)
    assert (outcome.kind, outcome.signal) == (KIND.OUT_OF_MEMORY, signal.SIGKILL)
    assert "asked for" in outcome.detail
    assert "took it" not in desk.log(placement)
    seen = desk.look(placement).outcome
    assert seen is not None
    assert seen.kind is KIND.OUT_OF_MEMORY


@needs_groups
def test_within_its_memory(desk: desks.Desk) -> None:
    """A job within its memory is left alone, and so is one that asked for none."""
    assert desk.run(desk.python(TAKE.format(size=64 * MIB), resources=asks(256))).succeeded
    free = desk.python(TAKE.format(size=256 * MIB))
    assert desk.run(free).succeeded
    assert b"cgroup=" not in (desk.attempt(free) / "0" / "spec").read_bytes()


@needs_groups
def test_descendants_count(desk: desks.Desk) -> None:
    """What a job's children take is counted, and their end is the reason for its own."""
    child = TAKE.format(size=256 * MIB)
    outcome = desk.run(desk.place("sh", "-c", f'python -I -S -c "{child}" || exit 7', resources=asks(64)))
    assert (outcome.kind, outcome.exit_code) == (KIND.OUT_OF_MEMORY, 7)


@needs_groups
@pytest.mark.parametrize("isolation", ["namespaces", "user", "none"])
def test_every_isolation(isolation: str) -> None:
    """Limits hold whatever the isolation."""
    try:
        with desks.desk(limits="required", isolation=isolation) as desk:
            # Not Python, which a user of its own may be unable to reach.
            take = "head -c 268435456 /dev/zero | tail -c 268435456 | wc -c; exit 1"
            outcome = desk.run(desk.place("sh", "-c", take, resources=asks(64)))
            assert outcome.kind is KIND.OUT_OF_MEMORY
    except errors.PermanentError as error:
        if error.code != "local.isolation-unavailable":
            raise
        pytest.skip(error.message)


@needs_groups
def test_adopted(desk: desks.Desk) -> None:
    """A job that runs on without the adapter that started it is limited, and its reason known to the next one."""
    wait = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    placement = desk.python(wait + TAKE.format(size=256 * MIB), resources=asks(64))
    desk.adapter.submit(placement)
    desk.adapter.close()
    group = pathlib.Path(f"{groups(desk)}-{placement.key}-0")
    members = conftest.until("the job is in its group", lambda: (group / "cgroup.procs").read_text().split())
    assert len(members) == 1, "the runner and the init stay outside"
    (pathlib.Path(desk.adapter._ready().store.folder(str(placement.key))) / "w" / "0" / "go").touch()
    desk.adapter = desk.fresh()
    assert desk.ended(placement).kind is KIND.OUT_OF_MEMORY
    assert not group.exists()


@needs_groups
def test_gang(desk: desks.Desk) -> None:
    """Each rank has what it asked for."""
    program = "import os\n" + TAKE.format(size="(256 if os.environ['COMITY_NODE_RANK'] == '1' else 16) * 2**20")
    outcome = desk.run(desk.python(program, nodes=2, resources=asks(64)))
    assert outcome.kind is KIND.OUT_OF_MEMORY
    assert outcome.detail.startswith("node 1")


@needs_groups
def test_killed_runner_leaves_no_group(desk: desks.Desk) -> None:
    """Where the runner was killed its group is removed by whoever sees that."""
    placement = desk.place("sleep", "60", resources=asks(64))
    desk.adapter.submit(placement)
    group = pathlib.Path(f"{groups(desk)}-{placement.key}-0")
    rank = desk.adapter._ready().store.ranks(desk.adapter._ready().store.read(str(placement.key)))[0]  # type: ignore[arg-type]
    assert group.is_dir()
    os.kill(rank.pid, signal.SIGKILL)
    assert desk.ended(placement).kind is KIND.LOST
    conftest.until("nobody is left in it", lambda: not group.exists() or not (group / "cgroup.procs").read_text())
    desk.adapter.forget(desks.ref(placement))
    assert not group.exists()


def test_missing_group_is_no_start(attempt: conftest.Attempt) -> None:
    """A job whose group cannot be entered is not started without."""
    attempt.write("sh", "-c", "echo no", cgroup=attempt.folder / "no-group")
    assert attempt.start() == 15
    ended = attempt.outcome()
    assert (ended["reason"], ended["step"], ended["errno"]) == ("setup-failed", "cgroup", "2")
    assert attempt.log() == ""


def test_group_that_refuses_is_no_start(attempt: conftest.Attempt) -> None:
    """Nor is one whose group refuses it."""
    group = attempt.folder / "group"
    group.mkdir()
    (group / "cgroup.procs").symlink_to("/dev/full")
    attempt.write("sh", "-c", "echo no", cgroup=group)
    assert attempt.start() == 15
    ended = attempt.outcome()
    assert (ended["reason"], ended["step"], ended["errno"]) == ("setup-failed", "cgroup", "28")
    assert attempt.log() == ""


def test_off_says_so() -> None:
    """Where nothing is enforced the offer says it, and jobs run as before."""
    with desks.desk(limits="off") as desk:
        assert "memory is accounted, not enforced" in desk.adapter.offers()[0].detail
        assert desk.run(desk.python(TAKE.format(size=96 * MIB), resources=asks(32))).succeeded


@needs_groups
def test_enforced_says_nothing(desk: desks.Desk) -> None:
    """Where memory is enforced nothing is said."""
    assert "accounted" not in desk.adapter.offers()[0].detail
    assert desk.adapter.observe([desks.ref(desk.place("true"))])[0].state is offers.ObservedState.GONE


def test_required_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Required limits are kept or refused; auto says why not."""
    monkeypatch.setattr(limits, "parents", lambda mountinfo, own, controller: iter(["/nowhere"]))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(errors.PermanentError, match=r"local\.limits-unavailable"):
        limits.limits(settings.LocalSettings.read({"limits": "required"}), "/x")
    assert "No such file" in limits.limits(settings.LocalSettings.read({}), "/x").detail


def test_parents(tmp_path: pathlib.Path) -> None:
    """Version 1: the own group. Version 2: it, then the one around it; a mount of a part begins at its root."""
    (tmp_path / "m" / "own").mkdir(parents=True)
    (tmp_path / "u" / "slice" / "unit").mkdir(parents=True)
    lines = (
        f"1 2 0:1 / {tmp_path}/m rw - cgroup cgroup rw,memory\n"
        f"2 2 0:1 / {tmp_path}/c rw - cgroup cgroup rw,cpu\n"
        f"3 2 0:1 /box {tmp_path}/u rw shared:9 - cgroup2 cgroup2 rw\n"
    )
    found = list(limits.parents(lines, "4:memory:/own\n3:cpu:/\n0::/box/slice/unit\n"))
    assert found == [f"{tmp_path}/m/own", f"{tmp_path}/u/slice/unit", f"{tmp_path}/u/slice"]
    assert list(limits.parents(lines, "4:memory:/other\n")) == [f"{tmp_path}/m"]
