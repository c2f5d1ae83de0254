"""A spoilt state folder at the real server: databases, locks, full disks and plugins that are broken."""

import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e._planes import Plane, backend, job, wait_until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane with a backend of this machine and one that is simulated."""
    found = Plane(tmp_path_factory.mktemp("doors"))
    found.init()
    found.start()
    yield found
    assert "Traceback" not in found.log, found.log[-5000:]
    found.close()


@pytest.fixture
def own(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane for one test, not started."""
    found = Plane(tmp_path)
    found.init()
    yield found
    found.close()


def _fails(plane: Plane, *words: str) -> str:
    """Start a server that must end with 1 and one sentence; returns it."""
    plane.spawn()
    code = plane._cold.wait(180) if plane._cold is not None else None
    plane.pid, plane._cold = 0, None
    text = plane.log
    assert code == 1, text
    assert "Traceback" not in text, text
    for word in words:
        assert word in text, text
    return text


def _table(database: sqlite3.Connection, *columns: str) -> str:
    """Return the table that has these columns."""
    tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    return next(
        name
        for name in tables
        if {row[1] for row in database.execute(f"pragma table_info({name})")}.issuperset(columns)
    )


def _break(path: pathlib.Path, how: str) -> None:
    match how:
        case "garbage":
            path.write_bytes(os.urandom(8192))
        case "text":
            path.write_text("hello\n" * 100)
        case "cut":
            os.truncate(path, path.stat().st_size // 2)
        case "page":
            with path.open("r+b") as file:
                for page in range(1, path.stat().st_size // 4096):
                    file.seek(page * 4096)
                    file.write(b"\xff" * 512)
        case "newer":
            with contextlib.closing(sqlite3.connect(path)) as database:
                table = _table(database, "version_num")
                database.execute(f"update {table} set version_num = 'r9999'")
                database.commit()
        case "foreign":
            path.unlink()
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("create table songs (name text)")
                database.commit()
        case "folder":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize("how", ["garbage", "text", "cut", "page", "newer", "foreign", "folder"])
def test_a_spoilt_database_is_one_sentence(own: Plane, how: str) -> None:
    """A damaged, foreign or newer database ends the server with 1 and one sentence about it, and stays as it is."""
    own.start()
    for number in range(20):
        assert own.submit(job(f"n{number}")).status == 202
    own.end(signal.SIGTERM)
    path = own.state / "comity.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    for name in ("comity.db-wal", "comity.db-shm"):
        (own.state / name).unlink(missing_ok=True)
    _break(path, how)
    before = path.read_bytes() if path.is_file() else b""
    own.log_file.unlink()
    text = _fails(own, "comity.db")
    last = text.strip().splitlines()[-1]
    assert last.startswith("comity: "), text
    assert any(word in last for word in ("backup", "newer", "another file", "cannot be opened")), text
    if how == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert [name for (name,) in database.execute("select name from sqlite_master")] == ["songs"]
    elif path.is_file():
        assert path.read_bytes() == before
    ran = own.shell.run("comity log verify")
    assert ran.returncode == 1, ran
    assert "Traceback" not in ran.stderr


def test_a_page_that_is_damaged_while_running_is_said(own: Plane) -> None:
    """An edited journal is found by ``log verify``, which names the first bad entry and exits with 1."""
    own.start()
    for number in range(5):
        assert own.submit(job(f"n{number}")).status == 202
    own.end(signal.SIGTERM)
    assert own.shell.run("comity log verify").returncode == 0
    with contextlib.closing(sqlite3.connect(own.state / "comity.db")) as database:
        table = _table(database, "seq", "hash", "actor")
        (least,) = database.execute(f"select min(seq) + 2 from {table}").fetchone()
        database.execute(f"update {table} set actor = 'evil' where seq = ?", (least,))
        database.commit()
    ran = own.shell.run("comity log verify")
    assert ran.returncode == 1, ran
    assert str(least) in ran.stdout + ran.stderr, ran
    assert "Traceback" not in ran.stderr


def test_a_second_server_names_the_first(own: Plane) -> None:
    """A second server on the same folder ends with 1 and says who has it and where; the first notices nothing."""
    own.start()
    ran = own.shell.run("comity serve --listen 127.0.0.1:0")
    assert ran.returncode == 1
    assert str(own.pid) in ran.stderr
    assert str(own.port) in ran.stderr
    assert own.submit(job("still")).status == 202
    own.end(signal.SIGKILL)
    own.start()


def test_a_lock_of_a_dead_server_is_waited_for(own: Plane) -> None:
    """A child that a killed server leaves for a moment with its lock does not stop the next server."""
    own.state.mkdir(mode=0o700)
    lock = own.state / "server.lock"
    dead = subprocess.Popen(["true"])
    dead.wait()
    holder = subprocess.Popen(["flock", "-x", str(lock), "sleep", "1"])
    wait_until(lock.exists)
    lock.write_text(json.dumps({"pid": dead.pid, "address": "http://127.0.0.1:1"}))
    own.start()
    holder.wait(120)
    assert own.submit(job("in")).status == 202


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount: {made.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@ROOT_ONLY
def test_a_full_disk_refuses_jobs_and_nothing_else(tmp_path: pathlib.Path, small_disk: pathlib.Path) -> None:
    """507 ``store.full`` for what is new; reads, cancels and the ends of jobs go on; with room again all is well."""
    disk_plane = Plane(tmp_path / "plane", state=small_disk / "state", environment={"TMPDIR": str(tmp_path)})
    try:
        disk_plane.init()
        disk_plane.start()
        running = disk_plane.submit(job("running", "sleep", "600")).json["id"]
        wait_until(lambda: disk_plane.job(running)["status"]["phase"] == "RUNNING")
        queued = [disk_plane.submit(job("nowhere", resources={"cpus": 100000})).json["id"] for _ in range(20)]
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 65536) == 65536:
                pass
        acknowledged = []
        refused = None
        for _ in range(3000):
            answer = disk_plane.submit(job("more", resources={"cpus": 100000}, env={"A": "x" * 20000}))
            if answer.status != 202:
                refused = answer
                break
            acknowledged.append(answer.json["id"])
        assert refused is not None, "the disk never filled"
        assert (refused.status, refused.code) == (507, "store.full"), refused
        assert b"disk" in refused.body or b"space" in refused.body or b"room" in refused.body
        for _ in range(5):
            assert disk_plane.submit(job("more")).status == 507
        assert disk_plane.call("GET", "/v1/jobs").status == 200
        assert disk_plane.job(queued[0])["status"]["phase"] == "QUEUED"
        for id in queued[:10]:
            answer = disk_plane.call("POST", f"/v1/jobs/{id}:cancel")
            assert answer.status in (200, 202), answer
            assert disk_plane.job(id)["status"]["phase"] == "CANCELLED"
        assert disk_plane.call("POST", f"/v1/jobs/{running}:cancel").status == 202
        assert disk_plane.ended(running)["status"]["phase"] == "CANCELLED"
        disk_plane.end(signal.SIGKILL)
        disk_plane.start(path="/healthz")
        assert disk_plane.call("GET", "/readyz", token=None).status == 503
        assert disk_plane.submit(job("more")).status == 507
        for id in acknowledged:
            assert disk_plane.job(id)["status"]["phase"] == "QUEUED"
        filler.unlink()
        again = wait_until(lambda: [a for a in [disk_plane.submit(job("room", "true"))] if a.status == 202])
        assert disk_plane.ended(again[0].json["id"])["status"]["phase"] == "SUCCEEDED"
        disk_plane.end(signal.SIGTERM)
        assert disk_plane.shell.run("comity log verify").returncode == 0
        assert "Traceback" not in disk_plane.log, disk_plane.log[-3000:]
    finally:
        disk_plane.close()


BROKEN = {
    "raises": "raise RuntimeError('broken on purpose')",
    "exits": "raise SystemExit(3)",
    "nothing": "",
    "newer": "class plugin:\n name='newer'\n port_version=99\n summary='x'\n build=print\n settings_schema=print\n",
    "syntax": "def (",
    "builds": (
        "from orchestrator.ports import backends\nclass plugin:\n name='builds'\n port_version=backends.PORT_VERSION\n"
        " summary='x'\n settings_schema=staticmethod(lambda: {})\n"
        " @staticmethod\n def build(settings, context): raise KeyError('no')\n"
    ),
    "answers": (
        "from orchestrator.ports import backends\n"
        "class Odd:\n def __getattr__(self, name): raise RuntimeError(name)\n"
        "class plugin:\n name='answers'\n port_version=backends.PORT_VERSION\n"
        " summary='x'\n settings_schema=staticmethod(lambda: {})\n"
        " @staticmethod\n def build(settings, context): return Odd()\n"
    ),
}


def test_a_broken_plugin_is_a_condition_on_its_backend(own: Plane, tmp_path: pathlib.Path) -> None:
    """Plugins that raise, exit, lie or are of another version are said on their backends; the others go on."""
    plugins = tmp_path / "plugins"
    info = plugins / "comity_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: comity-broken\nVersion: 1.0\n")
    lines = [f"{name} = comity_broken_{name}:plugin" for name in BROKEN]
    lines += ["absent = comity_broken_absent:plugin", "odd:name = x", "local-too = backends.local:plugin"]
    (info / "entry_points.txt").write_text("[orchestrator.backends]\n" + "\n".join(lines) + "\n")
    for name, text in BROKEN.items():
        (plugins / f"comity_broken_{name}.py").write_text(text)
    environment = own.shell.environment
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{plugins}"
    names = [*BROKEN, "absent", "local-too", "never-heard-of"]
    own.start()
    for name in names:
        answer = own.put(backend(name, adapter=name))
        assert answer.status in (201, 422), (name, answer)
    declared = {one["metadata"]["name"] for one in own.call("GET", "/v1/backends").json["items"]}
    for name in set(names) & declared:

        def condition(name: str = name) -> Any:
            found = own.call("GET", f"/v1/backends/{name}").json["status"]["conditions"][0]
            return found if found["reason"] not in ("NotAskedYet", "Answers") else None

        shown = own.call("GET", f"/v1/backends/{name}").body
        found = wait_until(condition, what=f"a condition on {name}: {shown!r}")
        assert found["message"], (name, found)
        assert own.call("POST", f"/v1/backends/{name}:check").status in (409, 422, 502, 503), name
    done = own.submit(job("goes-on")).json["id"]
    assert own.ended(done)["status"]["phase"] == "SUCCEEDED"
    assert own.call("GET", "/readyz", token=None).status == 200
    ran = own.shell.run("comity backend types")
    assert "Traceback" not in ran.stdout + ran.stderr
    for name in ("local", "simulated", "raises", "exits"):
        assert name in ran.stdout, ran
    own.end(signal.SIGKILL)
    own.start()
    done = own.submit(job("goes-on-too")).json["id"]
    assert own.ended(done)["status"]["phase"] == "SUCCEEDED"
    for name in set(names) & declared:
        assert own.call("DELETE", f"/v1/backends/{name}").status in (200, 204), name
    assert "Traceback" not in own.log, own.log[-3000:]
