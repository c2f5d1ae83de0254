"""What survives the death of the control plane, of a supervisor, of the machine."""

import collections.abc
import os
import pathlib
import signal
import subprocess

import pytest

from backends.local import attempts, client
from orchestrator.domain import errors, jobs, offers
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

KIND = jobs.OutcomeKind
STATE = offers.ObservedState


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk() as made:
        yield made


def test_submitter_killed(desk: desks.Desk) -> None:
    """A job goes on when the process that submitted it is killed, and a fresh adapter learns how it ended."""
    placement = desk.place("sh", "-c", "mkfifo gate; echo up; read x < gate; echo through; exit 4")
    pid = os.fork()
    if pid == 0:
        desk.fresh().submit(placement)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    desk.wait_log(placement, "up")
    assert desk.look(placement).state is STATE.RUNNING
    assert [one.key for one in desk.fresh().list_owned()] == [placement.key]
    with open(desk.attempt(placement) / "w/0/gate", "w") as gate:
        gate.write("go\n")
    outcome = desk.ended(placement)
    assert (outcome.kind, outcome.exit_code) == (KIND.EXITED, 4)
    assert "through" in desk.log(placement)


def test_died_before_the_spawn(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was named and never started is GONE, and the same key starts it."""

    class Died(BaseException):
        pass

    def dying(folders: list[str], **_: object) -> list[client.Started]:
        raise Died

    placement = desk.place("echo", "hello")
    with monkeypatch.context() as patch:
        patch.setattr(client, "start", dying)
        with pytest.raises(Died):
            desk.adapter.submit(placement)
    assert desk.look(placement).state is STATE.GONE
    assert desk.run(placement).succeeded
    assert desk.log(placement) == "hello\n"


@pytest.mark.parametrize("torn", ["attempt.json", "0/spec"])
def test_torn_by_a_power_cut(desk: desks.Desk, torn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose content a power cut took is prepared once more."""
    placement = desk.place("echo", "hello")
    with monkeypatch.context() as patch:
        patch.setattr(client, "start", lambda folders, **_: [client.Started(0, "")])
        desk.adapter.submit(placement)
    (desk.attempt(placement) / torn).write_bytes(b"")
    assert desk.look(placement).state is STATE.GONE
    desk.fresh().submit(placement)
    assert desk.ended(placement).succeeded


def test_supervisor_killed(desk: desks.Desk) -> None:
    """An attempt whose supervisor was killed is LOST, and nothing of it runs."""
    placement = desk.place("sleep", "985")
    desk.adapter.submit(placement)
    pid = attempts.lock_holder(str(desk.attempt(placement) / "0"))
    assert pid
    os.kill(pid, signal.SIGKILL)
    outcome = desk.ended(placement)
    assert outcome.kind is KIND.LOST
    conftest.until("its job is dead", lambda: "sleep 985" not in _processes())


def test_machine_restarted(desk: desks.Desk) -> None:
    """An attempt without an end from before the machine was started again is LOST, and says so."""
    placement = desk.place("true")
    desk.run(placement)
    rank = desk.attempt(placement) / "0"
    conftest.until("the runner is gone", lambda: attempts.lock_holder(str(rank)) is None)
    (rank / "exit").unlink()
    started = (rank / "started").read_text()
    (rank / "started").write_text(started.replace(attempts.boot_id(), "00000000-0000-0000-0000-000000000000"))
    outcome = desk.look(placement).outcome
    assert outcome is not None
    assert outcome.kind is KIND.LOST
    assert "started again" in outcome.detail


def test_out_of_memory(desk: desks.Desk) -> None:
    """A job that was killed while the machine ran out of memory is OUT_OF_MEMORY; without that hint it is a signal."""
    placement = desk.place("sh", "-c", "kill -KILL $$")
    desk.run(placement)
    record = desk.attempt(placement) / "0" / "exit"
    lines = [line for line in record.read_text().splitlines() if not line.startswith("oom_kills")]
    for kills, kind in ((0, KIND.SIGNALED), (1, KIND.OUT_OF_MEMORY)):
        record.write_text("\n".join([*lines, f"oom_kills={kills}"]) + "\n")
        outcome = desk.look(placement).outcome
        assert outcome is not None
        assert (outcome.kind, outcome.signal) == (kind, 9)


def test_runner_missing(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the runner every call says what to install."""
    monkeypatch.setattr(client.probe, "__kwdefaults__", {"runner": "/nowhere/comity-runner"})
    with pytest.raises(errors.PermanentError, match=r"local\.runner-missing"):
        desk.fresh().offers()


def test_no_descriptors_left(desk: desks.Desk) -> None:
    """A hundred verbs leave as many descriptors open as before."""
    placement = desk.place("true")
    desk.run(placement)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        desk.adapter.submit(placement)
        desk.look(placement)
        desk.log(placement)
        desk.stop(placement)
        desk.adapter.offers()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def _processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
