"""Puts one cluster together: namespaces, files, munged, slurmctld, three slurmd, slurmrestd.

A PID and a mount namespace hold all of it. Inside, Debian's files lie over ``/usr`` and a folder of ours over ``/etc``:
configuration, keys and users are where Slurm looks for them, and the machine has none of them. The network is the
machine's, on loopback and on free ports. Every part sees a host name of its own.
"""

import dataclasses
import os
import pathlib
import pwd
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.e2e import rays
from tests.e2e.kube import hosts, packages, processes
from tests.e2e.slurm import clusters, places
from tests.e2e.slurm import packages as slurm

CONTROLLER = "comity-ctl"
NODES = {
    "fr-1": "Feature=fr,hds Gres=gpu:h100:4",
    "fr-2": "Feature=fr Gres=gpu:h100:4",
    "de-1": "Feature=de Gres=gpu:a100:2",
}
"""By name: features, accelerators. GRES are counted and handed out for real; behind them there is no device."""
CPUS, MEMORY_MIB = 16, 32000
"""Of each node, as declared: more than the machine has, for nothing here computes."""
ACCOUNTS = {"munge": 64001, "slurm": 64002, "slurmrest": 64003, "comity-a": 64011, "comity-b": 64012}
READY_S = 180.0
POLL_S = 0.05

CONFIGURATION = """\
ClusterName={name}
SlurmctldHost={controller}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=slurm
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/keys/jwt
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0
PriorityType=priority/basic
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
AccountingStoreFlags=job_comment
JobCompType=jobcomp/none
MailProg=/bin/true
GresTypes=gpu
ReturnToService=2
MinJobAge={forget_s}
FirstJobId={first}
MaxJobId={last}
KillWait=2
SlurmdTimeout=120
MessageTimeout=5
SlurmctldTimeout=10
BatchStartTimeout=60
InactiveLimit=0
DefMemPerCPU=100
MpiDefault=none
"""


class StartError(Exception):
    """A cluster did not get ready; the text says what ended or what was waited for."""


