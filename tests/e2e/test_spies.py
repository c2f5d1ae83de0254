"""Real jobs that look around, and what they leave behind; needs root where isolation does."""

import os
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e._planes import Plane, job, wait_until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def own(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane for one test, not started."""
    found = Plane(tmp_path)
    found.init()
    yield found
    found.close()


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
        answer = own.call("GET", f"/v1/jobs/{made}/outputs/{path}", timeout=90)
        assert answer.status >= 400, (path, answer)
        assert answer.status < 500, (path, answer)
    token = own.token.encode()
    for path in own.state.rglob("suid"):
        assert path.stat().st_uid != 0 or not path.stat().st_mode & 0o4000
    assert token not in listed.body
