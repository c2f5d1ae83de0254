"""A real Ray cluster for tests: a head with token, and nodes with labels, on loopback and on free ports.

Ray is installed once, pinned, into an environment of its own outside the clone:
``${COMITY_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/comity}/e2e/ray-VERSION``. Each node runs below a keeper, a process
that adopts what its descendants leave behind, so that a node can be killed as by a power cut, and nothing of it stays.
"""

import atexit
import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import ports

VERSION = "2.60.0"
ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 300.0
INSTALL_S = 1500.0
OBJECT_STORE_BYTES = 80_000_000
WORKER_LABELS = "ray.io/availability-region=eu-south,ray.io/accelerator-type=H100,comity.dev/country=IT"
_ADDRESS = "127.0.0.2"
"""Of the head: Ray replaces 127.0.0.1 by an address that others reach, and takes the rest of 127/8 as it is."""

APART = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")
"""Before a command that sees its own processes alone. ``ray start`` takes another node's for a head that runs."""

KEEPER = """
import ctypes, os, shutil, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)

def below():
    parents = {}
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            fields = open('/proc/' + name + '/stat', 'rb').read().rpartition(b')')[2].split()
        except OSError:
            continue
        if fields[0] not in (b'Z', b'X'):
            parents[int(name)] = int(fields[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}

def end(*_):
    for _ in range(300):
        left = below()
        if not left:
            if os.getppid() == 1:
                shutil.rmtree(os.environ['RAYS_FOLDER'], ignore_errors=True)
            os._exit(0)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            os.waitpid(-1, os.WNOHANG)
        except OSError:
            pass
    os._exit(1)

signal.signal(signal.SIGTERM, end)
subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
while True:
    try:
        os.wait()
    except ChildProcessError:
        end()
"""
"""Runs a node: adopts what its descendants leave behind, and kills all of it when told to, or when the test is gone."""


def cache(version: str = VERSION) -> pathlib.Path:
    """Return the folder of a pinned installation."""
    base = os.environ.get("COMITY_CACHE_DIR")
    if base:
        return pathlib.Path(base) / "e2e" / f"ray-{version}"
    home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(home) / "comity" / "e2e" / f"ray-{version}"


def pinned(name: str) -> str:
    """Return the version of a library that the project itself is pinned to."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.lower().startswith(f"{name}=="):
            return line.strip()
    return name


def install(version: str = VERSION) -> pathlib.Path:
    """Return the ``bin`` folder of the installation, made where it is not there. One process makes it."""
    folder = cache(version)
    done = folder / "done-1"
    bin_folder = folder / "venv" / "bin"
    if done.exists():
        return bin_folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            steps = (
                [sys.executable, "-m", "venv", str(folder / "venv")],
                [str(bin_folder / "pip"), "install", "-q", f"ray[default]=={version}", pinned("scikit-learn")],
            )
            for step in steps:
                subprocess.run(["nice", *step], check=True, capture_output=True, text=True, timeout=INSTALL_S)
            done.touch()
    return bin_folder


def needed(version: str = VERSION) -> pathlib.Path:
    """Return the ``bin`` folder of Ray; skip where it cannot be had, or fail where ``COMITY_E2E=required``."""
    try:
        if sys.platform != "linux":
            raise OSError("only Linux")
        return install(version)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        text = f"Ray {version} is missing and cannot be installed into {cache(version)}: {said[-1] if said else error}"
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(text)
        pytest.skip(text)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; see :mod:`tests.e2e.ports`."""
    return ports.free(count)


def below(pid: int) -> dict[int, str]:
    """Return the processes that descend from one, with their command lines."""
    parents, lines = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            parents[int(name)] = int(fields[1])
            lines[int(name)] = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {each: lines[each] for each in found - {pid} if each in lines}


@dataclasses.dataclass
class Node:
    """One ``ray start --block`` below its keeper."""

    keeper: subprocess.Popen[bytes]
    log: pathlib.Path

    def kill(self) -> None:
        """End all of it with SIGKILL, as a power cut does."""
        self.keeper.send_signal(signal.SIGTERM)
        assert self.keeper.wait(180) == 0


