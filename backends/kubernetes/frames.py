"""What every pod here has in common: Pod Security ``restricted``, no token, and the nodes of its pool. Pure."""

from __future__ import annotations

from typing import Any

from backends.kubernetes import settings as schema


def pod(wanted: schema.KubernetesSettings) -> dict[str, Any]:
    """Return what a pod needs for Pod Security ``restricted``, and what it does without."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": wanted.run_as.uid,
            "runAsGroup": wanted.run_as.gid,
            "fsGroup": wanted.run_as.gid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def container(read_only: bool) -> dict[str, Any]:
    """Return the same of a container."""
    return {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": read_only,
        }
    }


def placed(wanted: schema.KubernetesSettings, name: str) -> dict[str, Any]:
    """Return which nodes a pod of a pool may have, and what it puts up with there."""
    pool = wanted.pool(name)
    found: dict[str, Any] = {"nodeSelector": wanted.selector(name)}
    if pool.tolerations:
        found["tolerations"] = [_toleration(one) for one in pool.tolerations]
    return found


def _toleration(one: schema.Toleration) -> dict[str, str]:
    found = {"key": one.key, "operator": "Exists" if one.value is None else "Equal"}
    if one.value is not None:
        found["value"] = one.value
    if one.effect is not None:
        found["effect"] = one.effect
    return found