@dataclasses.dataclass
class Assembly:
    """A cluster being put together, and what is needed to take it apart."""

    spec: clusters.Spec
    folder: pathlib.Path
    """The cluster's own folder."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def control(self) -> processes.Control:
        """Return the way to the parts."""
        return processes.Control(self.folder / "control")

    def start(self) -> clusters.Cluster:
        """Start everything and return the cluster once a job can run on every node.

        :raises StartError: when it does not get ready.
        """
        try:
            return self._start()
        except (processes.ProcessError, OSError) as error:
            raise StartError(f"cluster {self.spec.name}: {error}") from error

    def _start(self) -> clusters.Cluster:
        """Start the parts."""
        # 1. Files: folders with their owners, keys, configuration.
        controller, rest, *ports = rays.free_ports(2 + len(NODES))
        self._folders()
        self._keys()
        self._etc(controller, dict(zip(NODES, ports, strict=True)))
        # A plugin a version, until 23.02; since then one plugin, and parsers of each version.
        versions = slurm.plugins("openapi", self.spec.suite)
        spoken = ",".join(f"openapi/{version}" for version in versions) or "openapi/slurmctld"
        cluster = clusters.Cluster(
            name=self.spec.name,
            url=f"http://127.0.0.1:{rest}",
            folder=self.folder,
            shared=self.folder / "shared",
            versions=tuple(versions or slurm.plugins("data_parser", self.spec.suite)),
        )
        # 2. Namespaces.
        self._enter()
        # 3. Parts. Each retries what it needs of the others, but for munge, which the controller must find.
        keys = self.folder / "keys"
        self._part("munged", "munged", "--foreground", "--force", f"--key-file={keys / 'munge'}",
                   f"--seed-file={self.folder / 'munge' / 'seed'}", f"--pid-file={self.folder / 'munge' / 'pid'}",
                   f"--log-file={self.folder / 'munge' / 'log'}", user="munge")  # fmt: skip
        self._until(lambda: self._says("munge", "--no-input"), "munged")
        self._part("slurmctld", "slurmctld", "-D", "-i", host=CONTROLLER)
        for node in NODES:
            self._part(f"slurmd-{node}", "slurmd", "-D", host=node)
        # Plugins that ask slurmdbd are left out: without one, slurmrestd does not start with them.
        # By munge it would speak for itself; with this it hands on the caller's token, and has none of its own.
        self._part(
            "slurmrestd",
            "env",
            "SLURM_JWT=daemon",
            "slurmrestd",
            "-a",
            "rest_auth/jwt",
            "-s",
            spoken,
            f"127.0.0.1:{rest}",
            user="slurmrest",
        )
        # 4. Ready means: a job can start anywhere, and the answer to a request says so.
        self._until(lambda: list(cluster.nodes().values()) == ["idle"] * len(NODES), "the nodes")
        self._until(lambda: cluster.request("GET", "ping")[0] == 200, "slurmrestd")
        return cluster

    def _folders(self) -> None:
        """Make the folders; jobs reach only what is theirs."""
        self.folder.mkdir()
        self.folder.chmod(0o711)
        for name, owner, mode in (
            ("log", 0, 0o700),
            ("keys", 0, 0o711),
            ("etc", 0, 0o755),
            ("home", 0, 0o711),
            ("spool", 0, 0o755),
            ("devices", 0, 0o755),
            ("shared", 0, 0o1777),
            ("state", ACCOUNTS["slurm"], 0o700),
            ("munge", ACCOUNTS["munge"], 0o700),
            *((f"home/{user}", ACCOUNTS[user], 0o700) for user in clusters.USERS),
            *((f"spool/{node}", 0, 0o755) for node in NODES),
        ):
            path = self.folder / name
            path.mkdir()
            path.chmod(mode)
            os.chown(path, owner, owner)

    def _keys(self) -> None:
        """Make the keys of this cluster, each readable by the one part that needs it."""
        for name, owner, size in (("munge", "munge", 128), ("jwt", "slurm", 32)):
            path = self.folder / "keys" / name
            path.write_bytes(secrets.token_bytes(size))
            path.chmod(0o400)
            os.chown(path, ACCOUNTS[owner], ACCOUNTS[owner])

    def _etc(self, controller: int, ports: dict[str, int]) -> None:
        """Write what lies over ``/etc`` inside: Slurm's configuration, users and host names."""
        etc = self.folder / "etc"
        (etc / "slurm").mkdir()
        first, last = self.spec.ids
        lines = CONFIGURATION.format(
            name=self.spec.name,
            controller=CONTROLLER,
            port=controller,
            folder=self.folder,
            forget_s=self.spec.forget_s,
            first=first,
            last=last,
        )
        for node, more in NODES.items():
            lines += (
                f"NodeName={node} NodeAddr=127.0.0.1 Port={ports[node]} CPUs={CPUS} RealMemory={MEMORY_MIB} {more}\n"
            )
        for country, default in (("fr", "YES"), ("de", "NO")):
            nodes = ",".join(node for node in NODES if node.startswith(country))
            lines += (
                f"PartitionName={country} Nodes={nodes} Default={default} MaxTime=INFINITE DefaultTime=60 State=UP\n"
            )
        (etc / "slurm" / "slurm.conf").write_text("\n".join([lines.rstrip(), *self.spec.lines, ""]))
        if self.spec.suite:  # since 23.11 slurmd wants cgroups for itself, whatever tracks the jobs
            (etc / "slurm" / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (etc / "slurm" / "gres.conf").write_text("".join(self._devices(node, more) for node, more in NODES.items()))
        numbers = {entry.pw_uid for entry in pwd.getpwall()}
        taken = sorted(numbers & set(ACCOUNTS.values()))
        if taken:
            raise OSError(f"user number {taken[0]} is taken on this machine")
        people = "".join(
            f"{name}:x:{number}:{number}::{self.folder}/home/{name}:/bin/bash\n" for name, number in ACCOUNTS.items()
        )
        groups = "".join(f"{name}:x:{number}:\n" for name, number in ACCOUNTS.items())
        for file, more in (("passwd", people), ("group", groups)):
            kept = [
                line
                for line in pathlib.Path("/etc", file).read_text().splitlines(keepends=True)
                if line.split(":")[0] not in ACCOUNTS
            ]
            (etc / file).write_text("".join(kept) + more)
        (etc / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", CONTROLLER, *NODES)))

    def _devices(self, node: str, line: str) -> str:
        """Make the files that stand for a node's accelerators, and return what ``gres.conf`` says of them."""
        kind, model, count = line.partition("Gres=")[2].split()[0].split(":")
        devices = self.folder / "devices"
        for number in range(int(count)):
            (devices / f"{node}-{model}-{number}").symlink_to("/dev/null")  # it takes devices only
        return f"NodeName={node} Name={kind} Type={model} File={devices}/{node}-{model}-[0-{int(count) - 1}]\n"

    def _enter(self) -> None:
        """Make the namespaces and lay our files over the machine's, seen by nobody outside."""
        # Private propagation: no mount inside is seen outside. A new /proc belongs to the new PID namespace.
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--mount-proc",
            "--uts",
            "--ipc",
        ]
        inner = [sys.executable, "-m", "tests.e2e.kube.inside", str(self.folder / "control")]
        with (self.folder / "log" / "inside").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--kill-child=SIGKILL", *inner],
                cwd=places.ROOT,
                # What runs inside gets nothing of ours: sbatch hands its environment to the job.
                env={"PATH": packages.SEARCH, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            said = (self.folder / "log" / "inside").read_text().strip()
            raise StartError(f"no namespaces for {self.spec.name}: {said or 'unshare ended'}")
        parent = self._process.pid
        inside = int(pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
        (self.folder / "init").write_text(f"{inside} {hosts.began(inside)}")
        lines = [
            "set -e",
            f"mount -t overlay comity -o lowerdir={places.programs(self.spec.suite) / 'usr'}:/usr /usr",
            f"mount -t overlay comity -o lowerdir={self.folder / 'etc'}:/etc /etc",
            "mount -t tmpfs -o mode=755 comity /run",
            "install -d -o munge -g munge -m 755 /run/munge",
            f"hostname {CONTROLLER}",
        ]
        self.control.run("/bin/sh", "-c", "\n".join(lines))

    def _part(self, name: str, program: str, *arguments: str, user: str = "", host: str = "") -> None:
        """Start one part with a log of its own, as a user, under a host name."""
        argv = [program, *arguments]
        if user:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        if host:
            # The name of a node is the name of its host: each part has one of its own.
            argv = ["unshare", "--uts", "/bin/sh", "-c", 'hostname "$0" && exec "$@"', host, *argv]
        self.control.start(name, argv, self.folder / "log" / name)

    def _says(self, *argv: str) -> bool:
        """Say whether a command inside succeeds."""
        try:
            self.control.run(*argv)
        except processes.ProcessError:
            return False
        return True

    def _until(self, wanted: Callable[[], Any], what: str) -> None:
        """Wait for something, but not for a part that has ended.

        :raises StartError: with the last words of a part that has ended, or with what was waited for.
        """
        until = time.monotonic() + READY_S
        reason = ""
        while time.monotonic() < until:
            for name, part in self.control.parts().items():
                if part["code"] is not None:
                    last = " ".join((self.folder / "log" / name).read_text(errors="replace").splitlines()[-2:])
                    raise StartError(f"cluster {self.spec.name}: {name} ended with {part['code']}: {last[:400]}")
            try:
                if wanted():
                    return
            except (processes.ProcessError, OSError) as error:
                reason = str(error)
            threading.Event().wait(POLL_S)
        raise StartError(f"cluster {self.spec.name}: {what} not ready within {READY_S:.0f} s: {reason}")

    def stop(self) -> None:
        """Kill everything inside and remove the folder; a second call does nothing."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            try:
                self._process.wait(hosts.KILLED_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
