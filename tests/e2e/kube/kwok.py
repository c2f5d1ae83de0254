"""Nodes and pods that only the API server knows: kwok plays the kubelet for nodes that carry its annotation.

Real pods for truth, these for scale: a fake node with eight fake accelerators is Ready in a second, and its pods run
and complete without a process.
"""

import json
import pathlib
from typing import Any

import yaml

from tests.e2e.kube import api, building, clusters

MODULE = "sigs.k8s.io/kwok"
ANNOTATION = "kwok.x-k8s.io/node"
STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-delete",
)
COMPLETE = "pod/fast/pod-complete"
"""kwok does nothing by itself; these make nodes Ready, keep their leases, and let pods run, complete and go."""
READY_S = 180.0
STEADY = "steady"
"""Pods on nodes whose name begins so run until they are deleted; on all others they complete at once."""
TAINT = {"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}


def start(cluster: clusters.Cluster) -> None:
    """Start kwok inside the cluster's namespaces."""
    command = [
        str(building.program("kwok")),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        # Renewed every three seconds, as kubelets here do: the controller manager forgives no more than 16 s.
        "--node-lease-duration-seconds=12",
        *(f"--config={file}" for file in _stages(cluster.folder / "kwok")),
    ]
    cluster.control.start("kwok", command, cluster.folder / "log" / "kwok")


def add_node(
    cluster: clusters.Cluster,
    name: str,
    *,
    resources: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    tainted: bool = False,
) -> None:
    """Add a fake node and wait until pods may go to it.

    :param resources: beside 64 CPUs, 512 GiB and 1,000 pods: ``{"nvidia.com/gpu": "8"}``.
    :param labels: beside the jurisdiction of the cluster.
    :param tainted: keep pods away that do not tolerate ``TAINT``.
    """
    client = cluster.api
    allocatable = {"cpu": "64", "memory": "512Gi", "pods": "1000", **(resources or {})}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {"kubernetes.io/hostname": name, clusters.JURISDICTION: cluster.jurisdiction, **(labels or {})},
        },
        "spec": {"taints": [TAINT]} if tainted else {},
        "status": {"allocatable": allocatable, "capacity": allocatable},
    }
    client.create("/api/v1/nodes", body)

    api.until(lambda: cluster.node_usable(name), f"fake node {name}", timeout_s=READY_S)


def add_devices(
    cluster: clusters.Cluster, node: str, *, driver: str, count: int, attributes: dict[str, Any], memory: str
) -> None:
    """Publish accelerators of a node as a DRA driver would, with no driver: the scheduler allocates them all the same.

    :param attributes: of every device, by name, as ``{"productName": {"string": "H200"}}``; ``memory`` a quantity.
    """
    name = f"{node}-{driver.replace('.', '-')}"
    devices = [
        {"name": f"d{number}", "attributes": attributes, "capacity": {"memory": {"value": memory}}}
        for number in range(count)
    ]
    spec = {
        "driver": driver,
        "nodeName": node,
        "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        "devices": devices,
    }
    document = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name}, "spec": spec}
    cluster.api.create("/apis/resource.k8s.io/v1/resourceslices", document)


def add_device_class(cluster: clusters.Cluster, name: str, *, driver: str) -> None:
    """Declare a class of devices, all that a driver publishes, unless somebody has."""
    expression = f"device.driver == {json.dumps(driver)}"
    document = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }
    status, answer = cluster.api.request("POST", "/apis/resource.k8s.io/v1/deviceclasses", document)
    assert status in (201, 409), answer


def _stages(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the stages of the module cache, with pods on ``STEADY`` nodes made to run until they are deleted."""
    source = building.module_folder("kwok", MODULE) / "kustomize" / "stage"
    files = [source / f"{stage}.yaml" for stage in STAGES]
    document = yaml.safe_load((source / f"{COMPLETE}.yaml").read_text())
    expression = {
        "key": f'.spec.nodeName | startswith("{STEADY}") | tostring',
        "operator": "NotIn",
        "values": ["true"],
    }
    document["spec"]["selector"]["matchExpressions"].append(expression)
    folder.mkdir(exist_ok=True)
    own = folder / "pod-complete.yaml"
    own.write_text(json.dumps(document))
    return [*files, own]
