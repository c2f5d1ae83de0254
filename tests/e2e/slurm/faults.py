"""What goes wrong with Slurm, done on purpose. Each fault that lasts is a context and is over when it is left.

Only for a cluster that nobody else uses meanwhile: the fixture ``lone_slurm``.
"""

import contextlib
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.kube import processes
from tests.e2e.slurm import clusters

CONTROLLER, REST = "slurmctld", "slurmrestd"
READY_S = 180.0
NUDGE_S = 60.0
LOST_S = 600.0
POLL_S = 0.05
RUNNING = "idle", "mixed", "allocated"
LIVE = "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED"
KILL = """
space=$(readlink /proc/$0/ns/uts); test -n "$space" || exit 1
for round in 1 2 3; do
  for found in /proc/[0-9]*; do
    test "$(readlink $found/ns/uts 2>/dev/null)" = "$space" && kill -KILL ${found#/proc/}
  done
done
exit 0
"""


def until(wanted: Callable[[], Any], what: str, *, timeout_s: float = READY_S, show: Callable[[], object] = str) -> Any:
    """Wait until something holds, and return it.

    :param show: what to say where it does not come.
    :raises AssertionError: when it does not come; a command that fails meanwhile is tried again.
    """
    end, reason = time.monotonic() + timeout_s, ""
    while time.monotonic() < end:
        try:
            found = wanted()
        except (processes.ProcessError, OSError) as error:
            found, reason = None, f": {error}"
        if found:
            return found
        threading.Event().wait(POLL_S)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s{reason} {show()}")


def answers(cluster: clusters.Cluster) -> bool:
    """Say whether slurmrestd answers and finds the controller up."""
    status, body = cluster.request("GET", "ping")
    return status == 200 and [ping.get("ping", ping.get("pinged")) for ping in body["pings"]] == ["UP"]


def _listens(cluster: clusters.Cluster) -> bool:
    """Say whether the controller's port is open. Whoever asks before that by Slurm's own means waits for seconds."""
    found = re.search(r"^SlurmctldPort=(\d+)$", (cluster.folder / "etc/slurm/slurm.conf").read_text(), re.MULTILINE)
    assert found is not None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(found[1]))) == 0


def ready(cluster: clusters.Cluster) -> None:
    """Wait until requests are answered and every node takes jobs.

    A node is asked by name: after a restart the controller believes what it wrote down until the node has answered.
    """
    until(lambda: _listens(cluster), f"slurmctld of {cluster.name}")
    until(lambda: answers(cluster), f"slurmrestd and slurmctld of {cluster.name}")
    until(lambda: all(state in RUNNING for state in cluster.nodes().values()), "nodes", show=cluster.nodes)


def account(cluster: clusters.Cluster) -> str:
    """Return what there is to say where something did not come: nodes, jobs, the last lines of the logs."""
    said = [f"{cluster.nodes()}", cluster.run("scontrol", "--oneliner", "show", "job")]
    parts = sorted(name for name in cluster.control.parts() if name.startswith("slurm"))
    return "\n".join([*said, *(f"--- {part}\n{cluster.log(part)}" for part in parts)])


def patiently(cluster: clusters.Cluster, wanted: Callable[[], Any], what: str) -> Any:
    """Wait until a job has come to something, and return it, also where its launch was lost on the way.

    Then Slurm finds at the node's next registration, up to twenty pings away, that nothing runs there, queues the job
    again and lets it wait for two minutes. Nodes are made to register meanwhile.
    """
    end = time.monotonic() + LOST_S
    while time.monotonic() < end:
        with contextlib.suppress(AssertionError):
            return until(wanted, what, timeout_s=NUDGE_S)
        with contextlib.suppress(processes.ProcessError):
            cluster.run("scontrol", "reconfigure")
    raise AssertionError(f"{what}: not within {LOST_S:.0f} s\n{account(cluster)}")


