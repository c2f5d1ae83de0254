"""Real RayJobs to their end: KubeRay's operator, Ray in real pods, names by CoreDNS. Only with the full suite."""

import dataclasses
import datetime as dt
import os
import pathlib
import secrets
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from backends.kubernetes import rayadapter
from orchestrator.domain import jobs
from orchestrator.ports import backends
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters, extras, fixtures, kuberay, runs
from tests.e2e.test_kubernetes import Place, make_plane
from tests.e2e.test_kubernetes_rayjobs import ENDED_S, VERSION, Kind, Site, State, look, stop, until

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")
ASKED = jobs.Resources(cpu_milli=400, memory_bytes=2 * 2**30)
COUNT = textwrap.dedent(
    """
    import os, time, ray
    import part
    ray.init()
    while len([node for node in ray.nodes() if node["Alive"]]) < int(os.environ["NODES"]):
        time.sleep(0.2)
    where = ray.remote(num_cpus=0.1)(part.where)
    print("seen", ray.get(where.remote()), os.environ["COMITY_JOB_ID"], os.environ["WORDS"])
    """
)
PART = "import os\n\ndef where():\n    return open('data.txt').read().strip()\n"


@pytest.fixture(scope="module")
def rays() -> Iterator[clusters.Cluster]:
    """Give a cluster with KubeRay's operator, names, and an image with Ray."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("the cluster that KUBECONFIG names is not ours to put an operator into")
    fixtures._prepare()
    joined = runs.join(f"z{secrets.token_hex(5)}", ("--name", "fr", "--nodes", "1"))
    try:
        (cluster,) = joined.clusters.values()
        kuberay.start_kuberay(cluster)
        extras.start_dns(cluster)
        cluster.load_image(kuberay.image())
        yield cluster
    finally:
        joined.close_and_wait()


@pytest.fixture
def site(rays: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace under Pod Security restricted."""
    found = Site(rays, tmp_path, _kubernetes.namespace(rays))
    yield found
    found.close()


def python(site: Site, script: str, **spec: Any) -> backends.SealedPlacement:
    """Return a placement of a script in the image with Ray."""
    asked = {"image": kuberay.image().pinned, "resources": ASKED, **spec}
    return site.placement("python3", "-c", script, **asked)


def log(adapter: rayadapter.RayJobAdapter, placement: backends.SealedPlacement) -> str:
    """Return the whole log of an attempt, read in small pieces."""
    ref, cursor, text = backends.AttemptRef(placement.key), None, b""
    while True:
        chunks, after = adapter.read_logs(ref, cursor=cursor, node=None, limit=700)
        if not chunks and after == cursor:
            return text.decode()
        text += b"".join(chunk.data for chunk in chunks)
        cursor = after


def test_a_rayjob_runs_to_its_end_with_files_and_a_worker(site: Site) -> None:
    """Its files are on each node, its words come through as they are, and its log outlives its cluster."""
    words = "$HOME `id` \"x\" 'y'"
    adapter = site.adapter(rayjobs={"version": VERSION, "workers": 1})
    files = (("data.txt", b"from a file\n"), ("part.py", PART.encode()), ("count.py", COUNT.encode()))
    placement = python(site, "", files=files, env=(("NODES", "2"), ("WORDS", words)))
    spec = dataclasses.replace(placement.spec, command=("python3", "count.py"))
    placement = dataclasses.replace(placement, spec=spec)
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code) == (Kind.EXITED, 0), seen
    assert [where.country for where in seen.whereabouts] == ["FR"]
    wait_until(
        lambda: {pod["metadata"]["labels"].get("ray.io/node-type") for pod in site.named("pods")} == {None},
        seconds=ENDED_S,
        what="the end of its cluster",
    )
    assert f"seen from a file {placement.job} {words}\n" in log(adapter, placement)


