"""Chart, manifests, alerts, runbooks, image and kind's configuration say nothing that the code does not have."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml

from backends.kubernetes import decided, names, permissions
from docs.tools import rights
from orchestrator import version
from orchestrator.policy import admission
from orchestrator.telemetry import metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "comity"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
PERMISSIONS = yaml.safe_load((CHART / "files" / "permissions.yaml").read_text())
TERMS = admission.Terms(account=("comity", "comity"), namespaces=("jobs",), countries=("FR",))
_METRIC = re.compile(r"\b(comity_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")


def _known() -> dict[str, tuple[str, ...]]:
    """Return the name of every series that is scraped, with its labels."""
    found = {}
    for collector, called in metrics.Metrics()._registry._collector_to_names.items():
        # Counters and histograms have no series under the bare name.
        series = [name for name in called if name.endswith(("_total", "_bucket", "_sum", "_count"))] or list(called)
        for name in series:
            found[name] = (*collector._labelnames, *(("le",) if name.endswith("_bucket") else ()))
    return found


def _unknown(expression: str) -> list[str]:
    """Return what an expression reads and Comity does not have."""
    known, read, wrong = _known(), set(), []
    for name, matchers in _METRIC.findall(expression):
        if name not in known:
            wrong.append(name)
            continue
        read |= set(known[name])
        wrong += [f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*[=!]", matchers) if label not in known[name]]
    wrong += [
        f"by ({label})"
        for group in _BY.findall(expression)
        for label in re.split(r"\W+", group)
        if label and label not in read
    ]
    return wrong


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_an_alert_reads_what_is_measured_and_has_its_page(alert: dict) -> None:
    """Metrics, labels and the labels of the summary exist; the page names the alert, and says what to do."""
    assert _unknown(alert["expr"]) == []
    assert _METRIC.search(alert["expr"])
    page = (RUNBOOKS / f"{alert['annotations']['runbook']}.md").read_text()
    assert page.startswith(f"# {alert['alert']}: ")
    for part in ("**Means.**", "**Meanwhile.**", "**Look.**", "**Do.**"):
        assert part in page, part
    read = {label for name, _ in _METRIC.findall(alert["expr"]) for label in _known()[name]}
    assert set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])) <= read
    assert alert["labels"]["severity"] in ("critical", "warning")


def test_a_wrong_metric_or_label_is_found() -> None:
    """The check above can fail: names that are nearly right, bare counters and labels of others are told."""
    assert _unknown("comity_job > 1") == ["comity_job"]
    assert _unknown("rate(comity_http_requests[1m])") == ["comity_http_requests"]
    assert _unknown('comity_obligations{phase="x"}') == ["comity_obligations{phase}"]
    assert _unknown("sum by (backend) (comity_jobs)") == ["by (backend)"]


def test_every_page_has_an_alert_and_stands_in_the_list() -> None:
    """No runbook for an alert that is gone; the first page lists all, and nothing else."""
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert["annotations"]["runbook"] for alert in ALERTS}
    listed = re.findall(r"^\| (\w+) \| \[([\w.-]+)\]\(\2\) \|$", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert listed == [(alert["alert"], f"{alert['annotations']['runbook']}.md") for alert in ALERTS]


def test_no_right_is_a_wildcard() -> None:
    """Groups, resources and verbs are named one by one, and none of those that give more than they say."""
    for rules in PERMISSIONS.values():
        for rule in rules:
            assert set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
            assert "*" not in json.dumps(rule)
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert not {"pods/exec", "pods/attach", "serviceaccounts/token"} & set(rule["resources"])
    for rule in PERMISSIONS["cluster"]:
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert "secrets" not in rule["resources"]


def test_rights_are_those_of_the_adapters_table() -> None:
    """Chart and manifests give what the client asks for at its start, and no more."""
    assert {path: (ROOT / path).read_text() for path in rights.pages()} == rights.pages()
    given = {
        (r["apiGroups"][0], r["resources"][0], frozenset(r["verbs"])) for each in PERMISSIONS.values() for r in each
    }
    assert given == {
        *permissions.NAMESPACED,
        *permissions.CLUSTER,
        *permissions.CLUSTER_OPTIONAL,
        *permissions.SEE_OTHERS,
        *permissions.DECISIONS,
        *permissions.OPTIONAL,
    }


def test_the_fence_reads_the_marks_that_the_adapter_writes() -> None:
    """Labels, annotations and the parameter object are called the same on both sides."""
    assert (admission.JOB_LABEL, admission.ATTEMPT_LABEL) == (names.JOB_LABEL, names.ATTEMPT_LABEL)
    assert (admission.SPEC_ANNOTATION, admission.JURISDICTION) == (names.SPEC_ANNOTATION, names.JURISDICTION_LABEL)
    mine = (admission.GROUP, admission.PLURAL, admission.KIND, admission.OBJECT)
    assert mine == (decided.GROUP, decided.PLURAL, decided.KIND, decided.NAME)
    said = [rule["message"] for rule in admission._jobs(TERMS)["validations"]]
    assert [text for text in said if decided._NOT_YET.search(text)] == [
        f"no placement was decided for a job of this name and digest ({decided.PLURAL}.{decided.GROUP} {decided.NAME})"
    ]


def test_chart_and_product_have_one_version() -> None:
    """The chart, what it installs and the product change together."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version.__version__
    (image,) = {
        container["image"]
        for path in (ROOT / "manifests").glob("*.yaml")
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == "StatefulSet"
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert image == f"comity:{version.__version__}"


def test_every_value_has_a_place_in_the_schema() -> None:
    """The schema knows each value of values.yaml, and refuses what it does not know."""

    def check(schema: dict, values: dict, path: str) -> None:
        assert schema.get("additionalProperties") is not None, path
        for name, value in values.items():
            known = schema.get("properties", {})
            assert name in known, f"{path}.{name}"
            if isinstance(value, dict) and "properties" in known[name]:
                check(known[name], value, f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    check(schema, yaml.safe_load((CHART / "values.yaml").read_text()), "values")


# What a kubelet may set on its own node, from Kubernetes' NodeRestriction and the check of --node-labels
# (kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction): outside these, nothing that
# ends with kubernetes.io or k8s.io.
_ALLOWED = {
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
}
_ALLOWED_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _may_be_set_by_a_kubelet(label: str) -> bool:
    prefix, slash, _ = label.partition("/")
    if not slash or label in _ALLOWED:
        return True
    if any(prefix == allowed or prefix.endswith(f".{allowed}") for allowed in _ALLOWED_PREFIXES):
        return True
    return not any(prefix == own or prefix.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io"))


def test_kind_gives_only_labels_that_a_kubelet_may_set() -> None:
    """Two jurisdictions, and no label at which a kubelet would refuse to start."""
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    labels = [node.get("labels", {}) for node in config["nodes"]]
    assert {"FR", "DE"} == {each.get("demo.comity.dev/country") for each in labels} - {None}
    assert [label for each in labels for label in each if not _may_be_set_by_a_kubelet(label)] == []
    assert not _may_be_set_by_a_kubelet("node-restriction.kubernetes.io/jurisdiction")
    assert not _may_be_set_by_a_kubelet("topology.k8s.io/country")


def test_the_image_is_built_on_a_digest_by_nobody_special() -> None:
    """Every stage stands on the base that is given, which has no default; the process is a number, not root."""
    lines = (ROOT / "Containerfile").read_text().splitlines()
    assert "ARG BASE" in lines
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert all(re.fullmatch(r"FROM \$\{BASE\}( AS \w+)?", line) for line in stages)
    last = lines[lines.index(stages[-1]) :]
    (user,) = [line for line in last if line.startswith("USER ")]
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user)
    assert "cyclonedx-py environment" in "\n".join(lines)


@pytest.mark.parametrize("base", ["", "python:3.13-slim", "python@sha256:abc", "python@sha256:" + "A" * 64])
def test_make_image_refuses_a_base_without_a_digest(base: str) -> None:
    """A tag, an empty or a cut digest is refused with what to write, before anything is built."""
    words = ["make", "--no-print-directory", "image", f"BASE={base}", "ENGINE=false"]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert ran.returncode != 0
    assert "make image BASE=NAME@sha256:" in ran.stderr


def test_make_image_takes_a_digest() -> None:
    """With a digest the engine is called with it."""
    base = "python@sha256:" + "a" * 64
    words = ["make", "--no-print-directory", "image", f"BASE={base}", "ENGINE=echo"]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180, check=True)
    assert f"--build-arg BASE={base} --tag comity:{version.__version__}" in ran.stdout
