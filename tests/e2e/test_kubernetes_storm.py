"""Many jobs of one namespace while everything between us and them breaks: each ends as it should, and none twice."""

import collections
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters, faults
from tests.e2e.test_kubernetes import Place, make_plane, shell
from tests.e2e.test_kubernetes_faults import JOBS, completed, fake_pool

WAIT_S = 900.0
WATCHES = re.compile(
    r'apiserver_longrunning_requests\{(?=[^}]*resource="(?P<of>jobs|pods)")(?=[^}]*scope="namespace")'
    r'(?=[^}]*verb="WATCH")[^}]*\} (?P<count>\d+)'
)


@pytest.fixture
def place(lone: clusters.Cluster) -> Iterator[Place]:
    """Give a namespace of the cluster that may be broken."""
    made = Place(lone)
    made.name = "lone"
    made.variable = "COMITY_SECRET_LONE"
    yield made
    _kubernetes.remove(lone, made.namespace)


def batch(plane: Plane, first: int, beyond: int) -> list[str]:
    """Submit small jobs in one request and return their ids."""
    documents = [shell(f"storm-{number}", "true", resources={"cpus": "10m"}) for number in range(first, beyond)]
    answer = plane.call("POST", "/v1/jobs:batch", {"documents": documents})
    assert answer.status in (200, 202), answer
    return [one["id"] for one in answer.json["items"]]


def listed(place: Place) -> list[dict[str, Any]]:
    """Return the Jobs of the namespace."""
    return list(place.cluster.api.get(f"/apis/batch/v1/namespaces/{place.namespace}/jobs")["items"])


def watches(cluster: clusters.Cluster) -> dict[str, int]:
    """Return how many watches of a namespace's Jobs and pods the API server serves now, by its own count."""
    found: collections.Counter[str] = collections.Counter()
    for match in WATCHES.finditer(str(cluster.api.get("/metrics"))):
        found[match["of"]] += int(match["count"])
    return dict(found)


def storm(place: Place, plane: Plane, first: int, beyond: int) -> list[str]:
    """Reset watches, let etcd forget, kill the API server, submit meanwhile, and reset what came back."""
    api = place.cluster.api
    path = f"/apis/batch/v1/namespaces/{place.namespace}/jobs"
    old = api.get(path)["metadata"]["resourceVersion"]
    faults.break_connections(place.cluster)
    api.create(f"/api/v1/namespaces/{place.namespace}/configmaps", {"metadata": {"name": "newer"}})
    assert faults.compact(place.cluster) > int(old)
    with faults.stopped_api_server(place.cluster, kill=True):
        found = batch(plane, first, beyond)
    status, answer = api.request("GET", f"{path}?resourceVersion={old}&resourceVersionMatch=Exact")
    assert (status, answer["reason"]) == (410, "Expired"), answer
    faults.break_connections(place.cluster)
    return found


def test_many_jobs_of_one_namespace_through_a_storm(tmp_path: pathlib.Path, place: Place) -> None:
    """By what the API server lists: a Job and a pod each, all complete; and at the end one watch of each kind."""
    settings = fake_pool(place.cluster, "fake-1", "fake-2")
    plane = make_plane(tmp_path, place)
    try:
        assert plane.put(place.declared(settings=settings)).status in (200, 201)
        found = batch(plane, 0, JOBS // 2)
        wait_until(lambda: completed(place) >= JOBS // 8, seconds=WAIT_S, every=0.2, what="some have completed")
        found += storm(place, plane, JOBS // 2, JOBS)
        assert len(set(found)) == JOBS
        wait_until(lambda: completed(place) >= JOBS, seconds=WAIT_S, every=0.5, what="all have completed")
        ended = [plane.ended(id, seconds=400) for id in found]
        assert {each["status"]["phase"] for each in ended} == {"SUCCEEDED"}
        assert {len(each["status"]["attempts"]) for each in ended} == {1}
        keys = sorted(f"{id.lower()}-1" for id in found)
        assert sorted(one["metadata"]["name"] for one in listed(place)) == keys
        names = [pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] for pod in place.pods()]
        assert sorted(names) == keys
        wait_until(lambda: watches(place.cluster) == {"jobs": 1, "pods": 1}, seconds=300, what="one watch of each")
    finally:
        plane.close()
