"""The test clusters themselves: real pods, the trusted label, fakes for scale, faults, and a machine left as it was."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kube import api, clusters, faults, fixtures, foreign, hosts, images, kwok, packages, places, runs

DONE_S = 240.0


def job(name: str, image: str, *command: str, **pod: Any) -> dict[str, Any]:
    """Return a Job that runs one command, as Pod Security wants it at its strictest."""
    container = {
        "name": "main",
        "image": image,
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **pod.pop("container", {}),
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container], **pod}
    body = {"backoffLimit": 0, "template": {"spec": spec}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """Return a name that no other test uses."""
    return f"harness-{abs(hash(request.node.nodeid)) % 10**8}"


@contextlib.contextmanager
def namespace(cluster: clusters.Cluster, name: str) -> Iterator[str]:
    """Give the path of a namespace that is deleted afterwards."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        cluster.api.ask("DELETE", f"/api/v1/namespaces/{name}")


def run_job(cluster: clusters.Cluster, space: str, document: dict[str, Any]) -> str:
    """Run a Job to its completion and return its log."""
    path = f"/apis/batch/v1/namespaces/{space}/jobs"
    name = document["metadata"]["name"]
    cluster.api.create(path, document)

    def ended() -> str | None:
        conditions = cluster.api.get(f"{path}/{name}")["status"].get("conditions", ())
        return next((found["type"] for found in conditions if found["type"] in ("Complete", "Failed")), None)

    end = api.until(ended, f"end of Job {name}", timeout_s=DONE_S)
    log = str(cluster.api.get(f"/api/v1/namespaces/{space}/pods/{pod_of(cluster, space, name)['name']}/log"))
    assert end == "Complete", log
    return log


def pod_of(cluster: clusters.Cluster, space: str, name: str) -> dict[str, Any]:
    """Return name and node of the only pod of a Job."""
    found = cluster.api.get(f"/api/v1/namespaces/{space}/pods?labelSelector=job-name%3D{name}")["items"]
    assert len(found) == 1
    return {"name": found[0]["metadata"]["name"], "node": found[0]["spec"].get("nodeName")}


def test_a_job_lands_where_the_trusted_label_says_and_its_log_is_read(
    fr: clusters.Cluster, de: clusters.Cluster, space: str
) -> None:
    for cluster, country in ((fr, "FR"), (de, "DE")):
        with namespace(cluster, space):
            document = job("hello", images.make("busybox:1").name, "sh", "-c", "echo bonjour; id -u")
            document["spec"]["template"]["spec"]["nodeSelector"] = {clusters.JURISDICTION: country}
            assert run_job(cluster, space, document) == "bonjour\n1000\n"
            assert pod_of(cluster, space, "hello")["node"] in cluster.nodes


def test_the_python_of_this_machine_runs_in_a_pod_by_digest_and_reaches_the_api_server(
    de: clusters.Cluster, space: str
) -> None:
    program = (
        "import os, ssl, sys, urllib.request, urllib.error\n"
        "print(sys.version_info[:3])\n"
        "where = f\"https://{os.environ['KUBERNETES_SERVICE_HOST']}/version\"\n"
        "try:\n"
        "    urllib.request.urlopen(where, context=ssl._create_unverified_context(), timeout=60)\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
    )
    with namespace(de, space):
        said = run_job(de, space, job("python", images.make("python:1").pinned, "python3", "-c", program))
    assert said == f"{sys.version_info[:3]}\n401\n"


@pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only: a quarter of a gigabyte")
def test_the_libraries_of_the_digits_example_load_in_a_pod(fr: clusters.Cluster, space: str) -> None:
    image = images.make("science:1")
    fr.load_image(image, fr.nodes[:1])
    program = "from sklearn.datasets import load_digits; print(load_digits().data.shape)"
    here = {"kubernetes.io/hostname": fr.nodes[0]}
    with namespace(fr, space):
        document = job("science", image.pinned, "python3", "-c", program, nodeSelector=here)
        assert run_job(fr, space, document) == "(1797, 64)\n"


