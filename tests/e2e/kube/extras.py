"""What only the full suite starts: names of services (CoreDNS) and a queue (Kueue), as processes beside the API server.

Each is the real component, built from its Go module; neither runs in a pod, for that would take images of its own.
"""

import json
from typing import Any

from tests.e2e.kube import api, building, certificates, clusters, nodes

READY_S = 300.0
DNS_PORT = 53
KUEUE = "sigs.k8s.io/kueue"
FLAVOR = "any"
SETTINGS = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "health": {"healthProbeBindAddress": "127.0.0.1:8081"},
    "metrics": {"bindAddress": "127.0.0.1:8443"},
    "leaderElection": {"leaderElect": False},
    "internalCertManagement": {"enable": False},
    "integrations": {"frameworks": ["batch/job"]},
}
# Kueue reads its metrics certificate from /etc, whatever its settings say: the cluster sees an /etc of its own.
OWN_ETC = """set -e
mkdir -p /run/etc/upper /run/etc/work
mount -t overlay comity -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
mkdir -p /etc/kueue/metrics/certs
"""


def start_dns(cluster: clusters.Cluster) -> None:
    """Give the cluster names: services, and the pods of headless services. Pods started before know nothing of it."""
    building.ensure("coredns")
    address = cluster.server.rpartition(":")[0].removeprefix("https://")
    settings = cluster.folder / "Corefile"
    settings.write_text(
        f".:{DNS_PORT} {{\n bind {address}\n errors\n kubernetes cluster.local in-addr.arpa {{\n"
        f"  kubeconfig {cluster.kubeconfig}\n  pods insecure\n  ttl 1\n }}\n}}\n"
    )
    command = [str(building.program("coredns")), "-conf", str(settings)]
    cluster.control.start("coredns", command, cluster.folder / "log" / "coredns")
    ports = [{"name": name.lower(), "protocol": name, "port": DNS_PORT} for name in ("UDP", "TCP")]
    where = "/api/v1/namespaces/kube-system/services"
    cluster.api.create(
        where, {"metadata": {"name": "kube-dns"}, "spec": {"clusterIP": nodes.DNS_ADDRESS, "ports": ports}}
    )
    cluster.api.create(
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
        {
            "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": ports,
        },
    )


def start_kueue(cluster: clusters.Cluster) -> None:
    """Install Kueue without its webhooks: it takes Jobs that carry a queue's name and are created suspended."""
    building.ensure("kueue")
    folder = cluster.folder / "kueue"
    folder.mkdir()
    definitions = building.module_folder("kueue", KUEUE) / "config" / "components" / "crd" / "bases"
    done = cluster.kubectl("apply", "--server-side", "--filename", str(definitions))
    if done.returncode:
        raise api.ApiError(f"definitions of Kueue: {done.stderr.strip()}")
    wait = ("wait", "--for=condition=Established", "customresourcedefinitions", "--all", f"--timeout={READY_S:.0f}s")
    cluster.kubectl(*wait)
    authority = certificates.Authority(folder / "pki", "comity-test-kueue")
    # It serves its webhooks even though nobody is told to call them.
    settings = SETTINGS | {"webhook": {"host": "127.0.0.1", "port": 9443, "certDir": str(authority.folder)}}
    (folder / "settings.json").write_text(json.dumps(settings))
    pair = authority.issue("tls", user="kueue", names=["localhost"])
    cluster.control.run("/bin/sh", "-c", OWN_ETC)
    for file in (pair.certificate, pair.key):
        cluster.control.run("cp", file, f"/etc/kueue/metrics/certs/{file.name}")
    command = [
        str(building.program("kueue")),
        f"--config={folder / 'settings.json'}",
        f"--kubeconfig={cluster.kubeconfig}",
        "--feature-gates=VisibilityOnDemand=false",
    ]
    cluster.control.start("kueue", command, cluster.folder / "log" / "kueue")


def add_queue(cluster: clusters.Cluster, space: str, name: str, *, quota: dict[str, str]) -> None:
    """Declare a queue in a namespace with a quota of its own (``{"cpu": "1", "memory": "1Gi"}``).

    :raises api.ApiError: when it is not active after a while.
    """
    client, base = cluster.api, "/apis/kueue.x-k8s.io/v1beta2"

    def document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}, "spec": spec}

    flavors = f"{base}/resourceflavors"
    if client.request("GET", f"{flavors}/{FLAVOR}")[0] == 404:
        client.create(flavors, document("ResourceFlavor", FLAVOR, {}))
    resources = [{"name": resource, "nominalQuota": amount} for resource, amount in quota.items()]
    groups = [{"coveredResources": list(quota), "flavors": [{"name": FLAVOR, "resources": resources}]}]
    spec = {"namespaceSelector": {}, "resourceGroups": groups}
    client.create(f"{base}/clusterqueues", document("ClusterQueue", f"{space}-{name}", spec))
    where = f"{base}/namespaces/{space}/localqueues"
    client.create(where, document("LocalQueue", name, {"clusterQueue": f"{space}-{name}"}))

    def active() -> bool:
        conditions = client.get(f"{where}/{name}").get("status", {}).get("conditions", ())
        return any(found["type"] == "Active" and found["status"] == "True" for found in conditions)

    api.until(active, f"queue {name}", timeout_s=READY_S)
