"""The second fence on a real API server: every way around it that we know is tried, by one who may do anything else.

`mallory` is a cluster administrator (RBAC refuses nothing), so each refusal seen here is the fence's own.
"""

import copy
import dataclasses
import json
import secrets
import subprocess
import sys
import threading
import time

import pytest

from orchestrator.policy import admission
from tests.e2e.kube import clusters

UNTIL_S = 180.0
RUN = secrets.token_hex(3)
"""Namespaces of an earlier run may still be going."""
JOBS, HOME, GOING = f"fenced-jobs-{RUN}", f"fenced-comity-{RUN}", f"fenced-going-{RUN}"
MALLORY = ("--as=mallory", "--as-group=system:masters")
COMITY = (f"--as=system:serviceaccount:{HOME}:comity", "--as-group=system:masters")
CONTROLLER = (f"--as={admission.CONTROLLERS[0]}", "--as-group=system:masters")
PREFIX = f"comity-{RUN}"
POLICIES = ("jobs", "job-changes", "pods", "bindings", "decided-jobs")
DIGEST = "sha256:" + "a" * 64
BOOK = f"{admission.PLURAL}.{admission.GROUP}"
POD = {
    "restartPolicy": "Never",
    "nodeSelector": {admission.JURISDICTION: "FR"},
    "containers": [{"name": "main", "image": "none.example/none@sha256:" + "0" * 64}],
}


@dataclasses.dataclass(frozen=True)
class Fenced:
    """A cluster with the fence up, and a word to it."""

    cluster: clusters.Cluster

    def ask(self, *words: str, given: object = None, namespace: str = JOBS) -> tuple[int, str]:
        """Run kubectl; returns exit code and everything that it said."""
        text = "" if given is None else json.dumps(given)
        ran = self.cluster.kubectl("--namespace", namespace, *words, given=text)
        return ran.returncode, ran.stdout + ran.stderr

    def do(self, *words: str, given: object = None, namespace: str = JOBS) -> str:
        """Run kubectl where it must work."""
        code, said = self.ask(*words, given=given, namespace=namespace)
        assert code == 0, said
        return said

    def refuses(self, *words: str, given: object = None, because: str) -> None:
        """Run kubectl where the fence must refuse, in its own words."""
        code, said = self.ask(*words, given=given)
        assert code != 0, said
        assert "ValidatingAdmissionPolicy 'comity-" in said, said
        assert because in said, said

    def eventually(self, *words: str, given: object = None) -> str:
        """Run kubectl until it works: what the API server reads through a cache it may see a moment later."""
        return _until(lambda: self.ask(*words, given=given), lambda found: found[0] == 0)[1]

    def decide(self, *names: str) -> None:
        """Enter placements as the adapter does."""
        patch = json.dumps({"data": dict.fromkeys(names, DIGEST)})
        self.do(*COMITY, "patch", BOOK, admission.OBJECT, "--type=merge", "-p", patch)


def _until(ask, good):
    """Ask again for a bounded time; the last answer, good or not, is asserted on."""
    end = time.monotonic() + UNTIL_S
    while not good(found := ask()) and time.monotonic() < end:
        threading.Event().wait(0.05)  # another process decides when
    assert good(found), found
    return found


