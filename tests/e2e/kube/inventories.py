"""The kinds of SIG-Multicluster on a cluster: real definitions from their Go module, and a profile with a status."""

import pathlib
import subprocess
from typing import Any

import yaml

from orchestrator.telemetry import clocks
from tests.e2e.kube import api, building, clusters, packages, places

MODULE = "sigs.k8s.io/cluster-inventory-api"
GROUP = "/apis/multicluster.x-k8s.io/v1alpha1"
PLURALS = ("clusterprofiles", "placementdecisions")
READY_S = 180.0


def definitions() -> pathlib.Path:
    """Return the folder of the definitions, fetched where Go's module cache does not have them.

    :raises building.BuildError: when that fails; Go's last lines are the text.
    """
    go = packages.go()
    if go is None:
        raise building.BuildError(packages.missing_go() or "Go is missing")
    folder = places.MODULES / "clusterinventory"
    done = subprocess.run(
        [go, "mod", "download", MODULE], cwd=folder, capture_output=True, text=True, timeout=READY_S * 4, check=False
    )
    if done.returncode:
        raise building.BuildError(f"{MODULE} was not fetched: {done.stderr.strip()[-400:]}")
    return building.module_folder("clusterinventory", MODULE) / "config" / "crd" / "bases"


def install(cluster: clusters.Cluster) -> None:
    """Give a cluster the kinds, and wait until it serves and announces them.

    They stay, since others may use them at the same time; who applies them just then is asked again.
    """
    folder = definitions()
    api.until(
        lambda: cluster.kubectl("apply", "--server-side", "--filename", str(folder)).returncode == 0,
        f"definitions of {MODULE}",
        timeout_s=READY_S,
    )
    for plural in PLURALS:
        path = f"{GROUP}/{plural}?limit=1"
        api.until(lambda path=path: cluster.api.request("GET", path)[0] == 200, plural, timeout_s=READY_S)
    # What is announced comes from another part of the API server, a moment later.
    api.until(lambda: _announced(cluster) >= set(PLURALS), "what is announced", timeout_s=READY_S)
    api.until(lambda: cluster.api.request("GET", GROUP.rpartition("/")[0])[0] == 200, "the group", timeout_s=READY_S)


def _announced(cluster: clusters.Cluster) -> set[str]:
    status, found = cluster.api.request("GET", GROUP)
    return {one["name"] for one in found["resources"]} if status == 200 else set()


def add_profile(hub: clusters.Cluster, space: str, name: str, cluster: clusters.Cluster, **properties: str) -> None:
    """Add a healthy profile of a cluster, with its address and CA, and properties of ours observed now."""
    path = f"{GROUP}/namespaces/{space}/clusterprofiles"
    spec = {"clusterManager": {"name": "test-manager"}, "displayName": f"{name} of the tests"}
    made = {"apiVersion": GROUP.removeprefix("/apis/"), "kind": "ClusterProfile", "metadata": {"name": name}}
    hub.api.create(path, {**made, "spec": spec})
    now = f"{clocks.SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
    status = {
        "version": {"kubernetes": building.KUBERNETES},
        "conditions": [
            {
                "type": "ControlPlaneHealthy",
                "status": "True",
                "reason": "Ready",
                "message": "",
                "lastTransitionTime": now,
            }
        ],
        "properties": [
            {"name": f"comity.dev/{key}", "value": value, "lastObservedTime": now} for key, value in properties.items()
        ],
        "accessProviders": [{"name": "test", "cluster": entry(cluster)}],
    }
    hub.api.merge(f"{path}/{name}/status", {"status": status})


def entry(cluster: clusters.Cluster) -> dict[str, Any]:
    """Return address and CA of a cluster, as its kubeconfig has them."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    return dict(document["clusters"][0]["cluster"])
