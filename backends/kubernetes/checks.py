"""Asks the API server, before work and now and then, whether the account may do all that the adapter does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from backends.kubernetes import client, errors, permissions, slices
from backends.kubernetes import settings as schema

EVERY_S = 300.0
_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Checks:
    """Safe to call from several threads."""

    def __init__(self, talk: client.Client, wanted: schema.KubernetesSettings) -> None:
        self._client = talk
        self._wanted = wanted
        self._lock = threading.Lock()
        self._at_s = float("-inf")

    def due(self) -> None:
        """Check, where that is due. Raises TransientError ``kubernetes.forbidden`` with every right that is missing."""
        with self._lock:
            if time.monotonic() - self._at_s < EVERY_S:
                return
            missing = [
                _said(right, verb, where) for right, verb, where in self._asked() if not self._may(right, verb, where)
            ]
            if missing:
                shown = "; ".join(missing[:8]) + (f"; and {len(missing) - 8} more" if len(missing) > 8 else "")
                raise errors.access(
                    "forbidden", f"the account may not {shown}: bind it to the role of docs/kubernetes.md"
                )
            self._namespace()
            self._claim()
            self._at_s = time.monotonic()

    def _asked(self) -> Iterator[tuple[tuple[str, str], str, str]]:
        space = self._wanted.namespace
        optional = {
            "resource.k8s.io": any(one.device_class for one in self._wanted.accelerators.values()),
            "": self._wanted.outputs is not None,
            "scheduling.k8s.io": self._wanted.gang == "workload",
            "networking.k8s.io": self._wanted.network_policy is not None,
            "fence.comity.dev": self._wanted.fence,
            "ray.io": self._wanted.rayjobs is not None,
            "kueue.x-k8s.io": any(pool.queue for pool in self._wanted.pools.values()),
        }
        for group, resource, verbs in permissions.NAMESPACED:
            yield from (((group, resource), verb, space) for verb in sorted(verbs))
        for group, resource, verbs in permissions.OPTIONAL:
            if optional.get(group):
                yield from (((group, resource), verb, space) for verb in sorted(verbs))
        wide = permissions.CLUSTER
        wide += permissions.CLUSTER_OPTIONAL if slices.uses_classes(self._wanted) else ()
        wide += permissions.SEE_OTHERS if self._wanted.see_others else ()
        for group, resource, verbs in wide:
            yield from (((group, resource), verb, "") for verb in sorted(verbs))

    def _may(self, right: tuple[str, str], verb: str, namespace: str) -> bool:
        group, (resource, _, sub) = right[0], right[1].partition("/")
        wanted = {"group": group, "resource": resource, "subresource": sub, "verb": verb, "namespace": namespace}
        if resource == "namespaces":
            wanted["name"] = "kube-system"
        body: Mapping[str, Any] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in wanted.items() if value}},
        }
        try:
            found = self._client.post(_PATH, body)
        except errors.StatusError as error:
            raise errors.of_status(error, "ask for rights", self._client.hint) from error
        status = found.get("status")
        return isinstance(status, Mapping) and status.get("allowed") is True

    def _namespace(self) -> None:
        """Raise TransientError ``kubernetes.namespace`` where there is none of this name: lists of it are empty."""
        space = self._wanted.namespace
        try:
            self._client.get(f"/api/v1/namespaces/{space}")
        except errors.StatusError as error:
            if error.status == 404:
                raise errors.access(
                    "namespace", f"namespace {space} does not exist: kubectl create namespace {space}"
                ) from None
            if error.status != 403:
                raise errors.of_status(error, f"read namespace {space}", self._client.hint) from error

    def _claim(self) -> None:
        """Raise TransientError ``kubernetes.claim`` where the claim for outputs is not there."""
        if self._wanted.outputs is None:
            return
        space, claim = self._wanted.namespace, self._wanted.outputs.claim
        try:
            self._client.get(f"/api/v1/namespaces/{space}/persistentvolumeclaims/{claim}")
        except errors.StatusError as error:
            if error.status == 404:
                raise errors.access(
                    "claim", f"namespace {space} has no PersistentVolumeClaim {claim} (settings.outputs.claim): make it"
                ) from None
            raise errors.of_status(error, f"read PersistentVolumeClaim {claim}", self._client.hint) from error


def _said(right: tuple[str, str], verb: str, namespace: str) -> str:
    group, resource = right
    return f"{verb} {resource}{f'.{group}' if group else ''}{f' in {namespace}' if namespace else ''}"
