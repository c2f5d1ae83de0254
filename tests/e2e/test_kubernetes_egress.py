"""Rules of where a job may connect to, as objects that a real API server takes. Nothing here enforces them."""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import jobs
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, make_plane, run, shell
from tests.e2e.test_kubernetes_faults import Site

NETWORK = "/apis/networking.k8s.io/v1"
ALLOW = {"egress": {"allow": ["192.0.2.0/24"], "dns": True}}


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


def policies(place: Place) -> list[dict[str, Any]]:
    """Return the NetworkPolicies of the namespace."""
    return list(place.cluster.api.get(f"{NETWORK}/namespaces/{place.namespace}/networkpolicies")["items"])


def codes(plane: Plane, given: dict[str, Any]) -> list[str]:
    """Return why a job would be given no place, as far as rules of egress go; ["placeable"] where it would."""
    answer = dict(plane.call("POST", "/v1/plans", given).json)
    if answer["placeable"]:
        return ["placeable"]
    return [one["code"] for one in answer["sites"][0]["reasons"] if "egress" in one["code"]]


def test_rules_go_where_somebody_says_what_they_are_worth(plane: Plane, place: Place) -> None:
    """Refused by name where nothing is said; taken as unchecked, or as declared, where the settings say so."""
    declared = shell("d", "true", network=ALLOW)
    unchecked = shell("u", "true", network={"egress": {"allow": [], "enforcement": "unchecked"}})
    wait_until(lambda: codes(plane, shell("t", "true")) == ["placeable"], what="the cluster is known")
    assert codes(plane, declared) == ["fit.capability:egress"]
    assert codes(plane, unchecked) == ["fit.capability:egressRules"]
    assert plane.put(place.declared(settings={"networkPolicy": "unchecked"})).status in (200, 201)
    wait_until(lambda: codes(plane, unchecked) == ["placeable"], what="unchecked rules are taken")
    assert codes(plane, declared) == ["fit.capability:egress"]
    assert plane.put(place.declared(settings={"networkPolicy": "enforced"})).status in (200, 201)
    wait_until(lambda: codes(plane, declared) == ["placeable"], what="declared rules are taken")
    assert policies(place) == []


def test_an_attempt_has_a_policy_that_goes_with_it(plane: Plane, place: Place) -> None:
    """The object is there before the Job, selects its pods alone, and is removed with it."""
    assert plane.put(place.declared(settings={"networkPolicy": "enforced"})).status in (200, 201)
    given = shell("ruled", "true", network=ALLOW)
    wait_until(lambda: codes(plane, given) == ["placeable"], what="declared rules are taken")
    found = run(plane, given)
    assert found["status"]["phase"] == "SUCCEEDED", found
    key = f"{found['metadata']['id'].lower()}-1"
    (policy,) = policies(place)
    assert policy["metadata"]["name"] == key
    made = place.job(found["metadata"]["id"])
    assert [one["uid"] for one in policy["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]
    assert policy["metadata"]["creationTimestamp"] <= made["metadata"]["creationTimestamp"]
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert policy["spec"]["podSelector"]["matchLabels"] == {"batch.kubernetes.io/job-name": key}
    (pod,) = place.pods()
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == key
    assert policy["spec"]["egress"][0] == {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    place.cluster.kubectl("delete", "job", key, "--namespace", place.namespace)
    wait_until(lambda: policies(place) == [], what="the policy goes with its Job")


def test_what_came_before_a_job_that_never_came_is_swept(fr: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """A policy without its Job goes after an hour, one of another backend, or of a Job that is there, stays."""
    site = Site(fr, tmp_path, _kubernetes.namespace(fr), {"networkPolicy": "enforced"})
    adapter, placement = site.adapter(), site.placement(egress=jobs.Egress())
    try:
        adapter.submit(placement)
        (kept,) = site.named("networkpolicies", NETWORK)
        lost = "01lost-1"
        marks = kept["metadata"]["labels"] | {"comity.dev/job": "01lost"}
        for name, labels in ((lost, marks), ("01other-1", {**marks, "comity.dev/backend": "other"})):
            body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": kept["spec"]}
            where = f"{NETWORK}/namespaces/{site.namespace}/networkpolicies"
            fr.api.create(where, body | {"metadata": {"name": name, "labels": labels}})
        launches = adapter._launches
        launches._swept_s = float("-inf")
        adapter.list_owned()
        assert len(site.named("networkpolicies", NETWORK)) == 3, "all are younger than an hour"
        later = clocks.SystemClock().now() + dt.timedelta(hours=2)
        launches._context = dataclasses.replace(launches._context, now=lambda: later)
        launches._swept_s = float("-inf")
        adapter.list_owned()
        left = {one["metadata"]["name"] for one in site.named("networkpolicies", NETWORK)}
        assert left == {str(placement.key), "01other-1"}
    finally:
        adapter.close()
        _kubernetes.remove(fr, site.namespace)
