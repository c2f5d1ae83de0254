"""Who gets in, and what is said when something is shut: tokens, tenants, jobs that spy, folders that are spoilt.

Everything here is the real server as a process, and real jobs. What needs root (isolation, a small disk) is skipped
without it, and says so.
"""

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

from tests.e2e._planes import Answer, Plane, backend, document, job, wait_until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""An id that nobody has."""


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


def _same_as_unknown(known: Answer, unknown: Answer, words: tuple[str, str]) -> None:
    """Assert that two answers differ in nothing but the name that was asked for."""
    assert known.status == unknown.status == 404, (known, unknown)
    assert known.body.replace(words[0].encode(), b"X") == unknown.body.replace(words[1].encode(), b"X")


def test_another_tenants_job_is_as_unknown_on_every_route(plane: Plane) -> None:
    """Each route that takes a job's id answers a stranger exactly as for an id that nobody has."""
    mine, yours = plane.token_of("ours", "submit", "audit"), plane.token_of("theirs", "submit", "audit", "steward")
    made = plane.submit(job("secret-name", "echo", "canary"), token=mine)
    assert made.status == 202, made
    id = made.json["id"]
    wait_until(lambda: plane.job(id, token=mine)["status"]["phase"] == "SUCCEEDED", what="its end")
    routes = [("GET", rest) for rest in ("", "/logs", "/decisions", "/evidence", "/outputs", "/outputs/a", ":wait")]
    routes += [("POST", f":{verb}") for verb in ("cancel", "retry", "explain")]
    routes += [("GET", "[0]"), ("POST", "[0]:cancel"), ("GET", "[0]/logs")]
    for method, rest in routes:
        answers = [plane.call(method, f"/v1/jobs/{one}{rest}", token=yours) for one in (id, ULID)]
        _same_as_unknown(*answers, (id, ULID))
    for words in ((id, ULID), ("secret-name", "nobodys-nam"), (id[:12], ULID[:12])):
        answers = [plane.call("GET", f"/v1/jobs:find?job={word}", token=yours) for word in words]
        _same_as_unknown(*answers, words)
    for query in ("", "?filter=name=secret-name", f"?filter=id={id[:8]}"):
        assert plane.call("GET", f"/v1/jobs{query}", token=yours).json["items"] == []
    answers = [plane.call("GET", f"/v1/jobs?filter=parent={one}", token=yours) for one in (id, ULID)]
    _same_as_unknown(*answers, (id, ULID))
    events = _events(plane, token=yours)
    assert id.encode() not in events
    assert b"secret-name" not in events


def test_another_tenants_documents_are_as_unknown(plane: Plane) -> None:
    """Data sets, queues and tenants of others can neither be read, changed, withdrawn, used nor guessed."""
    mine, yours = (
        plane.token_of("mine", "facts", "steward", "submit"),
        plane.token_of("yours", "facts", "steward", "submit"),
    )
    made = plane.put(document("DataSet", "mine-only", {"classes": ["open"], "location": {"country": "FR"}}), token=mine)
    assert made.status == 201, made
    for method in ("GET", "DELETE"):
        names = ("mine-only", "nobodys-x")
        answers = [plane.call(method, f"/v1/datasets/{name}", token=yours) for name in names]
        _same_as_unknown(*answers, names)
    assert plane.call("GET", "/v1/datasets", token=yours).json["items"] == []
    using = plane.submit(job("spy", data={"reads": [{"name": "mine-only"}]}), token=yours)
    unknown = plane.submit(job("spy", data={"reads": [{"name": "nobodys-x"}]}), token=yours)
    assert using.status == unknown.status == 422
    assert using.body.replace(b"mine-only", b"X") == unknown.body.replace(b"nobodys-x", b"X")
    assert plane.call("GET", "/v1/datasets/mine-only", token=mine).status == 200


def test_the_same_key_of_two_tenants_is_two_jobs(plane: Plane) -> None:
    """A key says nothing about what others did."""
    ids = {
        plane.submit(job("k"), "same", token=plane.token_of(tenant, "submit")).json["id"]
        for tenant in ("mine", "yours")
    }
    assert len(ids) == 2


