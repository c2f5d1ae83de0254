"""A piece of the machine for one cluster: PID, mount and network namespaces of its own, and cgroup folders.

What a cluster would leave on a machine (mounts, addresses, iptables rules, processes) it leaves in these namespaces,
and they vanish with their process 1. The kernel settings that kubelet writes for the whole machine
(``vm.overcommit_memory`` and others) are hidden inside by files that already hold what it wants, so that it writes
nothing. What does remain after a kill is named after the run and swept by the next one: empty cgroup folders, files
under the run's folder, and ``/var/lib/kubelet`` where we had to make it.
"""

import contextlib
import ipaddress
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.e2e.kube import packages, places, processes

CGROUPS = pathlib.Path("/sys/fs/cgroup")
KUBELET = pathlib.Path("/var/lib/kubelet")
"""Where kubelet keeps sockets for device plugins, whatever its root folder is."""
NETWORK = ipaddress.ip_network("10.213.0.0/16")
SLOTS = 200
START_S = 180.0
KILLED_S = 60.0
REMOVALS = 400
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
"""What kubelet wants (k8s.io/component-helpers v0.36.4, node/util/sysctl/sysctl.go)."""


class HostError(Exception):
    """A namespace, an interface or a cgroup could not be made; the text says which and why."""


class Host:
    """The namespaces of one cluster, made and kept by the process that runs the clusters."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Make the namespaces.

        :param folder: the cluster's own folder; the control socket lies in it.
        """
        self.folder = folder
        self.slot = -1
        if not KUBELET.exists():
            made().touch()
            KUBELET.mkdir(exist_ok=True)
        # Private propagation: no mount inside is seen outside. A new /proc belongs to the new PID namespace.
        command = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--mount-proc"]
        inner = [sys.executable, "-m", "tests.e2e.kube.inside", str(folder / "control")]
        with (folder / "inside.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--kill-child=SIGKILL", *inner],
                cwd=places.ROOT,
                env={**os.environ, "PATH": packages.search_path(), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.destroy()
            said = (folder / "inside.log").read_text().strip()
            raise HostError(f"no namespaces for {folder.name}: {said or 'unshare ended'}")
        self.control = processes.Control(folder / "control")
        (folder / "init").write_text(f"{self.pid} {began(self.pid)}")
        try:
            self._mounts()
            self._link()
        except BaseException:
            self.destroy()
            raise

    @property
    def pid(self) -> int:
        """Return the number, on this machine, of process 1 inside."""
        parent = self._process.pid
        text = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if not text:
            raise HostError(f"process 1 of {self.folder.name} is gone")
        return int(text[0])

    @property
    def outer_address(self) -> str:
        """Return the machine's address on the link to this cluster."""
        return self.address(1)

    def address(self, number: int) -> str:
        """Return the address ``number`` of the link's network: 1 the machine, 2 the API server, 11 and on the nodes."""
        return str(NETWORK[self.slot * 256 + number])

    def _mounts(self) -> None:
        """Hide what the parts would otherwise write for the whole machine."""
        hidden = self.folder / "sysctl"
        hidden.mkdir()
        lines = ["set -e"]
        for place in ("/run", "/var/log", str(KUBELET)):
            lines.append(f"mount -t tmpfs -o mode=755 comity {place}")
        lines.append("mkdir -p /run/lock")
        for number, (name, value) in enumerate(SYSCTLS.items()):
            (hidden / str(number)).write_text(f"{value}\n")
            lines.append(f"test ! -e /proc/sys/{name} || mount --bind {hidden / str(number)} /proc/sys/{name}")
        lines.append("ip link set lo up")
        lines.append("echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.control.run("/bin/sh", "-c", "\n".join(lines))

    def _link(self) -> None:
        """Join the network namespace to the machine by a pair of interfaces in the first network that is free."""
        tool = packages.find("ip") or "ip"
        routes = _run(tool, "-4", "route", "show", "table", "all")
        for slot in range(SLOTS):
            network = ipaddress.ip_network((int(NETWORK[slot * 256]), 24))
            if f" {network}"[:-4] in f" {routes}":
                continue
            try:
                _run(
                    tool, "link", "add", f"comity{slot}", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid)
                )
            except HostError as error:
                if "exists" in str(error):
                    continue
                raise
            self.slot = slot
            _run(tool, "address", "add", f"{self.outer_address}/24", "dev", f"comity{slot}")
            _run(tool, "link", "set", f"comity{slot}", "up")
            break
        else:
            raise HostError(f"no free network among {SLOTS} in {NETWORK}")
        self.control.run("ip", "address", "add", f"{self.address(2)}/24", "dev", "eth0")
        self.control.run("ip", "link", "set", "eth0", "up")
        self.control.run("ip", "route", "add", "default", "via", self.outer_address)

    def add_address(self, number: int) -> str:
        """Give the cluster one more address and return it."""
        self.control.run("ip", "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        return self.address(number)

    def destroy(self) -> None:
        """Kill process 1 inside and wait until all went with it; a second call does nothing."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(KILLED_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def made() -> pathlib.Path:
    """Return the file that says: kubelet's folder was not there before our runs, and goes with the last of them."""
    return places.runs() / ".made-kubelet"


def _run(*argv: str) -> str:
    """Run a command on the machine and return its output.

    :raises HostError: when it fails.
    """
    done = subprocess.run(argv, capture_output=True, text=True, timeout=START_S, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def unified() -> bool:
    """Say whether the machine has cgroup v2 alone."""
    return (CGROUPS / "cgroup.controllers").exists()


def _hierarchies() -> Iterator[pathlib.Path]:
    """Give the root of every cgroup hierarchy."""
    if unified():
        yield CGROUPS
        return
    for folder in sorted(CGROUPS.iterdir()):
        if not folder.is_symlink() and (folder / "cgroup.procs").exists():
            yield folder


def make_cgroup(name: str) -> None:
    """Make a cgroup of that name in every hierarchy, fit to hold pods."""
    if unified():
        # Without a controller's line kubelet counts nothing by it; systemd has most of them on already.
        wanted = (CGROUPS / "cgroup.controllers").read_text().split()
        given = (CGROUPS / "cgroup.subtree_control").read_text().split()
        (CGROUPS / "cgroup.subtree_control").write_text(" ".join(f"+{word}" for word in wanted if word not in given))
    for root in _hierarchies():
        folder = root / name
        folder.mkdir(exist_ok=True)
        if root.name == "cpuset":  # version 1 gives a new cpuset nothing, and then no process may enter it
            for file in ("cpuset.cpus", "cpuset.mems"):
                (folder / file).write_text((root / file).read_text())


def remove_cgroups(prefix: str) -> list[str]:
    """Remove every cgroup whose name begins so; return those that could not be removed: something lives in them."""
    tops = [top for root in _hierarchies() for top in sorted(root.glob(f"{prefix}*"))]
    pause = threading.Event()
    for _ in range(REMOVALS):
        for top in tops:
            # Deepest first: a cgroup with children cannot be removed.
            for folder in (*sorted(top.rglob("*/"), reverse=True), top):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        tops = [top for top in tops if top.exists()]
        if not tops:
            break
        # The kernel may need a moment after the last process of a cgroup.
        pause.wait(0.05)
    return [str(top) for top in tops]


def began(pid: int) -> str | None:
    """Return when a process began (kernel ticks since boot, field 22 of its ``stat``), or None where there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def kill_recorded(file: pathlib.Path) -> None:
    """Kill process 1 of a cluster whose owner is dead, if it is still the one that was recorded.

    It ends by itself when its owner does; this is for the case that it could not.
    """
    words = file.read_text().split()
    if len(words) != 2 or began(int(words[0])) != words[1]:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(words[0]), signal.SIGKILL)
    pause = threading.Event()
    for _ in range(REMOVALS):
        if began(int(words[0])) != words[1]:
            return
        pause.wait(0.1)
