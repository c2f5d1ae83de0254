"""What is refused here before anything is sent, a real cluster refuses too: nothing is kept from it without need."""

import base64
import copy
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.kubernetes import payloads, render
from orchestrator.domain import errors, jobs
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, job, wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, make_plane, shell
from tests.e2e.test_kubernetes_faults import Site

LONG = "x" * 131_072


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace of a cluster that others use too."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


def container(found: dict[str, Any]) -> dict[str, Any]:
    """Return the container of a Job."""
    (one,) = found["spec"]["template"]["spec"]["containers"]
    return dict(one)


def with_env(name: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a Job that adds a variable."""
    return lambda found: container(found)["env"].append({"name": name, **more})


def marked(kind: str, key: str, value: str) -> Callable[[dict[str, Any]], None]:
    """Return a change of a Job that adds a label or an annotation."""
    return lambda found: found["metadata"][kind].update({key: value})


CASES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a name with capitals": (lambda found: found["metadata"].update(name="Upper-1"), "metadata.name"),
    "a name of 64 characters": (lambda found: found["metadata"].update(name="x" * 64), "63"),
    "a variable with =": (with_env("A=B", value="1"), "env"),
    "a key of a secret that is a path": (
        with_env("A", valueFrom={"secretKeyRef": {"name": "a", "key": "../b"}}),
        "key",
    ),
    "a label of 64 characters": (marked("labels", "comity.dev/x", "x" * 64), "63"),
    "annotations of 300 KB": (marked("annotations", "comity.dev/x", "x" * 300_000), "262144"),
    "an object of 4 MB": (with_env("A", value="x" * 4_000_000), ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_refuses_what_is_never_sent(site: Site, case: str) -> None:
    """By a dry run at the server: each bound that the adapter, or the document's schema, keeps is a real one."""
    adapter = site.adapter()
    change, words = CASES[case]
    found = render.objects(site.placement(), render.Grant(adapter._wanted, "b", "here"))
    body = copy.deepcopy(dict(found.job))
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs?dryRun=All&fieldValidation=Strict"
    status, answer = site.cluster.api.request("POST", path, body)
    assert status == 201, answer
    change(body)
    status, answer = site.cluster.api.request("POST", path, body)
    assert status in (400, 413, 422), answer
    assert words in json.dumps(answer)


def test_a_part_has_room_to_spare_and_one_more_would_not(site: Site) -> None:
    """A ConfigMap takes what a part holds, and not twice as much."""
    path = f"/api/v1/namespaces/{site.namespace}/configmaps?dryRun=All"
    for size, wanted in ((payloads.PART_BYTES, (201,)), (2 * payloads.PART_BYTES, (413, 422))):
        content = base64.b64encode(bytes(size)).decode()
        status, answer = site.cluster.api.request(
            "POST", path, {"metadata": {"name": "a"}, "binaryData": {"p": content}}
        )
        assert status in wanted, str(answer)[:500]


def test_a_word_that_linux_does_not_take_is_refused_first(site: Site) -> None:
    """The API server takes it and the program never starts; here nothing is sent. One byte less runs."""
    adapter = site.adapter()
    with pytest.raises(errors.PermanentError) as caught:
        adapter.submit(site.placement(env=(("A", LONG[2:]),)))
    assert caught.value.code == "kubernetes.too-large"
    assert site.jobs() == []
    found = render.objects(site.placement("true", env=(("A", LONG[3:]),)), render.Grant(adapter._wanted, "b", "here"))
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs"
    fits, too_long = copy.deepcopy(dict(found.job)), copy.deepcopy(dict(found.job))
    too_long["metadata"]["name"] += "1"
    next(one for one in container(too_long)["env"] if one["name"] == "A")["value"] = LONG[2:]
    for body in (fits, too_long):
        site.cluster.api.create(path, body)

    def ends() -> dict[str, str]:
        return {
            one["metadata"]["name"]: each["type"]
            for one in site.jobs()
            for each in one["status"].get("conditions", ())
            if each["status"] == "True" and each["type"] in ("Complete", "Failed")
        }

    wait_until(lambda: len(ends()) == 2, what="both ends")
    assert ends() == {fits["metadata"]["name"]: "Complete", too_long["metadata"]["name"]: "Failed"}


REFUSED: dict[str, dict[str, Any]] = {
    "spec.env": {"env": {"A=B": "1", "1A": "1"}},
    "spec.env.A": {"env": {"A": LONG}},
    "spec.command[0]": {"command": [LONG]},
    "spec.command": {"command": ["x" * 100_000 for _ in range(10)]},
}


def test_plan_refuses_them_by_path(tmp_path: pathlib.Path, fr: clusters.Cluster) -> None:
    """Names, labels, variables and sizes that Kubernetes or Linux refuse are refused by plan, each by its path."""
    place = Place(fr)
    plane: Plane = make_plane(tmp_path, place)
    try:
        for path, spec in REFUSED.items():
            answer = plane.call("POST", "/v1/plans", shell("a", "true", **spec))
            assert answer.status == 422, (path, answer)
            assert all(one["path"].startswith(path) for one in answer.json["errors"]), (path, answer)
        for metadata in ({"name": "x" * 64}, {"name": "-x"}, {"name": "a", "labels": {"team": "x" * 64}}):
            document = job("a", "true")
            document["metadata"] = metadata
            assert plane.call("POST", "/v1/plans", document).status == 422, metadata
        raw = json.dumps(shell("a", "true")).replace('"true"', '"a\\u0000b"')
        (plane.shell.folder / "nul.json").write_text(raw)
        assert "NUL" in plane.shell.run("comity plan -f nul.json").stderr
        assert place.pods() == []
    finally:
        plane.close()
        _kubernetes.remove(fr, place.namespace)


def test_the_table_of_the_adapter_is_met(site: Site) -> None:
    """What only this backend refuses has its own code before anything is sent."""
    adapter = site.adapter()
    table: dict[str, dict[str, Any]] = {
        "kubernetes.files-too-large": {"files": (("f", bytes(4 * 2**20)),)},
        "kubernetes.files-too-many": {"files": tuple((str(number), b"") for number in range(513))},
        "kubernetes.outputs": {"outputs": (jobs.Output("x"),)},
        "kubernetes.secret": {"secrets": (jobs.SecretUse("A", "hub", "token"),)},
        "kubernetes.invalid": {"env": (("A", "\0"),)},
        "kubernetes.nodes": {"nodes": render.NODES_MAX + 1},
    }
    for code, spec in table.items():
        with pytest.raises(errors.PermanentError) as caught:
            adapter.submit(site.placement(**spec))
        assert (caught.value.code, caught.value.effects) == (code, errors.SideEffects.NONE)
    assert site.jobs() == []