def job(name: str, *, digest: str | None = DIGEST, labels=None, pod=None, **spec) -> dict:
    """Return a Job as the adapter marks it."""
    marks = {admission.JOB_LABEL: name[:-2].upper(), admission.ATTEMPT_LABEL: "1"} if labels is None else labels
    metadata = {"name": name, "labels": marks, "annotations": {admission.SPEC_ANNOTATION: digest} if digest else {}}
    template = {"spec": {**POD, **(pod or {})}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def pod(name: str, **changed) -> dict:
    """Return a pod that stands by itself."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**POD, **changed}}


def book(**data: str) -> dict:
    """Return the parameter object."""
    api = f"{admission.GROUP}/v1"
    return {"apiVersion": api, "kind": admission.KIND, "metadata": {"name": admission.OBJECT}, "data": data}


@pytest.fixture(scope="module")
def fenced(fr):
    """Put the fence up, as an operator would: export, apply, and wait until the API server holds it."""
    cluster = Fenced(fr)
    words = ("--namespace", JOBS, "--namespace", GOING, "--country", "FR", "--service-account", f"{HOME}/comity")
    words = (*words, "--name", PREFIX)
    exported = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "policy", "export", "--to", "kubernetes", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    for name in (HOME, JOBS, GOING):
        cluster.do("create", "namespace", name)
    # The kind of the parameter object is everybody's here: who makes it at the same moment is told that it is there.
    apply = ("apply", "--validate=strict", "-f", "-")
    applied = _until(lambda: fr.kubectl(*apply, given=exported), lambda ran: ran.returncode == 0)
    assert applied.stderr == "", applied
    probe = (*MALLORY, "create", "--dry-run=server", "-f", "-")
    _until(lambda: cluster.ask(*probe, given=book()), lambda found: "written by Comity only" in found[1])
    yield cluster
    for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        cluster.do("delete", kind, *(f"{PREFIX}-{name}" for name in POLICIES), "--timeout=180s")
    cluster.do("delete", "namespace", JOBS, HOME, "--wait=false")


@pytest.fixture(scope="module")
def placements(fenced):
    """Make the parameter object, and see that without one nothing is created; by then every policy is in force."""
    for who, given, because in (
        (COMITY, job("01early-1"), "no params found"),
        (MALLORY, pod("early"), "by the job controller only"),
    ):
        words = (*who, "create", "--dry-run=server", "-f", "-")
        _until(
            lambda words=words, given=given: fenced.ask(*words, given=given),
            lambda said, because=because: because in said[1],
        )
    fenced.refuses(*COMITY, "create", "-f", "-", given=job("01early-1"), because="no params found")
    fenced.do(*COMITY, "create", "-f", "-", given=book())
    fenced.decide(*(f"01known-{number}" for number in range(1, 10)))
    fenced.eventually(*COMITY, "create", "--dry-run=server", "-f", "-", given=job("01known-9"))
    return fenced


def test_the_api_server_finds_no_fault_with_the_expressions(fenced) -> None:
    """Type checking of the API server warns of nothing in any policy."""
    names = [f"validatingadmissionpolicies/{PREFIX}-{name}" for name in POLICIES]

    def ask():
        items = json.loads(fenced.do("get", *names, "-o", "json"))
        return [each.get("status", {}).get("typeChecking") for each in items["items"]]

    assert _until(ask, lambda found: None not in found) == [{}] * 5


def test_what_was_decided_is_created(placements) -> None:
    """A Job of our account that stands in the parameter object gets its pod from the Job controller."""
    placements.do(*COMITY, "create", "-f", "-", given=job("01known-1"))
    words = ("get", "pods", "-l", "job-name=01known-1", "-o", "name")
    assert _until(lambda: placements.ask(*words)[1].split(), bool)


@pytest.mark.parametrize(
    ("who", "given", "because"),
    [
        (MALLORY, job("01known-2"), "jobs are created here by Comity only"),
        (MALLORY, job("01known-2", labels={}), "jobs are created here by Comity only"),
        (COMITY, job("01known-2", labels={}), f"carries the label {admission.JOB_LABEL}"),
        (COMITY, job("01unknown-1"), "no placement was decided"),
        (COMITY, job("01known-2", digest="sha256:" + "b" * 64), "no placement was decided"),
        (COMITY, job("01known-2", digest=None), "no placement was decided"),
        (COMITY, job("01unknown-1", digest=None), "no placement was decided"),
        (COMITY, job("01known-2", pod={"nodeSelector": {}}), "names one of FR"),
        (COMITY, job("01known-2", pod={"nodeSelector": None}), "names one of FR"),
        (COMITY, job("01known-2", pod={"nodeSelector": {admission.JURISDICTION: "US"}}), "names one of FR"),
        (COMITY, job("01known-2", pod={"nodeSelector": {"jurisdiction": "FR"}}), "names one of FR"),
        (COMITY, job("01known-2", pod={"nodeName": "anywhere"}), "nodes are chosen by the scheduler"),
        (COMITY, job("01known-2", managedBy="kueue.x-k8s.io/multikueue"), "another cluster"),
    ],
)
def test_no_other_job_is_created(placements, who, given, because: str) -> None:
    """Somebody else's, unmarked, undecided, decided otherwise, for another country or another cluster: refused."""
    placements.refuses(*who, "create", "-f", "-", given=given, because=because)


def test_no_other_workload_gets_a_pod(placements) -> None:
    """A pod by hand is refused, and so is what a Deployment, a CronJob or a forged owner would bring."""
    create = ("create", "-f", "-")
    placements.refuses(*MALLORY, *create, given=pod("loose"), because="by the job controller only")
    forged = pod("forged")
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "01known-1", "uid": "00000000", "controller": True}
    forged["metadata"]["ownerReferences"] = [owner]
    placements.refuses(*MALLORY, *create, given=forged, because="by the job controller only")
    for account in ("replicaset-controller", "daemon-set-controller", "statefulset-controller"):
        who = (f"--as=system:serviceaccount:kube-system:{account}", "--as-group=system:masters")
        placements.refuses(*who, *create, given=pod("loose"), because="by the job controller only")
    who = ("--as=system:serviceaccount:kube-system:cronjob-controller", "--as-group=system:masters")
    placements.refuses(*who, *create, given=job("01known-2"), because="by Comity only")


