"""The chart on a real cluster: rendered, judged by the API server, installed, upgraded, tested, taken away."""

import json
import pathlib
import subprocess
import tempfile

import pytest
import yaml

from tests.e2e import _comity_image, _releases
from tests.e2e.kube import building, packages

OPERATOR = "github.com/prometheus-operator/prometheus-operator"
OPERATOR_VERSION = "v0.84.0"
OPERATOR_SUM = "h1:XXm7lKizTnnxeSwI01wjNAapKzw/4XAPdpcZqjRKgRU="
"""Of the module that holds the definitions of ServiceMonitor and PrometheusRule (Apache-2.0)."""
OWN_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
EVERYTHING = {
    "secondFence": True,
    "documents": {"a.yaml": "# nothing\n"},
    "trust": "issuers: []\n",
    "secrets": ["kubeconfigs"],
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True, "runbookBase": "https://runbooks.example/comity/"},
    "networkPolicy": {"from": [{"namespaceSelector": {}}], "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
    "tolerations": [{"operator": "Exists"}],
    "server": {"onePerson": False, "allowHosts": ["comity.example"], "extraArgs": ["--policy-tests-required"]},
}


@pytest.fixture(scope="module")
def built(kube):
    """Have Helm."""
    building.ensure("helm")


@pytest.fixture(scope="module")
def release(fr, built):
    """Have a place for a release, with nothing in it."""
    made = _releases.Release(fr, _comity_image.make())
    made.prepare()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def installed(release):
    """Have the chart installed, and its pod ready."""
    release.helm("install", "--wait", "--timeout=360s")
    return release


def _monitoring() -> list[pathlib.Path]:
    """Return the definitions of the Prometheus operator, from its own module; none where they cannot be fetched."""
    go = packages.go()
    if go is None:
        return []
    words = [go, "mod", "download", "-json", f"{OPERATOR}@{OPERATOR_VERSION}"]
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    if ran.returncode:
        return []
    found = json.loads(ran.stdout)
    assert found["Sum"] == OPERATOR_SUM
    top = pathlib.Path(found["Dir"]) / "example" / "prometheus-operator-crd"
    return [top / f"monitoring.coreos.com_{name}.yaml" for name in ("servicemonitors", "prometheusrules")]


def test_lint_finds_nothing(built) -> None:
    """Helm's own linter, warnings as errors."""
    ran = _releases.helm("lint", "--strict", str(_releases.CHART))
    assert ran.returncode == 0, ran.stdout
    assert "WARNING" not in ran.stdout


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("userId=0", "/userId"),
        ("replicas=2", "'replicas' not allowed"),
        ("image.digest=sha256:12", "/image/digest"),
        ("jobNamespaces=null", "missing property 'jobNamespaces'"),
        ("server.onePerson=maybe", "/server/onePerson"),
        ("prometheusRule.runbookBase=runbooks", "/prometheusRule/runbookBase"),
    ],
)
def test_wrong_values_are_refused(built, wrong: str, said: str) -> None:
    """What the schema does not know, or what would weaken the pod, is refused by name before anything is sent."""
    ran = _releases.helm("template", "comity", str(_releases.CHART), "--set", wrong)
    assert ran.returncode != 0
    assert said in ran.stderr


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_api_server_takes_every_object(release, values) -> None:
    """All that is rendered passes strict validation and Pod Security on the server, where a warning is an error."""
    space = f"dry-{release.run}-{len(values)}"
    labels = _releases.RESTRICTED
    release.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}})
    crds = _monitoring() if values else []
    for crd in crds:
        release.kubectl("apply", "--server-side", "-f", str(crd))
    for crd in crds:
        release.kubectl("wait", "--for=condition=Established", "-f", str(crd), "--timeout=180s")
    more = {"placementDecisions": space} if values else {}
    values = values | more | {"jobNamespaces": [{"name": space, "create": False}]}
    rendered = [each for each in yaml.safe_load_all(release.helm("template", space=space, **values)) if each]
    if values.get("serviceMonitor") and not crds:
        rendered = [each for each in rendered if each["apiVersion"] != "monitoring.coreos.com/v1"]
    kinds = {each["kind"] for each in rendered}
    assert {"StatefulSet", "Role", "RoleBinding", "NetworkPolicy", "Service", "Pod"} <= kinds
    words = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    ran = release.cluster.kubectl(*words, given=yaml.safe_dump_all(rendered))
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert ran.stdout.count("server dry run") == len(rendered)
    release.kubectl("delete", "namespace", space, "--wait=false")


