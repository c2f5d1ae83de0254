"""All nodes of a gang, or none, by the cluster's own scheduler (``gang: workload``): one PodGroup an attempt.

The API is alpha in Kubernetes 1.36 (``scheduling.k8s.io/v1alpha2``, gate GenericWorkload) and beta in 1.37 (v1beta1);
both call what is used here the same. It decides about nodes only: a node's address is told by the start barrier still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from backends.kubernetes import client, errors

GROUP, PLURAL = "scheduling.k8s.io", "podgroups"
VERSIONS = ("v1beta1", "v1alpha2")
"""Those that are understood, best first. v1beta1 once had other resources: it is asked what it serves."""
LOOK_EVERY_S = 60.0


def group(key: str, nodes: int, version: str, marks: Mapping[str, str]) -> dict[str, Any]:
    """Return the PodGroup of one attempt."""
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "PodGroup",
        "metadata": {"name": key, "labels": dict(marks)},
        "spec": {"schedulingPolicy": {"gang": {"minCount": nodes}}},
    }


def of_pod(key: str) -> dict[str, Any]:
    """Return what a pod says to be scheduled with its group."""
    return {"schedulingGroup": {"podGroupName": key}}


class Versions:
    """Which version of PodGroups a cluster serves. Safe to call from several threads."""

    def __init__(self, talk: client.Client, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = talk
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._found = ""

    def find(self) -> str:
        """Return the version; "" where none is served. Raises BackendError."""
        with self._lock:
            if not self._found and self._monotonic() - self._looked_s > LOOK_EVERY_S:
                self._found = next((version for version in VERSIONS if self._serves(version)), "")
                self._looked_s = self._monotonic()
            return self._found

    def _serves(self, version: str) -> bool:
        try:
            listed = self._client.get(f"/apis/{GROUP}/{version}").get("resources")
        except errors.StatusError as error:
            if error.status == 404:
                return False
            raise errors.of_status(error, f"look for {PLURAL}.{GROUP}", self._client.hint) from error
        found = listed if isinstance(listed, list) else []
        return any(isinstance(one, Mapping) and one.get("name") == PLURAL for one in found)
