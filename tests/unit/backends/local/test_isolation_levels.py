"""What a job can see and do of the control plane under each level: as root only, for only root can isolate."""

import collections.abc
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from backends.local import client, isolation, settings
from orchestrator.domain import errors
from tests.unit.backends.local import desk as desks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can isolate")
ATTACK = r"""
import ctypes, glob, json, os, stat, sys
state, server, one_user = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "user"
won = []
def attempt(what, how):
    try:
        if how() is not None:
            won.append(what)
    except (OSError, PermissionError):
        pass
def read(path):
    with open(path, "rb") as file:
        return file.read(1) or b"-"
secrets = ["admin.token", "keys/signing.pem", "comity.db", "backends/other/secret"]
for name in secrets:
    attempt(name, lambda: read(f"{state}/{name}"))
    for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
        attempt(f"/proc/{pid}/root {name}", lambda: read(f"/proc/{pid}/root{state}/{name}"))
        attempt(f"/proc/{pid}/cwd {name}", lambda: read(f"/proc/{pid}/cwd/{name}") if pid != str(os.getpid()) else None)
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    if one_user and os.path.exists(f"/proc/{pid}") and os.stat(f"/proc/{pid}").st_uid == os.getuid():
        continue  # at this level jobs share a user, which the offer says
    def environ(pid=pid):
        with open(f"/proc/{pid}/environ", "rb") as file:
            return True if b"COMITY_TOKEN" in file.read() else None
    attempt(f"/proc/{pid}/environ", environ)
    attempt(f"/proc/{pid}/mem", lambda: open(f"/proc/{pid}/mem", "rb") if pid != str(os.getpid()) else None)
for pid in {1, server, os.getppid()}:
    attempt(f"kill {pid}", lambda: (os.kill(pid, 9), True))
    libc = ctypes.CDLL(None, use_errno=True)
    attempt(f"ptrace {pid}", lambda: True if libc.ptrace(16, pid, 0, 0) == 0 else None)
for path in [*glob.glob("/dev/*"), *glob.glob("/dev/*/*")]:
    attempt(path, lambda: read(path) if stat.S_ISBLK(os.lstat(path).st_mode) else None)
attempt("mknod", lambda: (os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0)), True))
attempt("setuid", lambda: (os.setuid(0), True))
attempt("umount", lambda: True if ctypes.CDLL(None).umount2(state.encode(), 2) == 0 else None)
attempt("unshare", lambda: True if ctypes.CDLL(None).unshare(0x20000) == 0 else None)
attempt("state", lambda: (open(f"{state}/planted", "w"), True))
for other in glob.glob(f"{state}/backends/*/attempts/*"):
    if os.environ["COMITY_OUTPUT_DIR"].startswith(other + "/"):
        own = set(os.listdir(other)) - {"w"}
        if own:
            won.append(f"{other}: {own}")
    else:
        won.append(other)
print(json.dumps(won))
"""


