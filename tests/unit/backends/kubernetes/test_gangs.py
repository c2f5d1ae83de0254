"""A gang is scheduled by the cluster as one where the settings wish it, and nothing else is."""

import dataclasses
from typing import Any

import pytest

from backends.kubernetes import gangs, render
from orchestrator.domain import errors
from tests.unit.backends.kubernetes import objects


def made(nodes: int, version: str = "v1alpha2", **more: Any) -> render.Objects:
    """Return the objects of a job of several nodes."""
    grant = dataclasses.replace(objects.grant(**more), pod_groups=version)
    return render.objects(objects.placement(nodes=nodes), grant)


def test_a_gang_is_a_group_of_all_its_nodes() -> None:
    """The group has the name of the attempt, asks for all, and each pod names it; the barrier stays for addresses."""
    found = made(3, gang="workload")
    (group,) = found.groups
    assert (group["apiVersion"], group["metadata"]["name"]) == ("scheduling.k8s.io/v1alpha2", objects.KEY)
    assert group["spec"] == {"schedulingPolicy": {"gang": {"minCount": 3}}}
    pod = found.job["spec"]["template"]["spec"]
    assert pod["schedulingGroup"] == {"podGroupName": objects.KEY}
    assert any(volume["name"] == "gang" for volume in pod["volumes"])


@pytest.mark.parametrize(("nodes", "gang"), [(1, "workload"), (3, "barrier")])
def test_nothing_else_is(nodes: int, gang: str) -> None:
    """One node needs no group; without the setting there is none."""
    found = made(nodes, gang=gang)
    assert found.groups == ()
    assert "schedulingGroup" not in found.job["spec"]["template"]["spec"]


def test_a_cluster_that_serves_none_takes_no_gang() -> None:
    """Refused before anything is sent; one node is taken."""
    with pytest.raises(errors.PermanentError, match="podgroups"):
        made(2, version="", gang="workload")
    assert made(1, version="", gang="workload").groups == ()


def test_the_versions_that_are_understood_are_those_that_were_tried_or_read() -> None:
    """Another version may mean another thing."""
    assert gangs.VERSIONS == ("v1beta1", "v1alpha2")