def test_the_tenant_of_a_body_is_not_believed(plane: Plane) -> None:
    """Nobody submits for somebody else by saying so."""
    yours = plane.token_of("yours", "submit")
    given = job("claims") | {"metadata": {"name": "claims", "tenant": "mine"}}
    answer = plane.submit(given, token=yours)
    assert answer.status == 422 or answer.json["metadata"]["tenant"] == "yours", answer


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("audit", "POST", "/v1/jobs"),
        ("facts", "POST", "/v1/jobs"),
        ("submit", "PUT", "/v1/backends/b"),
        ("submit", "POST", "/v1/backends/local:cordon"),
        ("submit", "POST", "/v1/tokens"),
        ("operate", "POST", "/v1/tokens"),
        ("audit", "POST", "/v1/tokens"),
        ("submit", "GET", "/v1/tokens"),
        ("submit", "GET", "/metrics"),
        ("facts", "POST", "/v1/backends/local:cordon"),
        ("operate", "PUT", "/v1/tenants/other"),
    ],
)
def test_a_role_is_not_another(plane: Plane, role: str, method: str, path: str) -> None:
    """What a role may not do is 403 (or 404 where the thing itself is hidden), and nothing happens."""
    kind = {"backends": "Backend", "tenants": "Tenant"}.get(path.split("/")[2] if path.count("/") > 2 else "", "Job")
    body = document(kind, path.rsplit("/", 1)[-1], {"adapter": "local"} if kind == "Backend" else {})
    if path == "/v1/tokens":
        body = {"tenant": "mine", "roles": ["admin"]}
    answer = plane.call(method, path, job("x") if path == "/v1/jobs" else body, token=plane.token_of("mine", role))
    assert answer.status in (403, 404), answer
    assert answer.code.startswith(("auth.", "document.", "tenant.")), answer


def test_a_token_ends_at_once_and_lies_nowhere_in_clear(plane: Plane) -> None:
    """A revoked or expired token is 401 with the next request; no file of the state folder holds its text."""
    made = plane.call("POST", "/v1/tokens", {"tenant": "mine", "roles": ["submit"]}).json
    assert set(made) >= {"id", "token", "tenant", "roles", "expires"}
    assert plane.call("GET", "/v1/jobs", token=made["token"]).status == 200
    for bad in (made["token"][:-1], made["token"] + "x", made["token"].swapcase(), "nothing", made["id"], " ", "é"):
        head = {"Authorization": f"Bearer {bad}".encode().decode("latin-1")}
        assert plane.call("GET", "/v1/jobs", token=None, headers=head).status == 401, bad
    assert plane.call("DELETE", f"/v1/tokens/{made['id']}").status == 204
    assert plane.call("GET", "/v1/jobs", token=made["token"]).status == 401
    short = plane.call("POST", "/v1/tokens", {"tenant": "mine", "roles": ["submit"], "expires": "1s"}).json
    wait_until(lambda: plane.call("GET", "/v1/jobs", token=short["token"]).status == 401, seconds=10)
    for path in plane.state.rglob("*"):
        if path.is_file() and path.name != "admin.token":
            content = path.read_bytes()
            assert made["token"].encode() not in content, path
            assert plane.token.encode() not in content, path
    assert made["token"] not in plane.log
    assert plane.token not in plane.log


