"""The verbs of the local adapter, on real processes."""

import collections.abc
import dataclasses
import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from backends import local
from backends.local import client
from orchestrator.domain import errors, ids, jobs, offers
from orchestrator.ports import backends
from tests.unit.backends.local import conftest
from tests.unit.backends.local import desk as desks

KIND = jobs.OutcomeKind
STATE = offers.ObservedState


@pytest.fixture(autouse=True)
def runner(runner_binary: pathlib.Path) -> None:
    """Make sure that the compiled runner is where the adapter looks for it."""
    assert str(runner_binary) == client.RUNNER


@pytest.fixture
def desk() -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk() as made:
        yield made


def test_exit_code(desk: desks.Desk) -> None:
    """A job that ends by itself is EXITED with its code, and its times are known."""
    outcome = desk.run(desk.place("sh", "-c", "exit 3"))
    assert (outcome.kind, outcome.exit_code, outcome.signal) == (KIND.EXITED, 3, None)
    assert outcome.started_at is not None
    assert outcome.ended_at is not None
    assert outcome.started_at <= outcome.ended_at


def test_signal(desk: desks.Desk) -> None:
    """A job that a signal ends is SIGNALED."""
    outcome = desk.run(desk.place("sh", "-c", "kill -SEGV $$"))
    assert (outcome.kind, outcome.exit_code, outcome.signal) == (KIND.SIGNALED, None, signal.SIGSEGV)


def test_same_key_starts_one(desk: desks.Desk) -> None:
    """The same key submitted from many threads starts one, and gives one handle."""
    placement = desk.python(
        "import os; open(os.environ['COMITY_OUTPUT_DIR'] + f'/{os.getpid()}-{id(0)}', 'x'); print('here')"
    )
    handles: list[str] = []
    threads = [threading.Thread(target=lambda: handles.append(desk.fresh().submit(placement).value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handles) == 8
    assert len(set(handles)) == 1
    assert desk.ended(placement).succeeded
    assert desk.log(placement) == "here\n"


def test_submit_after_the_end(desk: desks.Desk) -> None:
    """A key that has ended is not started again."""
    placement = desk.place("sh", "-c", "echo once")
    desk.run(placement)
    desk.fresh().submit(placement)
    assert desk.look(placement).state is STATE.ENDED
    assert desk.log(placement) == "once\n"


def test_unknown_is_gone(desk: desks.Desk) -> None:
    """A key nobody submitted is GONE, and a bad one does not poison the batch."""
    found = desk.adapter.observe([desks.ref(desk.place("true")), backends.AttemptRef(ids.AttemptKey("../../etc"))])
    assert [one.state for one in found] == [STATE.GONE, STATE.GONE]


def test_stop_before_submit(desk: desks.Desk) -> None:
    """An attempt that is stopped before it comes never starts."""
    placement = desk.place("sh", "-c", "echo no")
    desk.stop(placement)
    with pytest.raises(errors.PermanentError, match=r"local\.stopped") as refused:
        desk.adapter.submit(placement)
    assert refused.value.effects is errors.SideEffects.NONE
    outcome = desk.look(placement).outcome
    assert outcome is not None
    assert outcome.kind is KIND.STOPPED


def test_stop_is_graceful(desk: desks.Desk) -> None:
    """A stopped job may tidy up within its grace."""
    placement = desk.python(
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'tidy'), os._exit(5)))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()"
    )
    desk.adapter.submit(placement)
    desk.wait_log(placement, "up")
    assert desk.look(placement).state is STATE.RUNNING
    desk.stop(placement, grace=15)
    outcome = desk.ended(placement)
    assert (outcome.kind, outcome.exit_code) == (KIND.STOPPED, 5)
    assert "tidy" in desk.log(placement)


def test_stop_kills(desk: desks.Desk) -> None:
    """A job that ignores the grace is killed, with all its descendants."""
    placement = desk.place("sh", "-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 987' & echo up; sleep 987")
    desk.adapter.submit(placement)
    desk.wait_log(placement, "up")
    desk.stop(placement)
    assert desk.ended(placement).kind is KIND.STOPPED
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 987" not in found


def test_descendants_die_with_the_job(desk: desks.Desk) -> None:
    """What a job leaves behind dies when it ends."""
    placement = desk.place("sh", "-c", "setsid sleep 986 & exit 0")
    assert desk.run(placement).succeeded
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 986" not in found


def test_time_limit(desk: desks.Desk) -> None:
    """What is left of the deadline ends the attempt, whoever watches."""
    outcome = desk.run(desk.place("sleep", "60", time_limit=dt.timedelta(milliseconds=100)))
    assert outcome.kind is KIND.TIMED_OUT


