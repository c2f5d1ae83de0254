"""What goes wrong between us, a real server and its worker: nothing runs twice, nothing is called lost that is not."""

import dataclasses
import datetime as dt
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable

import comity_hyperqueue
import pytest
import servers
from comity_hyperqueue import adapter as adapters
from comity_hyperqueue import client

from orchestrator.domain import errors, ids, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.settings import adapters as settings

State = offers.ObservedState
Kind = jobs.OutcomeKind
FENCE = backends.Fence(ids.Term(1), 1)
DEADLINE_S = 60.0


def built(folder: pathlib.Path, **more: object) -> adapters.HyperqueueAdapter:
    """Return an adapter for the server of a test."""
    given = {"serverDir": str(folder / "server"), "folder": str(folder / "shared"), "cpus": 8, "python": sys.executable}
    context = backends.AdapterContext("b", (sites.Pool("p"),), str(folder), "here", lambda: dt.datetime.now(dt.UTC))
    return comity_hyperqueue.plugin.build({**given, **more}, context)


def placed(script: str, *, number: int = 1, cpu_milli: int = 100, **more: object) -> backends.SealedPlacement:
    """Return a placement of a shell script."""
    job = ids.JobId("01JOB00000000000000000000A")
    spec = jobs.JobSpec(name="t", command=("/bin/sh", "-c", script), resources=jobs.Resources(cpu_milli, 0))
    made = backends.SealedPlacement(
        key=ids.attempt_key(job, number),
        job=job,
        tenant="t",
        number=number,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=spec,
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=FENCE,
    )
    return dataclasses.replace(made, **more)