class Cluster:
    """A head and its nodes. ``token`` None: the head checks none. ``apart``: no node sees processes of another."""

    def __init__(
        self,
        *,
        token: str | None = "",
        cpus: int = 8,
        environment: dict[str, str] | None = None,
        listens: str = "127.0.0.1",
        version: str = VERSION,
        apart: bool = False,
    ) -> None:
        self.bin = needed(version)
        self.apart = apart
        self.token = secrets.token_hex(24) if token == "" else token
        self.cpus = cpus
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rt", dir="/tmp"))
        self.gcs, self.dashboard, self.client, self.agent = free_ports(4)
        self.listens = listens
        self.more = environment or {}
        self.head: Node | None = None
        self.workers: list[Node] = []

    @property
    def url(self) -> str:
        """Return where the dashboard answers."""
        return f"http://127.0.0.1:{self.dashboard}"

    def start(self) -> "Cluster":
        """Start the head, and wait until it takes jobs."""
        self.head = self._node(
            "head",
            "--head",
            f"--node-ip-address={_ADDRESS}",
            f"--port={self.gcs}",
            f"--dashboard-host={self.listens}",
            f"--dashboard-port={self.dashboard}",
            "--include-dashboard=true",
            f"--ray-client-server-port={self.client}",
            f"--dashboard-agent-listen-port={self.agent}",
            f"--temp-dir={self.folder}",
            f"--num-cpus={self.cpus}",
            "--memory=4000000000",
            "--labels=ray.io/availability-region=eu-west,comity.dev/country=FR",
        )
        self.until(lambda: self.ids() and self.takes_jobs(), self.head, timeout_s=2 * START_S)
        return self

    def add(self, *, cpus: int = 2, gpus: int = 0, labels: str, resources: str = "{}") -> Node:
        """Start another node, and wait until the head knows it."""
        assert self.head is not None
        before = self.until(self.ids, self.head, timeout_s=2 * START_S)
        number = len(self.workers) + 3
        (agent,) = free_ports(1)
        node = self._node(
            f"node-{number}",
            f"--address={_ADDRESS}:{self.gcs}",
            f"--node-ip-address=127.0.0.{number}",
            f"--dashboard-agent-listen-port={agent}",
            f"--temp-dir={self.folder}/{number}",  # else two nodes of one machine replace each other's packages
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--resources={resources}",
            "--memory=1000000000",
            f"--labels={labels}",
        )
        self.workers.append(node)
        self.until(lambda: self.ids() - before, node)
        return node

    def _node(self, name: str, *arguments: str) -> Node:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("COMITY_", "RAY_", "PYTEST"))}
        given = {
            **kept,
            "PATH": f"{self.bin}:{kept.get('PATH', '')}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAYS_FOLDER": str(self.folder),
            "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
            **({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token} if self.token is not None else {}),
            **self.more,
        }
        log = self.folder / f"{name}.log"
        command = [
            *(sys.executable, "-c", KEEPER, *(APART if self.apart else ())),
            *(str(self.bin / "ray"), "start", "--block", "--disable-usage-stats"),
            *("--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={OBJECT_STORE_BYTES}"),
            *arguments,
        ]
        with log.open("wb") as file:
            keeper = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=given, start_new_session=True
            )
        return Node(keeper, log)

    def request(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, bytes]:
        """Return status and answer of the dashboard."""
        connection = http.client.HTTPConnection("127.0.0.1", self.dashboard, timeout=60)
        given = token or self.token
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tests",
            **({"Authorization": f"Bearer {given}"} if given else {}),
        }
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ids(self) -> set[str]:
        """Return which nodes are up; none where nobody answers."""
        try:
            status, body = self.request("GET", "/api/v0/nodes")
            rows = json.loads(body)["data"]["result"]["result"] if status == 200 else []
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return set()
        return {str(row["node_id"]) for row in rows if row["state"] == "ALIVE"}

    def takes_jobs(self) -> bool:
        """Say whether the Jobs API answers and has an agent: a refused submission reaches one."""
        try:
            # Ray refuses it after an agent took it, in every version.
            body = {"entrypoint": "exit 1", "entrypoint_resources": {"CPU": 1}, "submission_id": "probe"}
            _, answer = self.request("POST", "/api/jobs/", body)
        except (OSError, http.client.HTTPException):
            return False
        return b"already exists" in answer

    def until(self, wanted: Any, node: Node, *, timeout_s: float = START_S) -> Any:
        """Wait until ``wanted()`` and return it; fail with the node's log where it does not come."""
        until = time.monotonic() + timeout_s
        while not (found := wanted()):
            text = node.log.read_text(errors="replace")[-3000:]
            assert node.keeper.poll() is None, text
            assert time.monotonic() < until, text
            threading.Event().wait(0.1)
        return found

    def kill_head(self) -> None:
        """End the head as a power cut does; other nodes stay."""
        assert self.head is not None
        self.head.kill()
        self.head = None

    @contextlib.contextmanager
    def frozen(self, *marks: str) -> Iterator[None]:
        """Hold those processes of the head whose command lines have one of these marks, as if they hung."""
        assert self.head is not None
        held = [pid for pid, line in below(self.head.keeper.pid).items() if any(mark in line for mark in marks)]
        assert held, marks
        try:
            for pid in held:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in held:
                os.kill(pid, signal.SIGCONT)

    def stop_nodes(self) -> None:
        """End everything; it can be started again."""
        for node in [*self.workers, *([self.head] if self.head else [])]:
            node.kill()
        self.workers, self.head = [], None

    def stop(self) -> None:
        """End everything and remove its folder."""
        self.stop_nodes()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def cluster(**options: Any) -> Iterator[Cluster]:
    """Give a cluster with a head that is up."""
    made = Cluster(**options)
    try:
        yield made.start()
    finally:
        made.stop()


_SHARED: list[Cluster] = []
_OLDER: dict[str, Cluster] = {}


def older(version: str, *, token: str | None = "") -> Cluster:
    """Return the head of this process of another version of Ray, with 16 CPUs."""
    if version not in _OLDER:
        patient = {"RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "240"}  # 2.49 loads nine processes anew
        made = Cluster(cpus=16, token=token, version=version, environment=patient)
        atexit.register(made.stop)
        _OLDER[version] = made  # before it is up: one that cannot start is not tried for each test
        made.start()
    return _OLDER[version]


def shared() -> Cluster:
    """Return the cluster of this process: a head with 16 CPUs in France, a node in Italy that claims an H100."""
    if not _SHARED:
        made = Cluster(cpus=16)
        atexit.register(made.stop)
        try:
            made.start().add(cpus=2, gpus=1, labels=WORKER_LABELS)
        except BaseException:
            made.stop()
            raise
        _SHARED.append(made)
    return _SHARED[0]