def test_command_not_found(desk: desks.Desk) -> None:
    """A missing command says its name and where it was looked for."""
    outcome = desk.run(desk.place("no-such-program"))
    assert outcome.kind is KIND.START_FAILED
    assert "no-such-program" in outcome.detail
    assert "PATH=/" in outcome.detail


def test_refuses_what_it_does_not_do(desk: desks.Desk) -> None:
    """Images, mounts, and commands that no process can be given are refused before anything is made."""
    mounted = jobs.DataClause(reads=(jobs.DataUse("d", mount_path="/data"),))
    spec = jobs.JobSpec("test", command=("true",), data=mounted)
    placements = {
        "containers": desk.place(image="x@sha256:1"),
        "NUL": desk.place("a\0b"),
        "no command": desk.place(),
        "dataMounts": dataclasses.replace(desk.place(), spec=spec),
        "inside the working folder": desk.place("true", outputs=(jobs.Output("../x"),)),
    }
    for words, placement in placements.items():
        with pytest.raises(errors.PermanentError, match=words):
            desk.adapter.submit(placement)
        assert desk.look(placement).state is STATE.GONE


def test_variables(desk: desks.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job sees the variables of the interface and nothing of the server's own environment."""
    monkeypatch.setenv("COMITY_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    placement = desk.python(
        "import json, os; print(json.dumps(dict(os.environ)))",
        job="01JABCDEFGHJKMNPQRSTVWXYZ0[7]",
        number=2,
        environment={"COMITY_JOB_ID": "01JABCDEFGHJKMNPQRSTVWXYZ0", "COMITY_ARRAY_INDEX": "7"},
        env=(("EPOCHS", "3"), ("COMITY_NODE_RANK", "99")),
        data={"patients-fr": "file:///srv/patients", "other.set": "s3://bucket/x"},
    )
    assert desk.run(placement).succeeded
    seen = json.loads(desk.log(placement))
    expected = {
        "COMITY_JOB_ID": "01JABCDEFGHJKMNPQRSTVWXYZ0",
        "COMITY_ATTEMPT": "2",
        "COMITY_ARRAY_INDEX": "7",
        "COMITY_NODE_RANK": "0",
        "COMITY_NODES": "1",
        "COMITY_NODE_ADDRS": "127.0.0.1",
        "MASTER_ADDR": "127.0.0.1",
        "COMITY_GPUS_PER_NODE": "0",
        "COMITY_DATA_PATIENTS_FR": "/srv/patients",
        "COMITY_DATA_OTHER_SET": "s3://bucket/x",
        "EPOCHS": "3",
    }
    assert expected.items() <= seen.items()
    assert int(seen["MASTER_PORT"]) > 0
    assert os.path.basename(seen["COMITY_OUTPUT_DIR"]) == "out"
    assert "secret" not in json.dumps(seen)
    allowed = {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "USER",
        "LOGNAME",
        "SHELL",
        "MASTER_PORT",
        "COMITY_OUTPUT_DIR",
        "LC_CTYPE",
    }
    assert set(seen) <= allowed | set(expected)


def test_python_is_ours(desk: desks.Desk) -> None:
    """``python`` is the control plane's own interpreter, with what is installed for it."""
    placement = desk.place("python", "-c", "import sys; print(sys.prefix)")
    assert desk.run(placement).succeeded, desk.log(placement)
    assert desk.log(placement).strip() == sys.prefix


def test_outputs(desk: desks.Desk) -> None:
    """Outputs are found in the working folder and in COMITY_OUTPUT_DIR, and read back."""
    program = "mkdir sub && echo a > model.pt && echo b > sub/x && echo c > $COMITY_OUTPUT_DIR/metrics.json"
    declared = tuple(map(jobs.Output, ("model.pt", "sub", "metrics.json")))
    placement = desk.place("sh", "-c", program, outputs=declared)
    assert desk.run(placement).succeeded
    assert desk.adapter.list_outputs(desks.ref(placement)) == [("metrics.json", 2), ("model.pt", 2), ("sub/x", 2)]
    assert b"".join(desk.adapter.read_output(desks.ref(placement), "sub/x")) == b"b\n"


def test_output_missing(desk: desks.Desk) -> None:
    """A job that ends well without an output it promised is OUTPUT_MISSING; one that fails has failed."""
    outputs = (jobs.Output("there"), jobs.Output("model.pt"))
    outcome = desk.run(desk.place("touch", "there", outputs=outputs))
    assert outcome.kind is KIND.OUTPUT_MISSING
    assert "model.pt" in outcome.detail
    assert "there" not in outcome.detail.replace("nowhere", "")
    assert desk.run(desk.place("false", outputs=outputs)).kind is KIND.EXITED


def test_outputs_are_no_door(desk: desks.Desk) -> None:
    """Neither a planted link nor a path that climbs reads anything but the job's own plain files."""
    program = (
        "ln -s /etc/passwd model.pt; ln -s /etc sub; ln -s ../../../attempt.json $COMITY_OUTPUT_DIR/x; mkfifo pipe"
    )
    placement = desk.place("sh", "-c", program, outputs=tuple(map(jobs.Output, ("model.pt", "sub", "pipe"))))
    assert desk.run(placement).kind is KIND.OUTPUT_MISSING
    assert desk.adapter.list_outputs(desks.ref(placement)) == []
    for path in ("model.pt", "sub/passwd", "x", "pipe", "../../attempt.json", "/etc/passwd", "", "a\0b"):
        with pytest.raises(errors.PermanentError, match=r"outputs\.not-found"):
            desk.adapter.read_output(desks.ref(placement), path)


def test_log_cursor(desk: desks.Desk) -> None:
    """The log is read on from a cursor, in pieces, by any adapter."""
    placement = desk.place("sh", "-c", "echo one; echo two >&2; echo three")
    desk.run(placement)
    whole, cursor, pieces = b"", None, 0
    while True:
        chunks, cursor = desk.fresh().read_logs(desks.ref(placement), cursor=cursor, node=None, limit=5)
        if not chunks:
            break
        whole += b"".join(chunk.data for chunk in chunks)
        pieces += 1
    assert whole == b"one\ntwo\nthree\n"
    assert pieces == 3
    with pytest.raises(errors.PermanentError, match="cursor"):
        desk.adapter.read_logs(desks.ref(placement), cursor="x", node=None, limit=5)


def test_log_of_what_was_forgotten(desk: desks.Desk) -> None:
    """An attempt that was accepted and is kept no longer has no empty log but an error; one never seen has none."""
    placement = desk.place("sh", "-c", "echo one")
    handle = desk.adapter.submit(placement).value
    desk.ended(placement)
    accepted = backends.AttemptRef(placement.key, handle)
    assert desk.adapter.read_logs(accepted, cursor=None, node=None, limit=5)[0]
    desk.adapter.forget(accepted)
    for cursor in (None, "4"):
        with pytest.raises(errors.PermanentError, match=r"logs\.not-found.*backend local.*comity retry"):
            desk.fresh().read_logs(accepted, cursor=cursor, node=None, limit=5)
    assert desk.adapter.read_logs(desks.ref(placement), cursor=None, node=None, limit=5)[0] == []


def test_owned_and_forget(desk: desks.Desk) -> None:
    """What runs is listed and cannot be forgotten; what ended is not listed and leaves nothing behind."""
    placement = desk.place("sleep", "600")
    desk.adapter.submit(placement)
    owned = desk.fresh().list_owned()
    assert [one.key for one in owned] == [placement.key]
    desk.adapter.forget(owned[0])
    assert desk.attempt(placement).exists()
    desk.stop(placement)
    desk.ended(placement)
    assert desk.adapter.list_owned() == []
    desk.adapter.forget(owned[0])
    desk.adapter.forget(owned[0])
    assert not desk.attempt(placement).exists()
    assert desk.look(placement).state is STATE.GONE


def test_nudge(desk: desks.Desk) -> None:
    """The end of a job nudges at once, also of one that was started before anybody watched."""
    early = desk.place("sleep", "600")
    desk.adapter.submit(early)
    nudged = threading.Event()
    watching = desk.fresh()
    watching.watch(nudged.set)
    for placement in (early, desk.place("sleep", "600")):
        watching.submit(placement)
        nudged.clear()
        desk.stop(placement)
        assert nudged.wait(conftest.DEADLINE_S)
    watching.close()


def test_offers_account(desk: desks.Desk) -> None:
    """An offer is what is left after what runs, and says whom it has subtracted."""
    before = desk.adapter.offers()[0]
    placement = desk.place("sleep", "600", resources=jobs.Resources(cpu_milli=500, memory_bytes=2**20))
    desk.adapter.submit(placement)
    during = desk.fresh().offers()[0]
    assert during.site == "local/host"
    assert during.counted == {placement.key}
    assert before.free.cpu_milli - during.free.cpu_milli == 500
    assert before.free.memory_bytes - during.free.memory_bytes == 2**20
    desk.stop(placement)
    desk.ended(placement)
    assert desk.adapter.offers()[0].free == before.free


def test_plugin() -> None:
    """The plugin is complete, its schema strict, and identity does not depend on the boot."""
    schema = local.plugin.settings_schema()
    assert schema["additionalProperties"] is False
    code = "import sys, backends.local; print('pydantic' in sys.modules, 'ctypes' in sys.modules)"
    root = pathlib.Path(__file__).resolve().parents[4]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.split() == ["False", "False"]