@pytest.fixture(params=["namespaces", "user"])
def desk(request: pytest.FixtureRequest, runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk, at each level that isolates."""
    with desks.desk(isolation=request.param) as made:
        yield made


def _interpreter(desk: desks.Desk) -> str:
    """Our own where it is revealed; a system one where only permissions stand between."""
    return sys.executable if desk.values["isolation"] == "namespaces" else "/usr/bin/python3"


def test_attacks_fail(desk: desks.Desk) -> None:
    """A job gets at neither token, key, database nor other jobs, and can neither kill nor trace the server."""
    for name in ("keys/signing.pem", "comity.db", "backends/other/secret"):
        path = desk.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    other = desk.place("sleep", "600")
    desk.adapter.submit(other)
    program = "import signal; print('up', flush=True); signal.pause()"
    server = subprocess.Popen(
        [sys.executable, "-c", program], env={"COMITY_TOKEN": "secret"}, cwd=desk.root, stdout=subprocess.PIPE
    )
    try:
        interpreter = _interpreter(desk)
        if not os.path.exists(interpreter):
            pytest.skip("no system interpreter for a job that only has a user of its own")
        placement = desk.place(
            interpreter, "-I", "-S", "attack.py", str(desk.root), str(server.pid), str(desk.values["isolation"])
        )
        spec = dataclasses.replace(placement.spec, files=(("attack.py", ATTACK.encode()),))
        placement = dataclasses.replace(placement, spec=spec)
        assert desk.run(placement).succeeded, desk.log(placement)
        assert json.loads(desk.log(placement)) == []
        assert server.poll() is None
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def test_user_and_groups(desk: desks.Desk) -> None:
    """A job runs as the fixed user, with its group and no other."""
    placement = desk.place("sh", "-c", "id -u; id -G")
    assert desk.run(placement).succeeded
    assert desk.log(placement).split() == ["61007", "61007"]


def test_work_is_its_own(desk: desks.Desk) -> None:
    """A job may write its working folder, its output folder and its temporary folder."""
    program = "touch here $HOME/home $TMPDIR/tmp $COMITY_OUTPUT_DIR/out && cat sub/file && ls -la"
    placement = desk.place("sh", "-c", program, files=(("sub/file", b"content"),))
    assert desk.run(placement).succeeded, desk.log(placement)


def test_other_user(runner_binary: pathlib.Path) -> None:
    """``runAs`` chooses the user."""
    with desks.desk(runAs={"uid": 61234, "gid": 61235}) as desk:
        placement = desk.place("sh", "-c", "id -u; id -g")
        desk.run(placement)
        assert desk.log(placement).split() == ["61234", "61235"]


def test_work_folder_elsewhere(runner_binary: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Working folders may lie on another disk; they are removed with the attempt, and hidden from other jobs."""
    with desks.desk() as desk:
        work = desk.root.parent / f"{desk.root.name}-work"
        desk.values["workFolder"] = str(work)
        desk.adapter = desk.fresh()
        first = desk.place("sh", "-c", "echo secret > x; pwd")
        assert desk.run(first).succeeded
        assert desk.log(first).startswith(str(work))
        second = desk.place("cat", f"{work}/{first.key}/0/x")
        assert not desk.run(second).succeeded
        for placement in (first, second):
            desk.adapter.forget(desks.ref(placement))
        assert list(work.iterdir()) == []
        work.rmdir()


def test_data_is_revealed(runner_binary: pathlib.Path) -> None:
    """Data in a hidden home is revealed read-only; data in the state folder is refused."""
    with desks.desk() as desk:
        home = desk.root.parent / f"{desk.root.name}-home"
        home.mkdir(mode=0o755)
        (home / "data").mkdir(mode=0o755)
        (home / "data" / "x").write_text("content")
        (home / "data" / "x").chmod(0o666)
        desk.values["hide"] = []
        ground = isolation.Ground(isolation.Level.NAMESPACES, 1, 1, hidden=("/state",), masks=("/state", str(home)))
        assert isolation.data_reveals(ground, [f"{home}/data", "/usr"]) == (f"{home}/data",)
        for bad in ("/state/x", "/state", "/"):
            with pytest.raises(errors.PermanentError, match=r"local\.data-hidden"):
                isolation.data_reveals(ground, [bad])
        (home / "data" / "x").unlink()
        (home / "data").rmdir()
        home.rmdir()


def test_never_silently_less(runner_binary: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named level that the machine cannot give refuses everything; ``auto`` takes less and says so."""
    probed = {"setuid": "ok", "ipc": "ok", "mount": "failed unshare 1", "dev": "failed unshare 1", "pid": "ok"}
    monkeypatch.setattr(client, "probe", lambda: probed)
    auto = isolation.ground(settings.LocalSettings(), [])
    assert auto.level is isolation.Level.USER
    assert "mount: failed unshare 1" in auto.detail
    with pytest.raises(errors.PermanentError, match=r"local\.isolation-unavailable"):
        isolation.ground(settings.LocalSettings(isolation=settings.Isolation.NAMESPACES), [])
    monkeypatch.setattr(client, "probe", lambda: {"setuid": "failed setuid 1"})
    with pytest.raises(errors.PermanentError, match=r"local\.isolation-unavailable"):
        isolation.ground(settings.LocalSettings(isolation=settings.Isolation.USER), [])


def test_none_is_said(runner_binary: pathlib.Path) -> None:
    """Without isolation the offer says that only the owner's jobs may come."""
    with desks.desk(isolation="none") as desk:
        offer = desk.adapter.offers()[0]
        assert offer.isolation_none
        assert "owner's jobs only" in offer.detail
        assert desk.run(desk.place("true")).succeeded


def test_not_root(runner_binary: pathlib.Path) -> None:
    """A server that is not root isolates nothing, says so, and runs jobs as itself."""
    with desks.desk() as desk:
        for folder in (desk.root, desk.root / "backends", desk.folder):
            os.chown(folder, 61007, 61007)
        program = (
            "import os\n"
            "os.setgroups([]); os.setgid(61007); os.setuid(61007)\n"
            "made = desk.fresh(); offer = made.offers()[0]\n"
            "assert offer.isolation_none and 'not root' in offer.detail, offer\n"
            "placement = desk.place('sh', '-c', 'id -u')\n"
            "made.submit(placement)\n"
            "from tests.unit.backends.local import conftest\n"
            "seen = conftest.until('end', lambda: made.observe([desks.ref(placement)])[0].outcome)\n"
            "assert seen.succeeded, seen\n"
            "assert desk.log(placement) == '61007\\n'\n"
        )
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                client._probed.clear()
                desk.adapter = desk.fresh()
                exec(program, {"desk": desk, "desks": desks})
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
