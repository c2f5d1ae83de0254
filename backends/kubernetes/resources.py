"""What a container asks of its node, and the claim for devices that have a class (resource.k8s.io/v1). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backends.kubernetes import settings as schema
from orchestrator.domain import jobs

CLAIM = "accelerators"
"""Name of the claim inside a pod."""


def of_container(asked: jobs.Resources, device: schema.Device | None) -> dict[str, Any]:
    """Return requests and limits: memory is both, CPUs a request only, so that a node's idle ones may be used."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    if asked.cpu_milli:
        requests["cpu"] = f"{asked.cpu_milli}m"
    if asked.memory_bytes:
        requests["memory"] = limits["memory"] = str(asked.memory_bytes)
    found: dict[str, Any] = {}
    if asked.accelerators is not None and device is not None:
        if device.resource is None:
            found["claims"] = [{"name": CLAIM}]
        else:
            limits[device.resource] = requests[device.resource] = str(asked.accelerators.count)
    if requests:
        found["requests"] = requests
    if limits:
        found["limits"] = limits
    return found


def claims(
    key: str,
    asked: jobs.Resources,
    device: schema.Device | None,
    alternatives: Sequence[schema.Device],
    marks: Mapping[str, str],
) -> tuple[Mapping[str, Any], ...]:
    """Return the ResourceClaimTemplate of a job whose accelerators are devices of a class, best choice first."""
    if asked.accelerators is None or device is None or device.device_class is None:
        return ()
    count = asked.accelerators.count
    request: dict[str, Any] = {"name": CLAIM}
    if alternatives:
        listed = [_request(one, count) for one in (device, *alternatives)]
        request["firstAvailable"] = [{"name": f"choice-{number}", **one} for number, one in enumerate(listed)]
    else:
        request["exactly"] = _request(device, count)
    return (
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaimTemplate",
            "metadata": {"name": key, "labels": dict(marks)},
            "spec": {"metadata": {"labels": dict(marks)}, "spec": {"devices": {"requests": [request]}}},
        },
    )


def _request(device: schema.Device, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {"deviceClassName": device.device_class, "allocationMode": "ExactCount", "count": count}
    if device.selectors:
        found["selectors"] = [{"cel": {"expression": text}} for text in device.selectors]
    return found