def test_an_exit_code_is_told_and_nothing_runs_again(site: Site) -> None:
    """Ray's word for the code of the command is the attempt's; KubeRay makes no second cluster."""
    adapter = site.adapter()
    placement = python(site, "import sys; print('out'); sys.exit(7)")
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code, seen.detail) == (Kind.EXITED, 7, "exit code 7")
    assert "out\n" in log(adapter, placement)
    (rayjob,) = site.rayjobs()
    assert rayjob["status"]["failed"] == 1
    wait_until(lambda: not site.named("rayclusters", "/apis/ray.io/v1"), seconds=ENDED_S, what="its cluster's end")


def test_one_that_runs_is_stopped(site: Site) -> None:
    """Its pods end, and it is told as stopped, not as failed or out of time."""
    adapter = site.adapter()
    placement = python(site, "import time; print('here', flush=True); time.sleep(3600)")
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    stop(adapter, placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED
    wait_until(lambda: not site.named("rayclusters", "/apis/ray.io/v1"), seconds=ENDED_S, what="its cluster's end")

    def at_rest() -> bool:
        look(adapter, placement)
        return all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in site.named("pods"))

    wait_until(at_rest, seconds=ENDED_S, every=0.5, what="that its submitter has ended")


def test_a_head_that_dies_is_lost_and_never_comes_again(site: Site) -> None:
    """Nobody replaces it, and the command is not submitted a second time."""
    adapter = site.adapter()
    placement = python(site, "import time; time.sleep(3600)")
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    (head,) = [pod for pod in site.named("pods") if pod["metadata"]["labels"].get("ray.io/node-type") == "head"]
    name = head["metadata"]["name"]
    site.cluster.kubectl("delete", "pod", name, "--namespace", site.namespace, "--grace-period=1", "--wait=false")
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.LOST, seen
    heads = {pod["metadata"]["name"] for pod in site.named("pods") if "ray.io/node-type" in pod["metadata"]["labels"]}
    assert heads <= {name}


def test_a_head_that_dies_unseen_is_lost_too(site: Site) -> None:
    """A submitter that hears nothing any more keeps nobody waiting: it is ended, and so is the attempt."""
    adapter = site.adapter()
    placement = python(site, "import time; time.sleep(3600)")
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    roles = {pod["metadata"]["labels"].get("ray.io/node-type"): pod["metadata"]["name"] for pod in site.named("pods")}
    inside = ("--namespace", site.namespace, roles[None], "--", "killall", "-STOP", "python3")
    frozen = site.cluster.kubectl("exec", *inside)
    assert frozen.returncode == 0, frozen.stderr
    site.cluster.kubectl("delete", "pod", roles["head"], "--namespace", site.namespace, "--wait=false")
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, "its head is gone" in seen.detail) == (Kind.LOST, True), seen

    def tidied() -> bool:
        look(adapter, placement)
        return not any(pod["status"]["phase"] in ("Pending", "Running") for pod in site.named("pods"))

    wait_until(tidied, seconds=ENDED_S, every=0.5, what="the end of its submitter")


def test_its_time_is_up(site: Site) -> None:
    """What is left of the job's deadline ends it, without us."""
    adapter = site.adapter()
    placement = dataclasses.replace(python(site, "import time; time.sleep(3600)"), time_limit=dt.timedelta(seconds=60))
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.TIMED_OUT


def test_a_rayjob_through_a_server(rays: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """The same job document that any backend takes: submitted, run, its log read, its node recorded."""
    place = Place(rays)
    plane = make_plane(tmp_path, place)
    try:
        assert plane.put(place.declared(settings={"rayjobs": {"version": VERSION}})).status in (200, 201)
        document = {
            "apiVersion": "comity.dev/v1",
            "kind": "Job",
            "metadata": {"name": "ray"},
            "spec": {
                "image": kuberay.image().pinned,
                "command": ["python3", "-c", "import ray; ray.init(); print('over', ray.cluster_resources()['CPU'])"],
                "data": "none",
                "resources": {"cpus": "1", "memory": "2Gi"},
            },
        }
        id = plane.submit(document).json["metadata"]["id"]
        ended = plane.ended(id, seconds=ENDED_S)["status"]
        assert ended["phase"] == "SUCCEEDED", ended
    finally:
        plane.close()
        _kubernetes.remove(rays, place.namespace)
