"""Why an attempt waits in a cluster: in the cluster's own words, with the user, and it is never lost over it."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.ports import backends
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, make_plane, shell
from tests.e2e.test_kubernetes_faults import Kind, Site, State, until

LONG = "trap 'exit 143' TERM; sleep 300 & wait"


@pytest.fixture
def place(fr: clusters.Cluster) -> Iterator[Place]:
    """Give a namespace."""
    made = Place(fr)
    yield made
    _kubernetes.remove(fr, made.namespace)


@pytest.fixture
def plane(tmp_path: pathlib.Path, place: Place) -> Iterator[Plane]:
    """Give a server whose only place is that namespace."""
    found = make_plane(tmp_path, place)
    yield found
    found.close()


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace and adapters for it."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


def waits(plane: Plane, id: str) -> dict[str, Any]:
    """Return why a job waits at its place; {} where it does not."""
    conditions = plane.job(id)["status"].get("conditions") or []
    return next((one for one in conditions if one["type"] == "SiteWaiting" and one["status"]), {})


def suspend(cluster: clusters.Cluster, space: str, key: str, value: bool) -> None:
    """Suspend a Job or let it go on, as somebody with rights in the cluster does."""
    cluster.api.merge(f"/apis/batch/v1/namespaces/{space}/jobs/{key}", {"spec": {"suspend": value}})


def test_why_it_does_not_start_is_told(plane: Plane, place: Place) -> None:
    """An image that cannot be fetched: the kubelet's words are a condition of the job, shown where its user looks."""
    absent = f"comity.test/absent@sha256:{'0' * 64}"
    id = plane.submit(shell("imageless", "true", image=absent)).json["metadata"]["id"]
    found = wait_until(lambda: waits(plane, id), what="the wait")
    assert found["reason"] in ("ErrImagePull", "ImagePullBackOff"), found
    assert "comity.test/absent" in found["message"]
    told = plane.shell.run(f"comity describe job {id}")
    assert "SiteWaiting" in told.stdout
    assert "comity.test/absent" in told.stdout, told.stdout
    plane.call("POST", f"/v1/jobs/{id}:cancel")
    plane.ended(id)
    assert not waits(plane, id)


def test_a_job_that_somebody_suspends_waits_and_goes_on(plane: Plane, place: Place) -> None:
    """Suspended while it runs, it is neither lost nor failed: it is told why, and ends well once it may go on."""
    id = plane.submit(shell("held", "sleep 8; echo done")).json["metadata"]["id"]
    key = f"{id.lower()}-1"
    wait_until(lambda: plane.job(id)["status"]["phase"] == "RUNNING", what="running")
    suspend(place.cluster, place.namespace, key, True)
    found = wait_until(lambda: waits(plane, id), what="the wait")
    assert found["reason"] == "Suspended"
    assert "spec.suspend: false" in found["message"]
    assert not [pod for pod in place.pods() if not pod["metadata"].get("deletionTimestamp")]
    told = plane.shell.run(f"comity describe job {id}")
    assert "somebody in the cluster has suspended" in told.stdout, told.stdout
    suspend(place.cluster, place.namespace, key, False)
    ended = plane.ended(id)["status"]
    assert (ended["phase"], len(ended["attempts"])) == ("SUCCEEDED", 1), ended
    assert not waits(plane, id)


def test_a_suspended_one_is_stopped_for_good(site: Site) -> None:
    """A stop while somebody holds the Job ends the attempt; that the Job is let go afterwards starts nothing."""
    adapter, placement = site.adapter(), site.placement(LONG)
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    suspend(site.cluster, site.namespace, placement.key, True)
    until(adapter, placement, State.QUEUED)
    adapter.stop(backends.AttemptRef(placement.key), placement.fence, placement.stop_grace)
    assert _kind(until(adapter, placement, State.ENDED)) is Kind.STOPPED
    suspend(site.cluster, site.namespace, placement.key, False)

    def failed() -> bool:
        (found,) = site.jobs()
        return any(one["type"] == "Failed" for one in found["status"].get("conditions", ()))

    wait_until(failed, what="the deadline of what was stopped")
    assert [pod for pod in site.named("pods") if not pod["metadata"].get("deletionTimestamp")] == []
    assert _kind(until(site.adapter(), placement, State.ENDED)) is Kind.STOPPED


def _kind(seen: backends.Observation) -> object:
    return seen.outcome.kind if seen.outcome is not None else None