def test_a_kubelet_may_not_say_in_which_country_it_stands(fr: clusters.Cluster) -> None:
    fixtures.breakable(fr)
    node = fr.nodes[0]
    kubelet = api.Api(fr.folder / node / "kubeconfig")
    path = f"/api/v1/nodes/{node}"
    assert kubelet.request("PATCH", path, {"metadata": {"labels": {"example.org/x": "1"}}}, kind=api.MERGE)[0] == 200
    lie = {"metadata": {"labels": {clusters.JURISDICTION: "DE"}}}
    status, answer = kubelet.request("PATCH", path, lie, kind=api.MERGE)
    assert status == 403
    assert clusters.JURISDICTION in answer["message"]


def test_fake_nodes_take_jobs_that_want_accelerators(fr: clusters.Cluster, space: str) -> None:
    kwok.add_node(fr, space, resources={"nvidia.com/gpu": "8"}, tainted=True)
    wants = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    with namespace(fr, space):
        document = job("gpus", "none", "train", container=wants, tolerations=[{"operator": "Exists"}])
        run = f"/apis/batch/v1/namespaces/{space}/jobs"
        fr.api.create(run, document)
        api.until(lambda: fr.api.get(f"{run}/gpus")["status"].get("succeeded"), "Job gpus", timeout_s=DONE_S)
        assert pod_of(fr, space, "gpus")["node"] == space
    fr.api.ask("DELETE", f"/api/v1/nodes/{space}")


def test_fake_devices_are_allocated_by_the_scheduler(fr: clusters.Cluster, space: str) -> None:
    node, driver = f"steady-{space}", f"{space}.comity.test"
    kwok.add_node(fr, node, tainted=True)
    kwok.add_devices(fr, node, driver=driver, count=2, attributes={"productName": {"string": "H200"}}, memory="141Gi")
    kwok.add_device_class(fr, driver, driver=driver)
    with namespace(fr, space):
        request = {"name": "gpu", "exactly": {"deviceClassName": driver, "count": 2}}
        template = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaimTemplate",
            "metadata": {"name": "two"},
            "spec": {"spec": {"devices": {"requests": [request]}}},
        }
        where = f"/apis/resource.k8s.io/v1/namespaces/{space}"
        fr.api.create(f"{where}/resourceclaimtemplates", template)
        document = job(
            "claims",
            "none",
            "train",
            container={"resources": {"claims": [{"name": "gpu"}]}},
            resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "two"}],
            tolerations=[{"operator": "Exists"}],
        )
        fr.api.create(f"/apis/batch/v1/namespaces/{space}/jobs", document)

        def devices() -> list[str]:
            claims = fr.api.get(f"{where}/resourceclaims")["items"]
            given = [claim.get("status", {}).get("allocation", {}).get("devices", {}) for claim in claims]
            return sorted(result["device"] for found in given for result in found.get("results", ()))

        assert api.until(devices, "allocation", timeout_s=DONE_S) == ["d0", "d1"]

        def active() -> bool:
            return bool(fr.api.get(f"/apis/batch/v1/namespaces/{space}/jobs/claims")["status"].get("ready") == 1)

        # On a steady node it runs until somebody deletes it.
        assert api.until(active, "a running pod", timeout_s=DONE_S)
    fr.api.ask("DELETE", f"/api/v1/nodes/{node}")


def test_an_api_server_that_was_restarted_says_410_for_what_etcd_forgot(lone: clusters.Cluster) -> None:
    old = lone.api.get("/api/v1/nodes")["metadata"]["resourceVersion"]
    lone.api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "newer"}})
    assert faults.compact(lone) > int(old)
    faults.restart_api_server(lone, kill=True)
    status, answer = lone.api.request("GET", f"/api/v1/nodes?resourceVersion={old}&resourceVersionMatch=Exact")
    assert (status, answer["reason"]) == (410, "Expired")


