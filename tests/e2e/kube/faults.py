"""What goes wrong with clusters, done on purpose. Each fault that lasts is a context and is over when it is left.

Only for a cluster that nobody else uses meanwhile: the fixture ``lone``.
"""

import base64
import contextlib
import json
import signal
import sys
from collections.abc import Iterator

from tests.e2e.kube import api, assembling, clusters

READY_S = 180.0
SERVER = "kube-apiserver"
POST = """
import sys, urllib.request
path, body = sys.argv[1:]
print(urllib.request.urlopen(urllib.request.Request(path, body.encode()), timeout=30).read().decode())
"""


def back(cluster: clusters.Cluster) -> None:
    """Wait until the API server answers and believes again that pods may go to the nodes: their leases are old."""
    api.until(cluster.api.ready, f"API server of {cluster.name}", timeout_s=READY_S)
    for node in cluster.nodes:
        api.until(lambda node=node: cluster.node_usable(node), f"node {node}", timeout_s=READY_S)  # type: ignore[misc]


def restart_api_server(cluster: clusters.Cluster, *, kill: bool = False) -> None:
    """End the API server, politely or as a power cut would, start it again and wait until it is ready."""
    with stopped_api_server(cluster, kill=kill):
        pass


@contextlib.contextmanager
def stopped_api_server(cluster: clusters.Cluster, *, kill: bool = False) -> Iterator[None]:
    """Nobody listens at the API server's port: connections are refused."""
    if kill:
        cluster.control.kill(SERVER)
    else:
        cluster.control.stop(SERVER)
    try:
        yield
    finally:
        cluster.control.restart(SERVER)
        back(cluster)


@contextlib.contextmanager
def frozen_api_server(cluster: clusters.Cluster) -> Iterator[None]:
    """Let the API server accept connections and answer nothing."""
    cluster.control.send(SERVER, signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.control.send(SERVER, signal.SIGCONT)
        back(cluster)


def break_connections(cluster: clusters.Cluster) -> None:
    """Reset connections to the API server from this machine, until one that was in use is; both ends live on."""
    rule = ("INPUT", "--in-interface", "eth0", "--protocol", "tcp", "--dport", str(assembling.API_PORT))
    rule += ("--jump", "REJECT", "--reject-with", "tcp-reset")

    def reset() -> bool:
        said = cluster.control.run("iptables", "--wait", "--list", "INPUT", "--numeric", "--verbose", "--exact")
        counts = [int(line.split()[0]) for line in said.splitlines() if "tcp-reset" in line]
        return sum(counts) > 0

    cluster.control.run("iptables", "--wait", "--insert", *rule)
    try:
        api.until(reset, "a connection that is reset", timeout_s=READY_S)
    finally:
        cluster.control.run("iptables", "--wait", "--delete", *rule)
        back(cluster)


@contextlib.contextmanager
def black_hole(cluster: clusters.Cluster) -> Iterator[None]:
    """Drop every packet between this machine and the API server; inside, the cluster goes on."""
    rule = (
        "INPUT",
        "--in-interface",
        "eth0",
        "--protocol",
        "tcp",
        "--dport",
        str(assembling.API_PORT),
        "--jump",
        "DROP",
    )
    cluster.control.run("iptables", "--wait", "--insert", *rule)
    try:
        yield
    finally:
        cluster.control.run("iptables", "--wait", "--delete", *rule)
        back(cluster)


def _etcd(cluster: clusters.Cluster, call: str, body: dict[str, object]) -> dict[str, object]:
    """Ask etcd, by its JSON gateway, from inside: it listens nowhere else."""
    said = cluster.control.run(sys.executable, "-c", POST, f"{assembling.ETCD}/v3/{call}", json.dumps(body))
    answer: dict[str, object] = json.loads(said)
    return answer


def compact(cluster: clusters.Cluster) -> int:
    """Let etcd forget every revision but the newest, and return that one.

    The API server still answers old revisions from its own memory until it is restarted; then they are 410 Gone.
    """
    key = base64.b64encode(b"/registry/").decode()
    header = _etcd(cluster, "kv/range", {"key": key, "limit": "1"})["header"]
    assert isinstance(header, dict)
    revision = int(header["revision"])
    _etcd(cluster, "kv/compaction", {"revision": str(revision), "physical": True})
    return revision


@contextlib.contextmanager
def dead_kubelet(cluster: clusters.Cluster, node: str) -> Iterator[None]:
    """Kill the kubelet of a node; its containers go on, unseen. Afterwards it comes back and the node gets Ready."""
    part = f"kubelet-{node}"
    cluster.control.kill(part)
    try:
        yield
    finally:
        cluster.control.restart(part)
        api.until(lambda: cluster.node_usable(node), f"node {node}", timeout_s=READY_S)
