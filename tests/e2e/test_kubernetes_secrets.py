"""Secrets of jobs stay in the cluster: Comity carries their names, and their values are in nothing that it keeps."""

import base64
import hashlib
import json
import pathlib
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, contents, job, wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, log_of, make_plane, run, shell

CANARY = f"canary-{secrets.token_hex(24)}"
NAME = "hub"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, fr: clusters.Cluster) -> Iterator[Plane]:
    """Give a server with a cluster that has secrets, and a place that has none."""
    place = Place(fr)
    path = f"/api/v1/namespaces/{place.namespace}/secrets"
    for name in (NAME, "others"):
        fr.api.create(path, {"metadata": {"name": name}, "stringData": {"token": CANARY}})
    place.more = {"secrets": {NAME: {"tenants": ["default"]}, "absent": {"tenants": ["default"]}}}
    place.more["secrets"]["others"] = {"tenants": ["somebody-else"]}
    found = make_plane(tmp_path_factory.mktemp("secrets"), place)
    yield found
    found.close()
    _kubernetes.remove(fr, place.namespace)


def asks(name: str, key: str = "token") -> dict[str, object]:
    """Return variables of which one is a secret."""
    return {"TOKEN": {"fromSecret": {"name": name, "key": key}}, "PLAIN": "$(TOKEN)"}


def spellings(text: str) -> list[bytes]:
    """Return a text as it might be kept."""
    raw = text.encode()
    return [raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), raw[::-1]]


def holds(folder: pathlib.Path, text: str) -> list[str]:
    """Return the files below a folder that hold a text in any spelling."""
    return [str(file) for file, content in contents(folder) for spelling in spellings(text) if spelling in content]


def test_a_value_is_in_the_pod_and_in_nothing_of_ours(plane: Plane) -> None:
    """The job has the value; state folder, journal, logs, documents and the signed bundle have the name only."""
    found = run(plane, shell("uses", 'printf %s "$TOKEN" | sha256sum; printf %s "$PLAIN"', env=asks(NAME)))
    assert found["status"]["phase"] == "SUCCEEDED", found
    assert log_of(plane, found) == f"{hashlib.sha256(CANARY.encode()).hexdigest()}  -\n$(TOKEN)"
    id = found["metadata"]["id"]
    bundle = plane.shell.folder / "bundle.json"
    done = plane.shell.run(f"comity evidence {id} -o {bundle}")
    assert done.returncode == 0, done.stderr
    plane.shell.run(f"comity describe job {id} > {plane.shell.folder}/described")
    plane.shell.run(f"comity explain {id} > {plane.shell.folder}/explained")
    (plane.shell.folder / "server.txt").write_text(plane.log)
    root = plane.folder
    assert holds(plane.state, id), "the state folder is among it"
    assert holds(root, CANARY) == []
    assert holds(root, NAME), "the names are there, so the search finds what is"


@pytest.mark.parametrize(("name", "key", "said"), [("absent", "token", "absent"), (NAME, "nokey", "nokey")])
def test_a_secret_that_is_not_there_is_an_end(plane: Plane, name: str, key: str, said: str) -> None:
    """A job whose secret, or whose key in it, does not exist ends soon, and is told which."""
    found = run(plane, shell("lacks", "true", env=asks(name, key)))
    (attempt,) = found["status"]["attempts"]
    assert (found["status"]["phase"], attempt["reason"]) == ("FAILED", "StartFailed"), found
    told = plane.shell.run(f"comity describe job {found['metadata']['id']}").stdout
    assert "CreateContainerConfigError" in told, told
    assert said in told, told


def test_a_secret_of_another_tenant_is_not_given(plane: Plane) -> None:
    """What the settings do not give to this tenant does not start, whether it exists or not."""
    id = plane.submit(shell("spies", 'echo "$TOKEN"', env=asks("others"))).json["metadata"]["id"]
    wait_until(lambda: "no secret 'others'" in json.dumps(plane.job(id)["status"]), what="why it is not taken")
    assert not any(attempt.get("startedAt") for attempt in plane.job(id)["status"]["attempts"])
    assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)


def test_a_place_without_secrets_is_refused_by_plan(plane: Plane) -> None:
    """A backend that does not state the power is told so before anything is sent."""
    declared = {"adapter": "local", "location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}}
    assert plane.put(
        {"apiVersion": "comity.dev/v1", "kind": "Backend", "metadata": {"name": "here"}, "spec": declared}
    ).status in (200, 201)
    wanted = job("bare", "true", env=asks(NAME))

    def refused() -> bool:
        sites = plane.call("POST", "/v1/plans", wanted).json["sites"]
        codes = {one["code"] for site in sites if site["backend"] == "here" for one in site["reasons"]}
        return "fit.capability:secrets" in codes

    wait_until(refused, what="a plan that says so")
