"""PlacementDecisions on real API servers: what is told, to whom, and what happens when nobody hears."""

import json
import os
import pathlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from backends.kubernetes import permissions
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters, inventories
from tests.e2e.test_clusterprofiles import hub  # noqa: F401 -- a fixture, found by its name
from tests.e2e.test_kubernetes import Place, french, german, make_plane, run, shell  # noqa: F401 -- fixtures too

RBAC = "/apis/rbac.authorization.k8s.io/v1"
WAIT_S = 180.0


@pytest.fixture
def fleet(hub: clusters.Cluster) -> Iterator[str]:  # noqa: F811 -- the fixture
    """Give a namespace of the hub for profiles and decisions."""
    made = _kubernetes.namespace(hub)
    yield made
    _kubernetes.remove(hub, made)


def path(space: str) -> str:
    """Return where the decisions of a namespace are."""
    return f"{inventories.GROUP}/namespaces/{space}/placementdecisions"


def told(cluster: clusters.Cluster, space: str) -> list[dict[str, Any]]:
    """Return the decisions of a namespace."""
    return list(cluster.api.get(path(space))["items"])


def keys(cluster: clusters.Cluster, space: str) -> set[str]:
    """Return the attempts that were told of."""
    return {each["metadata"]["labels"]["multicluster.x-k8s.io/placement-key"] for each in told(cluster, space)}


def wanted(fleet: str, name: str) -> dict[str, Any]:
    """Return the setting."""
    return {"placementDecisions": {"namespace": fleet, "profile": {"namespace": fleet, "name": name}}}


def test_a_placement_is_told_with_its_ids_and_goes_with_its_job(
    tmp_path: pathlib.Path,
    hub: clusters.Cluster,  # noqa: F811
    fleet: str,
    french: Place,  # noqa: F811
) -> None:
    """In the cluster of the job: profile, attempt and digest of the decision that the journal holds, nothing else.

    The server is killed and started again without a second object; when the Job goes, so does what was told of it.
    """
    inventories.add_profile(hub, fleet, "paris-1", hub)
    french.more = wanted(fleet, "paris-1")
    plane = make_plane(tmp_path, french)
    try:
        found = run(plane, shell("secret-name", "echo secret-word"))
        assert found["status"]["phase"] == "SUCCEEDED", found
        id = found["metadata"]["id"]
        (one,) = wait_until(lambda: told(hub, fleet), seconds=WAIT_S, what="what is told")
        key = f"{id.lower()}-1"
        (decision,) = plane.call("GET", f"/v1/jobs/{id}/decisions").json["items"]
        assert one["decisions"] == [
            {
                "clusterProfileRef": {"name": "paris-1", "namespace": fleet},
                "reason": f"Comity placed attempt {key} here by decision {decision['digest']}",
            }
        ]
        assert one["schedulerName"] == "comity.dev"
        assert one["metadata"]["labels"]["multicluster.x-k8s.io/placement-key"] == key
        assert one["metadata"]["labels"]["multicluster.x-k8s.io/decision-key"] == one["metadata"]["name"]
        assert re.fullmatch("comity-[0-9a-f]{40}", one["metadata"]["name"])
        text = json.dumps({**one, "metadata": {**one["metadata"], "managedFields": None}})
        for word in ("secret-name", "secret-word", "busybox", "default", "fr/p"):
            assert word not in text, word

        plane.end()
        plane.start()
        again = run(plane, shell("again", "true"))
        other = f"{again['metadata']['id'].lower()}-1"
        wait_until(lambda: keys(hub, fleet) == {key, other}, seconds=WAIT_S, what="both")
        assert one["metadata"]["uid"] in {each["metadata"]["uid"] for each in told(hub, fleet)}

        done = hub.kubectl("delete", "job", key, "--namespace", french.namespace, "--wait=true")
        assert done.returncode == 0, done.stderr
        last = run(plane, shell("last", "true"))
        newest = f"{last['metadata']['id'].lower()}-1"
        wait_until(lambda: keys(hub, fleet) == {other, newest}, seconds=WAIT_S, what="the first one gone")
    finally:
        plane.close()


