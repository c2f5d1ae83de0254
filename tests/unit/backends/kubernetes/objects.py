"""Objects as an API server would send them, for tests: the least that means something."""

import datetime as dt
from typing import Any

from backends.kubernetes import names, render, settings, views
from orchestrator.domain import ids, jobs
from orchestrator.ports import backends

JOB = ids.JobId("01ARZ3NDEKTSV4RRFFQ69G5FAV")
KEY = ids.attempt_key(JOB, 1)
IMAGE = "registry.example/train@sha256:" + "a" * 64
NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def wanted(**more: Any) -> settings.KubernetesSettings:
    """Return settings."""
    return settings.KubernetesSettings.read({"inCluster": True, "namespace": "jobs", "jurisdiction": "FR", **more})


def grant(accelerator: str | None = None, *, user_namespaces: bool = False, **more: Any) -> render.Grant:
    """Return a grant."""
    return render.Grant(wanted(**more), "gra", "here", accelerator, user_namespaces)


def placement(*, job: ids.JobId = JOB, number: int = 1, **spec: Any) -> backends.SealedPlacement:
    """Return a placement of a job in pool ``p``."""
    given = {"name": "t", "image": IMAGE, "command": ("python", "train.py"), **spec}
    extra = {name: given.pop(name) for name in ("workdir_bytes", "time_limit", "data") if name in given}
    content = extra.get("workdir_bytes")
    return backends.SealedPlacement(
        key=ids.attempt_key(job, number),
        job=job,
        tenant="t",
        number=number,
        site=ids.SiteName("gra/p"),
        pool="p",
        spec=jobs.JobSpec(**given),
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=backends.Fence(ids.Term(1), number),
        environment={"COMITY_ATTEMPT": str(number)},
        workdir=None if content is None else lambda: content,
        data=extra.get("data", {}),
        time_limit=extra.get("time_limit"),
    )


def job(**more: Any) -> views.Job:
    """Return a Job as it is kept. ``conditions``, ``active``, ``suspend``, ``nodes`` and ``notes`` may be said."""
    raw = {
        "metadata": {
            "name": KEY,
            "uid": "u1",
            "resourceVersion": str(more.get("version", 10)),
            "creationTimestamp": "2026-11-22T12:00:00Z",
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.BACKEND_LABEL: "gra",
                names.INSTALLATION_LABEL: "here",
                names.POOL_LABEL: "p",
            },
            "annotations": more.get("notes", {}),
        },
        "spec": {"completions": more.get("nodes", 1), "suspend": more.get("suspend", False), "template": {"spec": {}}},
        "status": {
            "active": more.get("active", 0),
            "startTime": "2026-11-22T12:00:01Z",
            "conditions": [
                {"type": type_, "status": "True", "reason": reason, "message": ""}
                for type_, reason in more.get("conditions", ())
            ],
        },
    }
    found = views.job(raw)
    assert found is not None
    return found


def pod(rank: int = 0, *, state: dict[str, Any] | None = None, **more: Any) -> views.Pod:
    """Return a pod as it is kept. ``state`` is that of the main container."""
    raw = {
        "metadata": {
            "name": more.get("name", f"{KEY}-{rank}-x"),
            "uid": f"p{rank}",
            "resourceVersion": str(more.get("version", 20)),
            "creationTimestamp": more.get("created", "2026-11-22T12:00:02Z"),
            "labels": {names.JOB_NAME_LABEL: KEY},
            "annotations": {names.INDEX_ANNOTATION: str(rank), **more.get("notes", {})},
            **({"deletionTimestamp": "2026-11-22T12:01:00Z"} if more.get("deleting") else {}),
        },
        "spec": {"nodeName": more.get("node", "n1")},
        "status": {
            "phase": more.get("phase", "Running"),
            "podIP": more.get("address", f"10.0.0.{rank + 1}"),
            "reason": more.get("reason", ""),
            "message": more.get("message", ""),
            "conditions": [
                {
                    "type": type_,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": more.get("since"),
                }
                for type_, status, reason, message in more.get("conditions", ())
            ],
            "containerStatuses": [
                {"name": "main", "imageID": IMAGE, "state": state or {"running": {"startedAt": "2026-11-22T12:00:05Z"}}}
            ],
        },
    }
    found = views.pod(raw)
    assert found is not None
    return found


def ended(code: int, *, reason: str = "Error", at: str = "2026-11-22T12:00:09Z", **more: Any) -> dict[str, Any]:
    """Return the state of a container that has ended."""
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": "2026-11-22T12:00:05Z",
            "finishedAt": at,
            **more,
        }
    }


def node(name: str = "n1", *, ready: bool = True, provider: str = "", **more: Any) -> views.Node:
    """Return a node of France as it is kept."""
    raw = {
        "metadata": {
            "name": name,
            "uid": f"n-{name}",
            "resourceVersion": "5",
            "labels": {names.JURISDICTION_LABEL: "FR", **more.get("labels", {})},
        },
        "spec": {
            "providerID": provider,
            "taints": more.get("taints", []),
            "unschedulable": more.get("cordoned", False),
        },
        "status": {
            "allocatable": {"cpu": "3900m", "memory": "16Gi", "pods": "110", **more.get("room", {})},
            "addresses": [{"type": "InternalIP", "address": more.get("address", "192.0.2.7")}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }
    found = views.node(raw)
    assert found is not None
    return found
