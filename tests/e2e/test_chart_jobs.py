"""The chart at work: it places jobs into its own cluster, with its own rights, behind the second fence; upgrades."""

import json
import subprocess
import sys

import pytest
import yaml

from orchestrator.policy import admission
from tests.e2e import _comity_image, _kubernetes, _releases
from tests.e2e._planes import job
from tests.e2e.kube import building, kwok

RUNNING = 100
"""Jobs that are there while the control plane is replaced."""


def _documents(release: _releases.Release) -> dict[str, str]:
    """Return the documents of an installation whose one place is the cluster that it runs in."""
    place = {"operator": "me", "location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}}
    facts = {"source": "a test", "assurance": "declared"}
    pools = {
        "real": {"nodeSelector": {"kubernetes.io/hostname": release.cluster.nodes[0]}},
        "fake": {
            "nodeSelector": {"comity.test/run": release.run},
            "tolerations": [{"key": kwok.TAINT["key"], "value": kwok.TAINT["value"]}],
        },
    }
    settings = {"inCluster": True, "namespace": release.jobs, "jurisdiction": "FR", "fence": True, "pools": pools}
    prices = [{"name": "real", "pricePerHour": "1 EUR"}, {"name": "fake", "pricePerHour": "9 EUR"}]
    found = {
        "control-plane": ("ControlPlane", "self", place),
        "operator": ("Operator", "me", {"legalCountry": "FR", "ultimateParentHq": "FR", "facts": facts}),
        "cluster": (
            "Backend",
            "here",
            {"adapter": "kubernetes", **place, "pools": prices, "settings": settings, "facts": facts},
        ),
    }
    return {
        f"{file}.yaml": yaml.safe_dump(
            {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        )
        for file, (kind, name, spec) in found.items()
    }


def _fence(release: _releases.Release) -> None:
    """Put up the second fence, as the administrator of the cluster."""
    words = ("--namespace", release.jobs, "--country", "FR", "--service-account", f"{release.home}/comity")
    exported = subprocess.run(
        [
            sys.executable,
            "-m",
            "orchestrator.cli",
            "policy",
            "export",
            "--to",
            "kubernetes",
            *words,
            "--name",
            release.home,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    # The kind of the parameter object is everybody's here: who makes it at the same moment is told that it is there.
    apply = ("apply", "-f", "-")
    _releases.until(lambda: release.cluster.kubectl(*apply, given=exported), lambda ran: ran.returncode == 0)


@pytest.fixture(scope="module")
def working(fr):
    """Have an installation whose one place is its own cluster, behind the fence."""
    building.ensure("helm")
    if not fr.own:
        pytest.skip("the nodes that only the API server knows are for clusters of our own")
    release = _releases.Release(fr, _comity_image.make())
    release.prepare()
    _fence(release)
    kwok.add_node(
        fr,
        f"{kwok.STEADY}-{release.run}",
        labels={"comity.test/run": release.run},
        resources={"memory": "16Ti"},
        tainted=True,
    )
    release.helm("install", "--wait", "--timeout=360s", secondFence=True, documents=_documents(release))
    yield release
    release.remove()
    fr.kubectl("delete", "node", f"{kwok.STEADY}-{release.run}", "--wait=false")
    for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        names = (f"{release.home}-{name}" for name in ("jobs", "job-changes", "pods", "bindings", "decided-jobs"))
        fr.kubectl("delete", kind, *names, "--wait=false")


def _jobs(release: _releases.Release) -> dict[str, dict]:
    """Return the Jobs of the cluster, by name."""
    found = json.loads(release.kubectl("get", "jobs", "-o", "json", namespace=release.jobs))
    return {each["metadata"]["name"]: each for each in found["items"]}


def _phases(release: _releases.Release) -> dict[str, str]:
    """Return the phase of each job, as the control plane says."""
    found = json.loads(release.comity("get", "jobs", "-o", "json"))
    items = found["items"] if isinstance(found, dict) else found
    return {each["metadata"]["id"]: each["status"]["phase"] for each in items}


def _submit(release: _releases.Release, *documents: dict) -> list[str]:
    given = yaml.safe_dump_all(documents)
    return release.comity("submit", "-f", "-", given=given).split()


def test_a_job_runs_in_its_own_cluster_with_the_charts_rights(working) -> None:
    """The job runs in a real pod behind the fence, and its log comes back; its entry stood in the parameter object."""
    script = "echo hello from $COMITY_JOB_ID"
    given = job("hello", "sh", "-c", script, image=_kubernetes.busybox(), objective={"cost": 1})
    (id,) = _submit(working, given)
    working.comity("wait", id)
    assert working.comity("logs", id).strip() == f"hello from {id}"
    (made,) = [each for name, each in _jobs(working).items() if name.startswith(id.lower())]
    assert made["spec"]["template"]["spec"]["nodeSelector"][admission.JURISDICTION] == "FR"
    entered = working.kubectl(
        "get", f"{admission.PLURAL}.{admission.GROUP}", admission.OBJECT, "-o", "json", namespace=working.jobs
    )
    assert json.loads(entered)["data"][f"{id.lower()}-1"] == made["metadata"]["annotations"][admission.SPEC_ANNOTATION]


def test_an_upgrade_loses_no_running_job(working) -> None:
    """While a hundred jobs run the pod is replaced: the same Jobs, each once; certificate, token and record stay."""
    documents = [
        job(f"long-{number}", "sleep", "inf", image=_kubernetes.busybox(), resources={"memory": "40Gi"})
        for number in range(RUNNING)
    ]
    ids = _submit(working, *documents)
    assert len(ids) == RUNNING

    def running() -> int:
        found = _phases(working)
        return sum(found.get(id) == "RUNNING" for id in ids)

    _releases.until(running, lambda found: found == RUNNING, seconds=400)
    keys = {f"{id.lower()}-1" for id in ids}
    before = {name: each["metadata"]["uid"] for name, each in _jobs(working).items() if name in keys}
    assert set(before) == keys
    kept = _identity(working)
    working.helm(
        *("upgrade", "--wait", "--timeout=360s"),
        secondFence=True,
        documents=_documents(working),
        podAnnotations={"comity.test/upgrade": "1"},
    )
    _releases.until(running, lambda found: found == RUNNING)
    after = {name: each["metadata"]["uid"] for name, each in _jobs(working).items()}
    assert {name: uid for name, uid in after.items() if name in keys} == before
    assert not [name for name in after if name.rpartition("-")[2] != "1"]
    assert _identity(working) == kept
    working.comity("log", "verify")
    working.comity("cancel", ids[0])
    _releases.until(lambda: _phases(working)[ids[0]], lambda phase: phase == "CANCELLED")


def _identity(release: _releases.Release) -> tuple[str, str]:
    """Return the certificate and the first token."""
    certificate = release.kubectl("get", "secret", "comity-tls", "-o", "jsonpath={.data}")
    return certificate, release.kubectl("exec", "comity-0", "--", "cat", "/var/lib/comity/state/admin.token")
