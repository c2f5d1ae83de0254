"""Namespaces, settings and images for tests of the Kubernetes backend."""

import pathlib
import secrets
import tempfile
from collections.abc import Iterable
from typing import Any

from tests.e2e.kube import api, clusters, images

READY_S = 180.0
AUTHORIZATION = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def busybox() -> str:
    """Return the image of a shell, by digest."""
    return images.make("busybox:1").pinned


def namespace(cluster: clusters.Cluster) -> str:
    """Make a namespace under Pod Security restricted and return its name."""
    name = f"t-{secrets.token_hex(5)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.api.create(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
    )
    return name


def remove(cluster: clusters.Cluster, name: str) -> None:
    """Begin to remove a namespace with all that is in it."""
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def settings(cluster: clusters.Cluster, space: str, **more: Any) -> dict[str, Any]:
    """Return settings of a backend for a namespace of a cluster."""
    return {
        "kubeconfig": cluster.kubeconfig.read_text(),
        "namespace": space,
        "jurisdiction": cluster.jurisdiction,
        **more,
    }


def job(cluster: clusters.Cluster, space: str, key: str) -> dict[str, Any]:
    """Return a Job as the API server has it; {} for none."""
    status, found = cluster.api.request("GET", f"/apis/batch/v1/namespaces/{space}/jobs/{key}")
    return dict(found) if status == 200 else {}


def may(cluster: clusters.Cluster, space: str, account: str, right: tuple[str, str, str], *, everywhere: bool) -> bool:
    """Return the API server's own answer whether a service account may.

    :param space: the account's namespace, and that of what it asks for unless ``everywhere``.
    :param right: group, resource (with its part behind a slash) and verb.
    """
    group, (resource, _, part), verb = right[0], right[1].partition("/"), right[2]
    asked = {"group": group, "resource": resource, "subresource": part, "verb": verb}
    where = {} if everywhere else {"namespace": space}
    named = {"name": "kube-system"} if resource == "namespaces" else {}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated"]
    spec = {
        "user": f"system:serviceaccount:{space}:{account}",
        "groups": groups,
        "resourceAttributes": {**asked, **where, **named},
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool(cluster.api.create(AUTHORIZATION, review)["status"].get("allowed"))


def until_refused(cluster: clusters.Cluster, path: str, body: dict[str, Any], words: str) -> None:
    """Wait until the API server refuses an object in these words: what it judges by it reads a moment after us."""

    def refused() -> bool:
        status, answer = cluster.api.request("POST", f"{path}?dryRun=All", body)
        return status >= 400 and words in str(answer)

    api.until(refused, f"refusals with {words!r}", timeout_s=READY_S)


def no_pods(cluster: clusters.Cluster, space: str) -> str:
    """Let no pod into a namespace, by a quota that is in force; return its path."""
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    cluster.api.create(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    container = {
        "name": "c",
        "image": "x",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    strict = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"metadata": {"name": "probe"}, "spec": {"containers": [container], "securityContext": strict}}
    until_refused(cluster, f"/api/v1/namespaces/{space}/pods", pod, "exceeded quota: none")
    return f"{quotas}/none"


def is_ending(cluster: clusters.Cluster, space: str, key: str) -> bool:
    """Say whether a Job was told to end: it makes no pods any more."""
    return bool(job(cluster, space, key).get("spec", {}).get("parallelism") == 0)


def claim(cluster: clusters.Cluster, space: str, name: str = "kept") -> pathlib.Path:
    """Make a claim of a namespace on a folder of the first node, and return that folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="claim-", dir=cluster.folder))
    volume = f"{space}-{name}"
    size = {"storage": "1Gi"}
    where = {"key": "kubernetes.io/hostname", "operator": "In", "values": [cluster.nodes[0]]}
    spec = {
        "capacity": size,
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "local": {"path": str(folder)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}},
        "claimRef": {"namespace": space, "name": name},
    }
    cluster.api.create("/api/v1/persistentvolumes", {"metadata": {"name": volume}, "spec": spec})
    asked = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": volume,
        "resources": {"requests": size},
    }
    cluster.api.create(
        f"/api/v1/namespaces/{space}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": asked}
    )
    return folder


def remove_claim(cluster: clusters.Cluster, space: str, name: str = "kept") -> None:
    """Remove what ``claim`` made outside the namespace, but for the folder, which goes with the cluster."""
    cluster.kubectl("delete", "persistentvolume", f"{space}-{name}", "--wait=false")


def called(cluster: clusters.Cluster, space: str, account: str, *, everywhere: bool) -> set[tuple[str, str, str]]:
    """Return what a service account asked for, refused or not, as the API server wrote it down: group, resource, verb.

    :param space: the account's namespace.
    :param everywhere: what it asked for in all namespaces or of no namespace; else what it asked for in one.
    """
    found = set()
    for event in cluster.calls_of(f"system:serviceaccount:{space}:{account}"):
        what = event.get("objectRef")
        if what is None or what["resource"].startswith("selfsubject") or ("namespace" not in what) != everywhere:
            continue
        resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
        found.add((what.get("apiGroup", ""), resource, event["verb"]))
    return found


def single(rights: Iterable[tuple[str, str, Iterable[str]]]) -> set[tuple[str, str, str]]:
    """Return each right of a table by itself."""
    return {(group, resource, verb) for group, resource, verbs in rights for verb in verbs}