def test_no_route_but_two_answers_without_a_token(plane: Plane) -> None:
    """Every path, known or not, is 401 without a token; only health answers, and says no more than that."""
    for path in (
        "/v1/jobs",
        "/v1/jobs:batch",
        "/v1/sites",
        "/metrics",
        "/openapi.json",
        "/v1/events",
        "/",
        "/x",
        "/docs",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            assert plane.call(method, path, token=None).status == 401, (method, path)
    for path in ("/healthz", "/readyz"):
        assert len(plane.call("GET", path, token=None).body) < 100


def _events(plane: Plane, **more: Any) -> bytes:
    """Return the whole journal as it is shown."""
    found, after = b"", 0
    for _ in range(100):
        page = plane.call("GET", f"/v1/events?follow=false&limit=500&after={after}", **more)
        assert page.status == 200, page
        found += page.body
        if not page.json["items"]:
            break
        after = page.json["items"][-1]["seq"]
    return found


def test_settings_of_a_backend_and_variables_of_a_job_are_not_for_everybody(plane: Plane) -> None:
    """A stranger to operations sees no settings; what a job's variables hold is in no log, event, metric or list."""
    canary = "c4n4ry-" + "9" * 12
    made = plane.submit(job("env", env={"SECRET": canary})).json["id"]
    assert plane.ended(made)["status"]["phase"] == "SUCCEEDED"
    assert made.encode() in _events(plane)
    assert canary.encode() not in _events(plane)
    for path in ("/metrics", "/v1/backends", "/v1/sites", "/v1/tokens"):
        assert canary.encode() not in plane.call("GET", path).body
    assert canary not in plane.log
    shown = plane.call("GET", "/v1/backends/local", token=plane.token_of("mine", "submit"))
    assert "settings" not in json.dumps(shown.json["spec"])


SPY = r"""
import glob, os, socket, sys
state, server, other = sys.argv[1], sys.argv[2], sys.argv[3]
found = []
def look(path):
    try:
        with open(path, "rb") as file:
            file.read(10)
        found.append(path)
    except OSError:
        pass
for name in ("admin.token", "log.key", "comity.db", "comity.db-wal", "server.lock", "comity.db.reserve"):
    look(f"{state}/{name}")
for pattern in ("", "*", "*/*", "*/*/*", "*/*/*/*"):
    for path in glob.glob(f"{state}/{pattern}"):
        own = os.environ["COMITY_JOB_ID"].lower() in path
        if os.path.isfile(path) and not own:
            look(path)
for name in ("environ", "mem", "maps", "fd/5", "root/etc/passwd", "cwd/comity.d/1-control-plane.yaml"):
    look(f"/proc/{server}/{name}")
for pid in glob.glob("/proc/[0-9]*"):
    if os.path.basename(pid) not in ("self", "thread-self"):
        try:
            line = open(f"{pid}/cmdline", "rb").read()
            if b"orchestrator.cli" in line and b"glob" not in line:
                found.append(pid)
        except OSError:
            pass
        for path in glob.glob(f"{pid}/root{state}/admin.token") + glob.glob(f"{pid}/cwd/../admin.token"):
            look(path)
for path in glob.glob("/dev/*"):
    if os.path.basename(path) in ("vda", "sda", "mem", "kmem", "kmsg", "nvme0n1", "vda1", "sda1"):
        look(path)
look(f"{state}/backends/local/attempts/{other}-1/0/log")
look(f"{state}/backends/local/attempts/{other}-1/w/0/work/secret.txt")
look("/root/.bashrc"); look("/etc/shadow"); look("/root/.local/state/comity/admin.token")
for name in ("admin.token", "x"):
    try:
        os.symlink(f"{state}/{name}", f"out-{name}"); look(f"out-{name}")
    except OSError:
        pass
for path in (f"{state}/planted", "/etc/planted", sys.prefix + "/planted", "/usr/lib/planted"):
    try:
        open(path, "w").close(); found.append(f"wrote {path}")
    except OSError:
        pass
try:
    os.kill(int(server), 0); found.append("signal")
except OSError:
    pass
if os.getuid() == 0:
    found.append("root")
for name, value in os.environ.items():
    own = os.environ["COMITY_JOB_ID"].lower() in value
    if "TOKEN" in name or (name.startswith("COMITY_") and state in value and not own):
        found.append(f"variable {name}")
print("FOUND", found)
"""


@ROOT_ONLY
def test_a_job_that_spies_finds_nothing(own: Plane) -> None:
    """No token, key, database, other job, process of the server or disk is open to a job, through any path."""
    own.shell.environment["COMITY_SECRET_X"] = "canary"
    own.start()
    sites = own.call("POST", "/v1/backends/local:check")
    if b"namespaces" not in sites.body:
        level = own.call("GET", "/v1/sites").body + sites.body
        if b"isolation none" in level:
            pytest.skip("no isolation on this machine")
    victim = own.submit(job("victim", "sh", "-c", "echo secret > secret.txt; echo secret; sleep 60")).json["id"]
    wait_until(lambda: own.job(victim)["status"]["phase"] == "RUNNING")
    made = own.submit(job("spy", "python", "-c", SPY, str(own.state), str(own.pid), victim.lower())).json["id"]
    status = own.ended(made)["status"]
    log = own.call("GET", f"/v1/jobs/{made}/logs", headers={"Accept": "*/*"}).body.decode()
    assert status["phase"] == "SUCCEEDED", (status, log)
    assert log.splitlines()[-1] == "FOUND []", log
    assert own.call("POST", f"/v1/jobs/{victim}:cancel").status == 202
    own.ended(victim)


@ROOT_ONLY
def test_what_a_job_leaves_behind_is_no_way_out_for_others(own: Plane) -> None:
    """Links in outputs are not followed, set-user-id files are not root's, and the log is not a path to elsewhere."""
    own.start()
    text = (
        "ln -s /etc/shadow shadow; ln -s ../../../../../../../admin.token token; mkdir d; ln -s /etc d/etc; "
        "cp /bin/sh suid; chmod 4755 suid; mkfifo pipe; echo fine > fine"
    )
    kept = [{"path": name} for name in ("shadow", "token", "d", "suid", "pipe", "fine")]
    made = own.submit(job("leaves", "sh", "-c", text, outputs=kept)).json["id"]
    own.ended(made)
    listed = own.call("GET", f"/v1/jobs/{made}/outputs")
    assert listed.status in (200, 404), listed
    for path in ("shadow", "token", "d/etc/shadow", "d/etc/passwd", "pipe"):
        answer = own.call("GET", f"/v1/jobs/{made}/outputs/{path}", timeout=20)
        assert answer.status >= 400, (path, answer)
        assert answer.status < 500, (path, answer)
    token = own.token.encode()
    for path in own.state.rglob("suid"):
        assert path.stat().st_uid != 0 or not path.stat().st_mode & 0o4000
    assert token not in listed.body


def _fails(plane: Plane, *words: str) -> str:
    """Start a server that must end with 1 and one sentence; returns it."""
    plane.spawn()
    code = plane._cold.wait(60) if plane._cold is not None else None
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
    holder.wait(20)
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
        again = wait_until(lambda: [a for a in [disk_plane.submit(job("room", "true"))] if a.status == 202], seconds=20)
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
        found = wait_until(condition, seconds=20, what=f"a condition on {name}: {shown!r}")
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


UNBUILT: dict[str, dict[str, Any]] = {
    "spec.env.T.fromSecret": {"env": {"T": {"fromSecret": {"name": "hub", "key": "token"}}}},
    "spec.model": {"model": {"id": "llama-4-70b"}},
    "spec.checkpoint": {"checkpoint": {"path": "/ckpt", "every": "10m"}},
    "spec.verification": {"verification": {"replicas": 3, "quorum": 2}},
}


@pytest.mark.parametrize("path", sorted(UNBUILT))
def test_a_field_without_meaning_is_refused_by_name(plane: Plane, path: str) -> None:
    """What is not built yet is ``job.unsupported:PATH`` at submit and at plan."""
    for route in ("/v1/jobs", "/v1/plans"):
        answer = plane.call("POST", route, job("early", **UNBUILT[path]))
        assert answer.status == 422, answer
        assert f"job.unsupported:{path}" in {one["code"] for one in answer.json["errors"]}, answer


UNJUDGED: dict[str, dict[str, Any]] = {
    "spec.sovereignty.seal": {"seal": {"SOV-2": 3}},
    "spec.sovereignty.sovereigntyScore": {"sovereigntyScore": 60},
    "spec.sovereignty.tee": {"tee": ["tdx"]},
}


@pytest.mark.parametrize("path", sorted(UNJUDGED))
def test_a_constraint_that_no_pack_judges_denies(plane: Plane, path: str) -> None:
    """A constraint whose pack is missing denies every site by its name, and never lets a job through."""
    answer = plane.call("POST", "/v1/plans", job("strict", sovereignty=UNJUDGED[path]))
    assert answer.status == 200, answer
    assert answer.json["placeable"] is False
    for site in answer.json["sites"]:
        assert f"core.unsupported:{path}" in {one["code"] for one in site["reasons"]}, site


def test_what_is_not_built_says_so(plane: Plane) -> None:
    """Routes that are specified and not built are refused as such, not as unknown."""
    made = plane.submit(job("some")).json["id"]
    for method, path in (
        ("GET", f"/v1/jobs/{made}/evidence"),
        ("POST", "/v1/backends/local:drain"),
        ("POST", "/v1/policies:test"),
    ):
        answer = plane.call(method, path)
        assert answer.code == "api.unsupported", answer
        assert 400 <= answer.status <= 501, answer