def test_a_hub_elsewhere_is_told_with_the_stated_rights_and_only_with_them(
    tmp_path: pathlib.Path,
    hub: clusters.Cluster,  # noqa: F811
    fleet: str,
    german: Place,  # noqa: F811
) -> None:
    """An account without rights there costs no job anything and is named; with those of the table all is made good."""
    api = hub.api
    api.create(f"/api/v1/namespaces/{fleet}/serviceaccounts", {"metadata": {"name": "teller"}})
    grant = f"/api/v1/namespaces/{fleet}/serviceaccounts/teller/token"
    token = api.create(grant, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    document = json.loads(hub.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    german.more = wanted(fleet, "berlin-1")
    german.more["placementDecisions"]["kubeconfig"] = json.dumps(document)
    plane = make_plane(tmp_path, german)
    try:
        found = run(plane, shell("unheard", "true"))
        assert found["status"]["phase"] == "SUCCEEDED", found
        said(plane, "de", "may not")
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}
            for group, resource, verbs in permissions.DECISIONS
        ]
        where = f"{RBAC}/namespaces/{fleet}"
        api.create(f"{where}/roles", {"metadata": {"name": "teller"}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "teller"}
        subject = {"kind": "ServiceAccount", "name": "teller", "namespace": fleet}
        api.create(f"{where}/rolebindings", {"metadata": {"name": "teller"}, "roleRef": role, "subjects": [subject]})
        key = f"{found['metadata']['id'].lower()}-1"
        wait_until(lambda: keys(hub, fleet) == {key}, seconds=WAIT_S, what="what was owed")
        wait_until(lambda: "are not written" not in checked(plane, "de"), seconds=WAIT_S, what="nothing to say")
        done = german.cluster.kubectl("delete", "job", key, "--namespace", german.namespace, "--wait=true")
        assert done.returncode == 0, done.stderr
        last = run(plane, shell("heard", "true"))
        newest = f"{last['metadata']['id'].lower()}-1"
        wait_until(lambda: keys(hub, fleet) == {newest}, seconds=WAIT_S, what="the first one gone")
        # One that has our name and not our marks is looked at, and left alone.
        (one,) = told(hub, fleet)
        bare = {"metadata": {"labels": dict.fromkeys(one["metadata"]["labels"])}}
        api.merge(f"{path(fleet)}/{one['metadata']['name']}", bare)
        plane.end()
        plane.start()
        assert run(plane, shell("after", "true"))["status"]["phase"] == "SUCCEEDED"
        stated = _kubernetes.single(permissions.DECISIONS)
        used: set[tuple[str, str, str]] = set()

        def all_used() -> bool:
            used.update(_kubernetes.called(hub, fleet, "teller", everywhere=False))
            return used >= stated

        wait_until(all_used, seconds=WAIT_S, what="each right of the table is used")
        assert used == stated
        assert _kubernetes.called(hub, fleet, "teller", everywhere=True) == set()
    finally:
        plane.close()


def test_where_nobody_serves_the_kind_jobs_run_and_that_is_said(tmp_path: pathlib.Path, german: Place) -> None:  # noqa: F811
    """A cluster without the definitions, as most are."""
    if german.cluster.api.request("GET", inventories.GROUP)[0] != 404:
        pytest.skip("this cluster serves them")
    german.more = wanted(german.namespace, "berlin-1")
    plane = make_plane(tmp_path, german)
    try:
        assert run(plane, shell("alone", "true"))["status"]["phase"] == "SUCCEEDED"
        said(plane, "de", "has no placementdecisions.multicluster.x-k8s.io v1alpha1")
        wait_until(lambda: "PlacementDecisions are not written" in plane.log, seconds=WAIT_S, what="a line of the log")
    finally:
        plane.close()


@pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only; a unit test stands by")
def test_a_hub_that_never_answers_holds_no_job(tmp_path: pathlib.Path, german: Place) -> None:  # noqa: F811
    """It takes the connection and says nothing: jobs come and go beside it, and the check says who does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        document = json.loads(german.cluster.kubeconfig.read_text())
        document["clusters"][0]["cluster"]["server"] = server
        german.more = wanted("fleet", "berlin-1")
        german.more["placementDecisions"]["kubeconfig"] = json.dumps(document)
        plane = make_plane(tmp_path, german)
        try:
            for name in ("one", "two"):
                assert run(plane, shell(name, "true"))["status"]["phase"] == "SUCCEEDED"
            said(plane, "de", f"{server} does not answer")
        finally:
            plane.close()


def checked(plane: Plane, name: str) -> str:
    """Return what the command line says of a backend."""
    done = plane.shell.run(f"comity backend check {name}")
    return done.stdout + done.stderr


def said(plane: Plane, name: str, words: str) -> None:
    """Wait until a backend is said to answer, to tell nobody, and why; with room for jobs as before."""

    def look() -> bool:
        text = checked(plane, name)
        return f"{name}: answers" in text and "PlacementDecisions are not written since 20" in text and words in text

    wait_until(look, seconds=WAIT_S, every=0.2, what=f"{words!r} in the check of {name}")
