"""Names of services and Kueue on the test clusters; only with the full suite, for each takes minutes to build."""

import os
from typing import Any

import pytest

from tests.e2e.kube import api, clusters, extras, images

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")
DONE_S = 240.0


def job(name: str, *command: str, cpu: str = "100m", **more: Any) -> dict[str, Any]:
    """Return a Job of one pod."""
    container = {
        "name": "main",
        "image": images.make("busybox:1").name,
        "command": list(command),
        "resources": {"requests": {"cpu": cpu}},
    }
    pod = {"restartPolicy": "Never", "containers": [container], **more.pop("pod", {})}
    body = {"backoffLimit": 0, "template": {"spec": pod}, **more.pop("spec", {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **more}, "spec": body}


def ended(cluster: clusters.Cluster, name: str) -> str | None:
    """Return how a Job ended, or None while it has not."""
    conditions = cluster.api.get(f"/apis/batch/v1/namespaces/default/jobs/{name}")["status"].get("conditions", ())
    return next((found["type"] for found in conditions if found["type"] in ("Complete", "Failed")), None)


def test_the_nodes_of_a_gang_find_each_other_by_name(lone: clusters.Cluster) -> None:
    extras.start_dns(lone)
    service = {"metadata": {"name": "gang"}, "spec": {"clusterIP": "None", "selector": {"job-name": "gang"}}}
    lone.api.create("/api/v1/namespaces/default/services", service | {"apiVersion": "v1", "kind": "Service"})
    look = (
        "until nslookup gang-$((1 - JOB_COMPLETION_INDEX)).gang.default.svc.cluster.local; do sleep 0.2; done; sleep 3"
    )
    indexed = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "activeDeadlineSeconds": int(DONE_S)}
    document = job("gang", "sh", "-c", look, spec=indexed, pod={"subdomain": "gang"})
    lone.api.create("/apis/batch/v1/namespaces/default/jobs", document)
    assert api.until(lambda: ended(lone, "gang"), "end of the gang", timeout_s=2 * DONE_S) == "Complete"


def test_kueue_lets_one_job_wait_while_another_has_the_quota(lone: clusters.Cluster) -> None:
    extras.start_kueue(lone)
    extras.add_queue(lone, "default", "small", quota={"cpu": "1"})
    label = {"kueue.x-k8s.io/queue-name": "small"}
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    for name in ("first", "second"):
        document = job(name, "sleep", "4", cpu="700m", spec={"suspend": True}, labels=label)
        lone.api.create(jobs, document)
        api.until(
            lambda: lone.api.get("/apis/kueue.x-k8s.io/v1beta2/namespaces/default/workloads")["items"],
            "a workload",
            timeout_s=DONE_S,
        )
    api.until(lambda: ended(lone, "first"), "end of the first", timeout_s=DONE_S)
    api.until(lambda: ended(lone, "second"), "end of the second", timeout_s=DONE_S)
    found = {name: lone.api.get(f"{jobs}/{name}")["status"] for name in ("first", "second")}
    # Neither ran while the other did: 2 x 700m is more than the queue has.
    order = sorted(found.values(), key=lambda status: str(status["startTime"]))
    assert order[0]["completionTime"] <= order[1]["startTime"]