def test_one_cluster_can_be_a_black_hole_while_another_answers(fr: clusters.Cluster, lone: clusters.Cluster) -> None:
    with faults.black_hole(lone):
        with pytest.raises(api.ApiError, match="timed out"):
            lone.api.request("GET", "/readyz", timeout_s=1.0)
        assert fr.api.get("/api/v1/nodes")["items"]
    assert lone.api.get("/api/v1/nodes")["items"]


def test_a_frozen_api_server_accepts_and_never_answers(lone: clusters.Cluster) -> None:
    with faults.frozen_api_server(lone), pytest.raises(api.ApiError, match="timed out"):
        lone.api.request("GET", "/readyz", timeout_s=1.0)


def test_a_node_whose_kubelet_dies_is_not_ready_until_it_is_back(lone: clusters.Cluster) -> None:
    node = lone.nodes[1]
    with faults.dead_kubelet(lone, node):
        api.until(lambda: not lone.node_ready(node), f"loss of {node}", timeout_s=DONE_S)
    assert lone.node_ready(node)


def settings() -> dict[str, str]:
    """Return the kernel settings that a kubelet changes."""
    proc = pathlib.Path("/proc/sys")
    names = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
    return {name: (proc / name).read_text() for name in names}


SETTINGS = settings()
"""As they were when tests were collected: before the first cluster of this test run."""