def test_a_weaker_pod_would_be_told(release) -> None:
    """The check above can fail: a pod that may become root is a warning, and so an error."""
    rendered = list(yaml.safe_load_all(release.helm("template")))
    (found,) = [each for each in rendered if each and each["kind"] == "StatefulSet"]
    found["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    words = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    ran = release.cluster.kubectl(*words, given=json.dumps(found))
    assert ran.returncode != 0
    assert "allowPrivilegeEscalation" in ran.stderr


def test_the_kustomize_base_is_what_the_chart_makes(built) -> None:
    """Same objects, but for Helm's own labels, the certificate, the namespace of the control plane and the test."""
    kubectl, base = str(building.program("kubectl")), str(_comity_image.ROOT / "manifests")
    shown = subprocess.run([kubectl, "kustomize", base], capture_output=True, text=True, timeout=300, check=True).stdout
    rendered = _releases.helm("template", "comity", str(_releases.CHART), "--namespace", "comity").stdout
    based, charted = _plain(shown), _plain(rendered)
    assert set(based) - set(charted) == {"Namespace/comity"}
    assert set(charted) - set(based) == {"Secret/comity-tls", "Pod/comity-test-ready"}
    for name in set(based) & set(charted):
        assert based[name] == charted[name], name


def _plain(text: str) -> dict[str, dict]:
    """Return objects by kind and name, without what only Helm or only Kustomize adds."""
    found = {}
    for each in yaml.safe_load_all(text):
        if not each:
            continue
        plain = json.loads(json.dumps(each).replace(_suffix(text), ""))
        for metadata in (plain["metadata"], plain.get("spec", {}).get("template", {}).get("metadata", {})):
            for label in OWN_LABELS:
                metadata.get("labels", {}).pop(label, None)
            notes = metadata.pop("annotations", {})
            assert all(note.startswith(("helm.sh/", "comity.dev/configuration")) for note in notes)
        if plain["kind"] == "ConfigMap":
            plain["data"] = plain.get("data") or {}
        found[f"{plain['kind']}/{plain['metadata']['name']}"] = plain
    return found


def _suffix(text: str) -> str:
    """Return the hash that Kustomize puts behind the name of the ConfigMap, or something that is nowhere."""
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(text) if each and each["kind"] == "ConfigMap"]
    return names[0].removeprefix("comity-documents") or "\0"


def test_it_is_installed_and_answers(installed) -> None:
    """Install waits until the pod is ready; Helm's test asks over TLS by the service; the notes' commands work."""
    said = installed.helm("test", "--logs", "--timeout=300s")
    assert "Phase:          Succeeded" in said
    assert '{"status":"ok"' in said
    token = installed.kubectl("exec", "comity-0", "--", "cat", "/var/lib/comity/state/admin.token")
    assert len(token.strip()) > 20
    assert installed.comity("get", "sites", "-o", "name") == ""
    said = installed.kubectl(
        "exec", "comity-0", "--", "sh", "-c", "id -u; touch /opt/x 2>&1; stat -c %a $COMITY_STATE_DIR"
    )
    assert said.split("\n")[0] == str(_comity_image.USER)
    assert "Read-only file system" in said
    assert said.strip().endswith("700")


def test_its_account_may_what_the_table_says_and_no_more(installed) -> None:
    """The API server's own answer, for each line of the table and for what would be too much."""
    who = f"system:serviceaccount:{installed.home}:comity"
    table = yaml.safe_load((_releases.CHART / "files" / "permissions.yaml").read_text())

    def may(verb: str, resource: str, group: str, namespace: str) -> bool:
        name, _, part = resource.partition("/")
        asked = {"verb": verb, "resource": name, "subresource": part, "group": group, "namespace": namespace}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        spec = {"user": who, "groups": ["system:serviceaccounts", "system:authenticated"], "resourceAttributes": asked}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return installed.cluster.api.create(path, {**review, "spec": spec})["status"].get("allowed", False)

    for rule in table["namespaced"]:
        for verb in rule["verbs"]:
            assert may(verb, rule["resources"][0], rule["apiGroups"][0], installed.jobs), rule
            assert not may(verb, rule["resources"][0], rule["apiGroups"][0], "default"), rule
    for verb, resource, group in (
        ("create", "pods", ""),
        ("create", "pods/exec", ""),
        ("get", "secrets", ""),
        ("list", "secrets", ""),
        ("create", "rolebindings", "rbac.authorization.k8s.io"),
        ("patch", "nodes", ""),
        ("create", "serviceaccounts/token", ""),
        ("create", "decidedjobs", "fence.comity.dev"),
        ("create", "placementdecisions", "multicluster.x-k8s.io"),
    ):
        assert not may(verb, resource, group, installed.jobs), (verb, resource)
        assert not may(verb, resource, group, installed.home), (verb, resource)


def test_what_goes_and_what_stays(release) -> None:
    """After an uninstallation namespaces of jobs and the volume are there still, and nothing else of the release."""
    other = _releases.Release(release.cluster, release.image)
    other.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.home}})
    other.helm("install")
    other.helm("uninstall", "--wait")
    kinds = "statefulsets,services,serviceaccounts,secrets,configmaps,networkpolicies,roles,rolebindings"
    left = other.kubectl("get", kinds, "-o", "name").split()
    assert set(left) <= {"serviceaccount/default", "configmap/kube-root-ca.crt"}
    assert other.kubectl("get", "roles,rolebindings", "-o", "name", namespace=other.jobs).split() == []
    found = json.loads(other.kubectl("get", "namespace", other.jobs, "-o", "json"))
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert other.kubectl("get", "persistentvolumeclaims", "-o", "name").split() == [
        "persistentvolumeclaim/state-comity-0"
    ]
    assert f"{other.home}-comity" not in other.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    other.remove()


def test_a_real_kubelet_refuses_only_the_label_that_kinds_configuration_leaves_out(built) -> None:
    """Asked for all labels of kind-config.yaml and the trusted one, it names that one only, and does not start."""
    config = yaml.safe_load((_comity_image.ROOT / "kind-config.yaml").read_text())
    labels = {label: value for node in config["nodes"] for label, value in node.get("labels", {}).items()}
    trusted = "node-restriction.kubernetes.io/jurisdiction"
    given = ",".join(f"{label}={value}" for label, value in {**labels, trusted: "FR"}.items())
    words = [str(building.program("kubelet")), f"--node-labels={given}", "--kubeconfig=/nonexistent"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode != 0
    assert f"unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{trusted}]" in ran.stderr