def next_number(cluster: clusters.Cluster) -> int:
    """Return the number that the controller gives next."""
    found = re.search(r"^NEXT_JOB_ID\s*=\s*(\d+)$", cluster.run("scontrol", "show", "config"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def mend(cluster: clusters.Cluster, beyond: int = 0) -> None:
    """Do what an administrator does after a crash: cancel what is left, and let drained nodes take jobs again.

    A controller that was killed may believe that a job still waits which runs already; it starts it again, the node
    says so, and the controller drains the node ("Duplicate jobid").

    :param beyond: no number below this is given again: a node refuses one that it still knows, alive or cancelled.
    """

    def idle() -> bool:
        # More than once: a job that could not be launched is queued again meanwhile.
        for user in clusters.USERS:
            cluster.run("scancel", f"--user={user}")
        return all(job["State"] not in LIVE for job in cluster.jobs())

    until(idle, "jobs", show=cluster.jobs)
    for node, state in cluster.nodes().items():
        if state not in RUNNING:
            with contextlib.suppress(processes.ProcessError):  # what a reservation leaves behind goes by itself
                cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    ready(cluster)
    while next_number(cluster) < beyond:
        cluster.run("scancel", str(cluster.sbatch("#!/bin/sh\n", "--hold", "--output=/dev/null")))


@contextlib.contextmanager
def stopped(cluster: clusters.Cluster, part: str = CONTROLLER, *, kill: bool = False) -> Iterator[None]:
    """End a part politely (it writes its state), or as a power cut would; start it again afterwards."""
    if kill:
        cluster.control.kill(part)
    else:
        cluster.control.stop(part)
    try:
        yield
    finally:
        cluster.control.restart(part)
        ready(cluster)


def restart(cluster: clusters.Cluster, part: str = CONTROLLER, *, kill: bool = False) -> None:
    """End a part and start it again, and wait until the cluster takes jobs."""
    with stopped(cluster, part, kill=kill):
        pass


@contextlib.contextmanager
def power_cut(cluster: clusters.Cluster) -> Iterator[None]:
    """Kill the controller at the end, before what happened inside has been written: it writes every 5 s.

    What was acknowledged inside is unknown afterwards, runs on where it has begun, and its number is given again.
    """
    restart(cluster)  # a polite end writes the state
    state, kept = cluster.folder / "state", cluster.folder / "kept"
    cluster.run("/bin/sh", "-c", 'rm -rf "$1" && mkdir "$1" && cp -p "$0"/job_state* "$1"', state, kept)
    try:
        yield
    finally:
        cluster.control.kill(CONTROLLER)
        cluster.run("/bin/sh", "-c", 'rm -f "$0"/job_state* && cp -p "$1"/* "$0"', state, kept)
        cluster.control.restart(CONTROLLER)
        ready(cluster)


@contextlib.contextmanager
def frozen(cluster: clusters.Cluster, part: str = CONTROLLER) -> Iterator[None]:
    """Let a part accept connections and answer nothing; what was sent meanwhile it does afterwards."""
    cluster.control.send(part, signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.control.send(part, signal.SIGCONT)
        ready(cluster)


@contextlib.contextmanager
def frozen_node(cluster: clusters.Cluster, node: str) -> Iterator[None]:
    """Let a node accept connections and do nothing; what was sent meanwhile it does afterwards."""
    part = f"slurmd-{node}"
    cluster.control.send(part, signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.control.send(part, signal.SIGCONT)


@contextlib.contextmanager
def dead_node(cluster: clusters.Cluster, node: str) -> Iterator[None]:
    """Kill a node and all that runs there, as a power cut does; afterwards it comes back.

    The controller would find out by itself after SlurmdTimeout; it is told, which spares a test the wait.
    """
    kill_node(cluster, node)
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        yield
    finally:
        cluster.control.restart(f"slurmd-{node}")
        cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        ready(cluster)


def kill_node(cluster: clusters.Cluster, node: str) -> None:
    """Kill every process of a node, slurmd among them: they share the namespace that holds the node's host name."""
    pid = cluster.control.parts()[f"slurmd-{node}"]["pid"]
    cluster.run("/bin/sh", "-c", KILL, str(pid))
    cluster.control.kill(f"slurmd-{node}")


@contextlib.contextmanager
def drained(cluster: clusters.Cluster, node: str) -> Iterator[None]:
    """Let a node take no new job; what runs there runs on."""
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        yield
    finally:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        ready(cluster)


@contextlib.contextmanager
def reservation(
    cluster: clusters.Cluster,
    name: str,
    *,
    nodes: str = "ALL",
    start: str = "now",
    minutes: int = 60,
    users: str = "root",
    flags: str = "",
) -> Iterator[None]:
    """Keep nodes for some users; with ``flags="MAINT,IGNORE_JOBS"`` a maintenance window.

    :param start: as Slurm writes times: ``now``, ``now+2hours``.
    """
    words = [f"ReservationName={name}", f"StartTime={start}", f"Duration={minutes}", f"Users={users}", f"Nodes={nodes}"]
    cluster.run("scontrol", "create", "reservation", *words, *([f"Flags={flags}"] if flags else []))
    try:
        yield
    finally:
        cluster.run("scontrol", "delete", f"ReservationName={name}")


def forget(cluster: clusters.Cluster) -> None:
    """Let the controller forget every job and begin again with the first number, as a site that lost its state does."""
    cluster.control.stop(CONTROLLER)
    cluster.run("/bin/sh", "-c", 'rm -rf "$0"/*', cluster.folder / "state")
    cluster.control.restart(CONTROLLER)
    ready(cluster)