def machine_state() -> dict[str, Any]:
    """Return what a cluster must leave as it was, whatever other clusters live meanwhile."""
    rules = subprocess.run(
        [packages.find("iptables-save") or "iptables-save"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    return {
        "mounts": [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if "comity" in line],
        "iptables": [line for line in rules.splitlines() if not line.startswith("#")],
        "namespaces": sorted(path.name for path in pathlib.Path("/run/netns").glob("*")),
    }


def files_of(run: str) -> list[str]:
    """Return files and cgroups of a run."""
    folder = places.runs() / run
    found = [str(path) for path in hosts.CGROUPS.glob(f"*/comity-{run}-*")]
    return found + ([str(folder)] if folder.exists() else [])


def commands() -> dict[str, str]:
    """Return the command line of every process, by its number."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[process.name] = (process / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
    return found


def processes_of(run: str) -> list[str]:
    """Return the processes that name the folder of a run."""
    return [number for number, command in commands().items() if f"{places.runs() / run}/" in command]


def sleepers(nap: str) -> list[str]:
    """Return the processes that sleep for so long."""
    return [number for number, command in commands().items() if command == f"sleep {nap}"]


def interfaces() -> set[int]:
    """Return the numbers of this machine's interfaces; a number is not used again soon, a name is."""
    found = set()
    for path in pathlib.Path("/sys/class/net").glob("comity*"):
        with contextlib.suppress(OSError):  # it went meanwhile
            found.add(int((path / "ifindex").read_text()))
    return found


@contextlib.contextmanager
def owner(run: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``up`` in a process of its own until its clusters are ready."""
    command = [sys.executable, "-m", "tests.e2e.kube", "up", "--run", run, *words]
    with subprocess.Popen(command, cwd=places.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"fr {places.runs()}/{run}/fr/kubeconfig\n"
            yield process
        finally:
            process.terminate()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_ends_leaves_the_machine_as_it_was(kube: object, how: signal.Signals) -> None:
    before, links = machine_state(), interfaces()
    run, nap = f"t{os.getpid()}x{int(how)}", f"{10**6 + os.getpid()}"
    with contextlib.ExitStack() as alone, owner(run, "--name", "fr") as process:
        cluster = clusters.Cluster.load(places.runs() / run / "fr.json")
        own = interfaces() - links
        assert own
        body = job("nap", images.make("busybox:1").name, "sleep", nap)
        cluster.api.create("/apis/batch/v1/namespaces/default/jobs", body)
        api.until(lambda: len(sleepers(nap)) == 1, "a pod that sleeps", timeout_s=DONE_S)
        if how is signal.SIGKILL:  # clusters that others start beside us would sweep what we look at
            alone.enter_context(runs._alone("sweeping"))
        process.send_signal(how)
        process.wait(DONE_S)
        # All of it goes with the owner, by the kernel's hand; only files and empty cgroups may stay after a kill.
        api.until(lambda: not sleepers(nap) and not processes_of(run), "the end of all processes", timeout_s=DONE_S)
        api.until(lambda: not own <= interfaces(), "the end of its interface", timeout_s=DONE_S)
        if how is signal.SIGKILL:
            assert files_of(run)
            assert [line for line in runs._sweep() if run in line] == []
    assert files_of(run) == []
    assert machine_state() == before
    assert settings() == SETTINGS


def test_a_run_ends_when_its_last_user_is_killed(kube: object) -> None:
    run = f"u{os.getpid()}"
    words = ("--name", "fr", "--nodes", "0")
    program = f"from tests.e2e.kube import runs; runs.join({run!r}, {words!r}); print('in', flush=True); input()"
    with contextlib.ExitStack() as users:
        command = [sys.executable, "-c", program]
        both = [
            users.enter_context(
                subprocess.Popen(command, cwd=places.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        for user in both:
            assert user.stdout is not None
            assert user.stdout.readline() == "in\n"
        assert list(runs.living()).count(run) == 1
        both[0].kill()
        both[0].wait()
        assert files_of(run)
        api.until(clusters.Cluster.load(places.runs() / run / "fr.json").api.ready, "the cluster", timeout_s=DONE_S)
        both[1].kill()
    api.until(lambda: not files_of(run) and not processes_of(run), "the end of the run", timeout_s=DONE_S)


def test_a_start_that_fails_says_why_in_one_line(kube: object) -> None:
    run = f"f{os.getpid()}"
    with pytest.raises(runs.RunError, match="no-such-gate") as caught:
        runs.join(run, ("--name", "fr", "--nodes", "0", "--gate", "no-such-gate=true"))
    assert "\n" not in str(caught.value)
    # Its owner may still be ending; the folder with its logs stays until somebody sweeps.
    api.until(lambda: [runs.sweep(), files_of(run)][1] == [], "the end of the run", timeout_s=DONE_S)


def test_what_is_missing_is_said_in_one_line_and_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "SEARCH", "")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lines = packages.missing()
    assert any(line.startswith("root is missing") for line in lines)
    assert any(line.startswith("packages missing: ") and "containerd" in line for line in lines)
    assert all("\n" not in line for line in lines)
    assert "as root" in str(packages.install())
    monkeypatch.setenv("COMITY_E2E", "required")
    with pytest.raises(pytest.fail.Exception, match="root is missing"):
        fixtures._prepare()
    monkeypatch.setenv("COMITY_E2E", "")
    with pytest.raises(pytest.skip.Exception, match="root is missing"):
        fixtures._prepare()


def test_clusters_of_kubeconfig_come_first_and_must_say_where_they_stand(
    kube: dict[str, clusters.Cluster], tmp_path: pathlib.Path
) -> None:
    merged = os.pathsep.join(str(cluster.kubeconfig) for cluster in kube.values())
    found = foreign.load(merged)
    assert {name: (cluster.jurisdiction, cluster.own) for name, cluster in found.items()} == {
        name: (cluster.jurisdiction, False) for name, cluster in kube.items()
    }
    nowhere = json.loads(kube["fr"].kubeconfig.read_text())
    nowhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "config").write_text(json.dumps(nowhere))
    with pytest.raises(foreign.ForeignError, match=r"context fr: .*refused"):
        foreign.load(str(tmp_path / "config"))