def look(adapter: adapters.HyperqueueAdapter, placement: backends.SealedPlacement) -> backends.Observation:
    """Return what is seen of an attempt."""
    (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
    return seen


def until(what: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def ended(adapter: adapters.HyperqueueAdapter, placement: backends.SealedPlacement) -> jobs.Outcome:
    """Return how an attempt ended."""
    until(lambda: look(adapter, placement).state is State.ENDED)
    outcome = look(adapter, placement).outcome
    assert outcome is not None
    return outcome


def running(adapter: adapters.HyperqueueAdapter, placement: backends.SealedPlacement) -> None:
    """Wait until an attempt runs."""
    until(lambda: look(adapter, placement).state is State.RUNNING)


def folder_of(folder: pathlib.Path, placement: backends.SealedPlacement) -> pathlib.Path:
    """Return the attempt's folder."""
    (found,) = (folder / "shared").glob(f"comity-*/{placement.key}")
    return found


def wrapper(placement: backends.SealedPlacement) -> int:
    """Return the process that serves an attempt."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[2:3] and words[2].endswith(f"/{placement.key}".encode()):
                return int(entry.name)
    raise AssertionError("nobody serves it")


def alive(pid: int) -> bool:
    """Say whether a process is there, and no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def log(adapter: adapters.HyperqueueAdapter, placement: backends.SealedPlacement) -> bytes:
    """Return all that an attempt wrote."""
    ref = backends.AttemptRef(placement.key)
    return b"".join(chunk.data for chunk in adapter.read_logs(ref, cursor=None, node=None, limit=1 << 20)[0])


def test_a_task_that_is_queued_twice_runs_once(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """The reply was lost and the number of the job with it: the next submit queues another, and one claims."""
    adapter, placement = built(tmp_path), placed(f"echo x >> {tmp_path}/ran; sleep 1")
    adapter.submit(placement)
    (folder_of(tmp_path, placement) / "job.json").unlink()
    adapter.submit(placement)
    client.Client(str(tmp_path / "server")).submit(
        "again", [sys.executable, str(pathlib.Path(adapters.__file__).with_name("task.py")),
                  str(folder_of(tmp_path, placement))], str(tmp_path), 0.1,
    )  # fmt: skip
    assert ended(adapter, placement).exit_code == 0
    last = placed("true", number=2)
    adapter.submit(last)
    ended(adapter, last)
    assert (tmp_path / "ran").read_text() == "x\n"


def test_a_control_plane_that_dies_before_it_queued_leaves_nothing_that_may_start(
    server: servers.Server, tmp_path: pathlib.Path
) -> None:
    """The folder is there and no job: the attempt is closed, and one who submits it late is refused."""
    adapter, placement = built(tmp_path), placed(f"touch {tmp_path}/ran")
    adapter.submit(dataclasses.replace(placement, spec=placed("sleep 60").spec, key=ids.AttemptKey("other-1")))
    source = folder_of(tmp_path, dataclasses.replace(placement, key=ids.AttemptKey("other-1")))
    made = source.with_name(str(placement.key))
    made.mkdir()
    (made / "spec.json").write_text((source / "spec.json").read_text())
    seen = look(adapter, placement)
    assert (seen.state, seen.outcome and seen.outcome.kind) == (State.ENDED, Kind.LOST)
    assert "never queued" in (seen.outcome.detail if seen.outcome else "")
    assert look(adapter, placement) == seen
    with pytest.raises(errors.BackendError):
        client.Client(str(tmp_path / "nowhere")).server()
    adapter.stop(backends.AttemptRef(ids.AttemptKey("other-1")), FENCE, dt.timedelta(0))
    assert not (tmp_path / "ran").exists()


def test_what_waited_at_a_server_that_died_is_over(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """Its queue is gone with it. While it is down nothing is known; the next server starts with job 1 again."""
    adapter = built(tmp_path)
    first, second = placed("sleep 600", cpu_milli=8000), placed("true", number=2, cpu_milli=8000)
    adapter.submit(first)
    running(adapter, first)
    adapter.submit(second)
    assert look(adapter, second).state is State.QUEUED
    server.kill()
    (tmp_path / "server" / "hq-current").rename(tmp_path / "server" / "kept")
    assert look(adapter, second).state is State.UNKNOWN
    with pytest.raises(errors.TransientError) as caught:
        adapter.submit(placed("true", number=3))
    assert (caught.value.code, caught.value.effects) == ("hyperqueue.unreachable", errors.SideEffects.NONE)
    (tmp_path / "server" / "kept").rename(tmp_path / "server" / "hq-current")
    server.start()
    outcome = ended(adapter, second)
    assert (outcome.kind, "its queue with it" in outcome.detail) == (Kind.LOST, True)
    third = placed("true", number=3)
    adapter.submit(third)
    assert ended(adapter, third).exit_code == 0
    assert look(adapter, second).outcome == outcome
    adapter.stop(backends.AttemptRef(first.key), FENCE, dt.timedelta(0))


def test_a_worker_that_dies_ends_what_it_ran(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """Nobody of us asked for it, so it is told as what it is."""
    adapter, placement = built(tmp_path), placed("sleep 600")
    adapter.submit(placement)
    running(adapter, placement)
    server.kill()
    outcome = ended(adapter, placement)
    assert (outcome.kind, "its worker ended it" in outcome.detail) == (Kind.PREEMPTED, True)


def test_without_a_sign_of_life_and_with_another_server_it_is_lost(
    server: servers.Server, tmp_path: pathlib.Path
) -> None:
    """Not before the time that the task itself keeps; and then for good."""
    adapter, placement = built(tmp_path, lostAfterSeconds=12), placed("sleep 600")
    adapter.submit(placement)
    running(adapter, placement)
    served = wrapper(placement)
    os.kill(served, signal.SIGSTOP)
    server.kill()
    server.start()
    assert look(adapter, placement).state in (State.RUNNING, State.UNKNOWN)
    os.kill(served, signal.SIGKILL)
    outcome = ended(adapter, placement)
    assert (outcome.kind, "no sign of life" in outcome.detail) == (Kind.LOST, True)
    assert look(adapter, placement).outcome == outcome


def test_a_killed_wrapper_is_told_by_the_server(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """The server knows that the task ended; nothing that it started goes on."""
    adapter, placement = built(tmp_path), placed("sleep 600 & echo $!; wait")
    adapter.submit(placement)
    until(lambda: log(adapter, placement).endswith(b"\n"))
    grandchild = int(log(adapter, placement))
    os.kill(wrapper(placement), signal.SIGKILL)
    outcome = ended(adapter, placement)
    until(lambda: not alive(grandchild))
    assert (outcome.kind, "it wrote no end" in outcome.detail) == (Kind.LOST, True)
    assert not adapter.list_owned()


def test_a_frozen_wrapper_is_not_lost(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """No sign of life from a task that its server still has: nobody knows, until it goes on."""
    adapter, placement = built(tmp_path), placed("sleep 1; exit 4")
    adapter.submit(placement)
    running(adapter, placement)
    served = wrapper(placement)
    os.kill(served, signal.SIGSTOP)
    try:
        until(lambda: look(adapter, placement).state is State.UNKNOWN)
    finally:
        os.kill(served, signal.SIGCONT)
    assert ended(adapter, placement).exit_code == 4


def test_a_worker_without_that_python_is_a_start_that_failed(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """The task never began: the server's words are the reason."""
    adapter, placement = built(tmp_path, python="/nowhere/python3"), placed("true")
    adapter.submit(placement)
    outcome = ended(adapter, placement)
    assert outcome.kind is Kind.START_FAILED
    assert "/nowhere/python3" in outcome.detail
    assert look(adapter, placement).outcome == outcome


def test_a_command_that_is_not_there_is_a_start_that_failed(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """Told by the task itself."""
    adapter, placement = built(tmp_path), placed("true")
    lacking = dataclasses.replace(placement.spec, command=("/nowhere/program",))
    adapter.submit(dataclasses.replace(placement, spec=lacking))
    outcome = ended(adapter, placement)
    assert (outcome.kind, "/nowhere/program" in outcome.detail) == (Kind.START_FAILED, True)


def test_limits_are_kept_without_us(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """A deadline ends it, a signal of its own is told, what it writes beyond the bound is dropped."""
    adapter = built(tmp_path, logBytesMax=1000)
    late = placed("trap '' TERM; sleep 600", time_limit=dt.timedelta(seconds=1), stop_grace=dt.timedelta(seconds=1))
    killed, loud = placed("kill -ABRT $$", number=2), placed("head -c 100000 /dev/zero; exit 3", number=3)
    for placement in (late, killed, loud):
        adapter.submit(placement)
    assert ended(adapter, late).kind is Kind.TIMED_OUT
    assert (ended(adapter, killed).kind, ended(adapter, killed).signal) == (Kind.SIGNALED, 6)
    assert ended(adapter, loud).exit_code == 3
    assert len(log(adapter, loud)) == 1000


def test_grace_is_given_and_ends(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """One who is asked may tidy up; one who does not listen is killed."""
    adapter = built(tmp_path)
    polite = placed("trap 'echo tidy; exit 0' TERM; echo up; sleep 600 & wait")
    deaf = placed("trap '' TERM; echo up; while :; do sleep 1; done", number=2)
    for placement in (polite, deaf):
        adapter.submit(placement)
        until(lambda: log(adapter, placement) == b"up\n")  # noqa: B023
    adapter.stop(backends.AttemptRef(polite.key), FENCE, dt.timedelta(seconds=30))
    adapter.stop(backends.AttemptRef(deaf.key), FENCE, dt.timedelta(seconds=1))
    assert {ended(adapter, polite).kind, ended(adapter, deaf).kind} == {Kind.STOPPED}
    assert log(adapter, polite) == b"up\ntidy\n"


def test_room_is_what_is_left(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """What waits and runs is subtracted, and given back."""
    adapter, placement = built(tmp_path), placed("sleep 600", cpu_milli=3000)
    adapter.submit(placement)
    (offer,) = adapter.offers()
    assert (offer.free.cpu_milli, offer.total.cpu_milli, offer.counted) == (5000, 8000, {placement.key})
    adapter.stop(backends.AttemptRef(placement.key), FENCE, dt.timedelta(0))
    ended(adapter, placement)
    assert adapter.offers()[0].free.cpu_milli == 8000


def test_bad_input_says_what_and_where(server: servers.Server, tmp_path: pathlib.Path) -> None:
    """Settings all at once; a NUL, no command, a key that leads outside; a record that somebody wrote over."""
    with pytest.raises(settings.SettingsError) as caught:
        built(tmp_path, serverDir="here", cpus=0)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["serverDir", "cpus"]
    adapter = built(tmp_path)
    for bad in (("/bin/echo", "a\0b"), ()):
        spec = dataclasses.replace(placed("true").spec, command=bad)
        with pytest.raises(errors.PermanentError, match="command"):
            adapter.submit(dataclasses.replace(placed("true"), spec=spec))
    outside = backends.AttemptRef(ids.AttemptKey("../../etc"))
    with pytest.raises(errors.PermanentError, match="no key"):
        adapter.stop(outside, FENCE, dt.timedelta(0))
    good = placed("sleep 600")
    adapter.submit(good)
    running(adapter, good)
    spoilt = folder_of(tmp_path, good).with_name("spoilt-1")
    spoilt.mkdir()
    (spoilt / "end.json").write_text(json.dumps({"kind": "fine"}))
    seen = adapter.observe([outside, backends.AttemptRef(ids.AttemptKey("spoilt-1")), backends.AttemptRef(good.key)])
    assert [one.state for one in seen] == [State.UNKNOWN, State.UNKNOWN, State.RUNNING]
    adapter.stop(backends.AttemptRef(good.key), FENCE, dt.timedelta(0))
    ended(adapter, good)