def test_the_controller_itself_is_held(placements) -> None:
    """A pod in the Job controller's name without an owner, with another country or with a node is refused."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "01known-1", "uid": "00000000", "controller": True}
    owned = pod("held")
    owned["metadata"]["ownerReferences"] = [owner]
    for changed, because in (
        (pod("held"), "a pod is owned by a job"),
        (_with(owned, nodeSelector={admission.JURISDICTION: "US"}), "names one of FR"),
        (_with(owned, nodeSelector={}), "names one of FR"),
        (_with(owned, nodeName="anywhere"), "nodes are chosen by the scheduler"),
    ):
        placements.refuses(*CONTROLLER, "create", "-f", "-", given=changed, because=because)


def _with(given: dict, **changed) -> dict:
    made = copy.deepcopy(given)
    made["spec"].update(changed)
    return made


def test_a_deployment_stays_without_pods(placements) -> None:
    """A Deployment may be declared; the API server refuses its pods, and it says so."""
    placements.do(*MALLORY, "create", "deployment", "loose", "--image=none.example/none")
    why = '{.items[*].status.conditions[?(@.type=="ReplicaFailure")].message}'
    said = _until(lambda: placements.ask("get", "replicasets", "-l", "app=loose", "-o", f"jsonpath={why}")[1], bool)
    assert "by the job controller only" in said
    placements.do("delete", "deployment", "loose", "--wait=false")


def test_a_waiting_job_keeps_its_marks_and_its_country(placements) -> None:
    """The template of a suspended Job can be changed in Kubernetes: not its country, and no mark, by anybody."""
    placements.do(*COMITY, "create", "-f", "-", given=job("01known-3", suspend=True))
    for who in (MALLORY, COMITY):
        for patch, because in (
            ({"spec": {"template": {"spec": {"nodeSelector": {admission.JURISDICTION: "US"}}}}}, "stays"),
            ({"spec": {"template": {"spec": {"nodeSelector": None}}}}, "stays"),
            ({"metadata": {"labels": {admission.JOB_LABEL: None}}}, "the marks of a job stay"),
            ({"metadata": {"labels": {admission.ATTEMPT_LABEL: "2"}}}, "the marks of a job stay"),
            ({"metadata": {"annotations": {admission.SPEC_ANNOTATION: "sha256:b"}}}, "the marks of a job stay"),
        ):
            words = ("patch", "job", "01known-3", "--type=merge", "-p", json.dumps(patch))
            placements.refuses(*who, *words, because=because)
    resume = json.dumps({"spec": {"suspend": False}})
    placements.do(*COMITY, "patch", "job", "01known-3", "--type=merge", "-p", resume)


def test_nobody_binds_pods_but_the_scheduler(placements) -> None:
    """Both ways of the API to choose a node for a pod are refused, and a container cannot be added later."""
    placements.do(*COMITY, "create", "-f", "-", given=job("01known-4"))
    words = ("get", "pods", "-l", "job-name=01known-4", "-o", "jsonpath={.items[*].metadata.name}")
    name = _until(lambda: placements.ask(*words)[1], bool)
    target = {"apiVersion": "v1", "kind": "Node", "name": "anywhere"}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    base = f"/api/v1/namespaces/{JOBS}"
    for path in (f"{base}/pods/{name}/binding", f"{base}/bindings"):
        for who in (MALLORY, COMITY):
            placements.refuses(*who, "create", "--raw", path, "-f", "-", given=binding, because="by the scheduler only")
    added = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "none.example/none"}]}}
    patch = ("patch", "pod", name, "--subresource=ephemeralcontainers", "-p", json.dumps(added))
    placements.refuses(*MALLORY, *patch, because="no container is added")


def test_nobody_else_writes_the_parameter_object(placements) -> None:
    """Changing, replacing, adding and deleting it is refused, one by one and all at once."""
    entry = json.dumps({"data": {"01unknown-1": DIGEST}})
    name, because = admission.OBJECT, "are written by Comity only"
    placements.refuses(*MALLORY, "patch", BOOK, name, "--type=merge", "-p", entry, because=because)
    placements.refuses(*MALLORY, "delete", BOOK, name, because=because)
    placements.refuses(*MALLORY, "replace", "-f", "-", given=book(**{"01unknown-1": DIGEST}), because=because)
    second = book(**{"01unknown-1": DIGEST})
    second["metadata"]["name"] = "another"
    placements.refuses(*MALLORY, "create", "-f", "-", given=second, because=because)
    path = f"/apis/{admission.GROUP}/v1/namespaces/{JOBS}/{admission.PLURAL}"
    placements.refuses(*MALLORY, "delete", "--raw", path, because=because)
    assert "01known-1" in placements.do("get", BOOK, name, "-o", "jsonpath={.data}")


def test_what_is_no_digest_is_not_entered(placements) -> None:
    """The parameter object holds digests only, so an empty one can never equal a missing mark."""
    for text in ("", "sha256:", "x" * 71):
        entry = json.dumps({"data": {"01unknown-1": text}})
        code, said = placements.ask(*COMITY, "patch", BOOK, admission.OBJECT, "--type=merge", "-p", entry)
        assert code != 0
        assert "should match" in said


def test_what_was_taken_away_is_created_no_more(placements) -> None:
    """An entry that was removed counts no longer."""
    placements.decide("01known-5")
    taken = json.dumps({"data": {"01known-5": None}})
    placements.do(*COMITY, "patch", BOOK, admission.OBJECT, "--type=merge", "-p", taken)
    words = (*COMITY, "create", "--dry-run=server", "-f", "-")
    said = _until(lambda: placements.ask(*words, given=job("01known-5")), lambda found: found[0] != 0)[1]
    assert "no placement was decided" in said


def test_namespaces_beside_it_are_free(placements) -> None:
    """The fence stands around the namespaces that were named, and no further."""
    placements.do(*MALLORY, "create", "--dry-run=server", "-f", "-", given=job("01other-1"), namespace=HOME)
    placements.do(*MALLORY, "create", "--dry-run=server", "-f", "-", given=pod("loose"), namespace=HOME)


def test_a_namespace_that_is_deleted_goes(placements) -> None:
    """The fence does not keep a namespace with its parameter object from being emptied and removed."""
    placements.do(*COMITY, "create", "-f", "-", given=book(), namespace=GOING)
    placements.do("delete", "namespace", GOING, "--wait=false")
    _until(lambda: placements.ask("get", "namespace", GOING), lambda found: "NotFound" in found[1])
