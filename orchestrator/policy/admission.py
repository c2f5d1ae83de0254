"""The second fence: what a cluster's own API server shall refuse, as ValidatingAdmissionPolicy documents. Pure.

Written by us, applied by whoever answers for the cluster, enforced where our code has no say (ADR 0026). The words are
Kubernetes' own: admissionregistration.k8s.io/v1, CEL with optional fields, 1.30 and later. What stands here of how a
Job is marked is a copy of what the adapter does, since neither may import the other; a contract test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

API = "admissionregistration.k8s.io/v1"
JOB_LABEL = "comity.dev/job"
ATTEMPT_LABEL = "comity.dev/attempt"
SPEC_ANNOTATION = "comity.dev/spec-sha256"
JURISDICTION = "node-restriction.kubernetes.io/jurisdiction"
"""NodeRestriction keeps kubelets from setting labels with this prefix on themselves."""
GROUP, KIND, PLURAL = "fence.comity.dev", "DecidedJobs", "decidedjobs"
"""Of the parameter object: name of a Job -> digest of what may run under it; one in each job namespace."""
OBJECT = "comity"
"""Its name."""
ENTRIES_MAX = 10_000
"""Launches that may be under way at once in a namespace; some 1 MB, of the 1.5 MB that the API server takes."""
PREFIX = "comity"
CONTROLLERS = ("system:serviceaccount:kube-system:job-controller",)
"""Account of the Job controller where each controller has its own (kubeadm and most distributions)."""
SCHEDULERS = ("system:kube-scheduler",)
CLEANERS = (
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
)
"""Who empties a namespace that is deleted; without them it would hang for ever."""
LABELS = {"app.kubernetes.io/name": "comity", "app.kubernetes.io/component": "second-fence"}
NAMES_MAX = 64

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9@._:/-]{1,253}")
_COUNTRY = re.compile(r"[A-Z]{2}")


class TermsError(ValueError):
    """What was asked for is no fence; ``problems`` are whole sentences."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may, where: raises :class:`TermsError` with every problem.

    ``account`` is (namespace, name) of Comity's service account; ``countries`` are ISO 3166-1 alpha-2 codes; ``users``
    of controllers and schedulers are names as the API server knows them.
    """

    account: tuple[str, str]
    namespaces: tuple[str, ...]
    countries: tuple[str, ...]
    controllers: tuple[str, ...] = CONTROLLERS
    schedulers: tuple[str, ...] = SCHEDULERS
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        problems = [
            f"{what}: {text!r} is no name that Kubernetes takes"
            for what, text in (
                ("service account", self.account[0]),
                ("service account", self.account[1]),
                ("name", self.prefix),
                *(("namespace", name) for name in self.namespaces),
            )
            if not _DNS_LABEL.fullmatch(text)
        ]
        problems += [f"user {name!r}: no name of an account" for name in self.users if not _USER.fullmatch(name)]
        problems += [
            f"country {code!r}: two capital letters" for code in self.countries if not _COUNTRY.fullmatch(code)
        ]
        given = {"namespace": self.namespaces, "country": self.countries, "scheduler": self.schedulers}
        given["job controller"] = self.controllers
        problems += [f"{what}: at least one" for what, values in given.items() if not values]
        # 249 countries are no longer a fence, but they are a list that somebody may have reasons for.
        problems += [
            f"{what}: at most {NAMES_MAX}"
            for what, values in given.items()
            if len(values) > NAMES_MAX and what != "country"
        ]
        if self.account[0] in self.namespaces:
            problems.append(f"namespace {self.account[0]}: jobs there could be given Comity's own account; use another")
        if problems:
            raise TermsError(problems)

    @property
    def users(self) -> tuple[str, ...]:
        """Return the accounts of the cluster's own that are named."""
        return (*self.controllers, *self.schedulers)

    @property
    def user(self) -> str:
        """Return Comity's account as the API server calls it."""
        return f"system:serviceaccount:{self.account[0]}:{self.account[1]}"


def documents(terms: Terms) -> list[Mapping[str, Any]]:
    """Return the definition of the parameter object, then the policies, each followed by its binding."""
    made: list[Mapping[str, Any]] = [_definition()]
    for name, spec in (
        ("jobs", _jobs(terms)),
        ("job-changes", _job_changes()),
        ("pods", _pods(terms)),
        ("bindings", _bindings(terms)),
        ("decided-jobs", _decided_jobs(terms)),
    ):
        full = f"{terms.prefix}-{name}"
        made.append(_document("ValidatingAdmissionPolicy", full, {"failurePolicy": "Fail", **spec}))
        made.append(_document("ValidatingAdmissionPolicyBinding", full, _binding(terms, full, "paramKind" in spec)))
    return made


def _jobs(terms: Terms) -> dict[str, Any]:
    """Return who may create a Job, and which."""
    digest = _mark("object", "annotations", SPEC_ANNOTATION)
    decided = "params.?data[?object.metadata.name].orValue('')"
    pod = "object.spec.template.spec"
    return {
        "paramKind": {"apiVersion": f"{GROUP}/v1", "kind": KIND},
        "matchConstraints": _match(("batch", "jobs", "CREATE")),
        "validations": [
            _rule(f"request.userInfo.username == {_cel(terms.user)}", "jobs are created here by Comity only"),
            _rule(f"{_mark('object', 'labels', JOB_LABEL)} != ''", f"a job carries the label {JOB_LABEL}"),
            _rule(
                f"{digest} != '' && {digest} == {decided}",
                f"no placement was decided for a job of this name and digest ({PLURAL}.{GROUP} {OBJECT})",
            ),
            _rule(_in_countries(pod, terms), _where(terms)),
            _rule(f"{pod}.?nodeName.orValue('') == ''", "nodes are chosen by the scheduler"),
            _rule(
                "object.spec.?managedBy.orValue('kubernetes.io/job-controller') == 'kubernetes.io/job-controller'",
                "a job that another controller manages may run in another cluster",
            ),
        ],
    }


def _job_changes() -> dict[str, Any]:
    """Return what of a Job stays: equal to what it was, so that a policy that changed never holds up what runs."""
    marks = [("labels", JOB_LABEL), ("labels", ATTEMPT_LABEL), ("annotations", SPEC_ANNOTATION)]
    kept = [f"{_mark('object', kind, key)} == {_mark('oldObject', kind, key)}" for kind, key in marks]
    pod = "spec.template.spec"
    return {
        "matchConstraints": _match(("batch", "jobs", "UPDATE")),
        "validations": [
            _rule(" && ".join(kept), "the marks of a job stay as they are"),
            _rule(
                f"{_selected(f'object.{pod}')} == {_selected(f'oldObject.{pod}')}",
                f"the node selector {JURISDICTION} stays",
            ),
        ],
    }


def _pods(terms: Terms) -> dict[str, Any]:
    """Return whose pods may be."""
    owner = "o.apiVersion == 'batch/v1' && o.kind == 'Job' && o.?controller.orValue(false)"
    return {
        "matchConstraints": _match(("", "pods", "CREATE")),
        "validations": [
            _rule(_is_one_of(terms.controllers), "pods are made here by the job controller only"),
            _rule(f"object.metadata.?ownerReferences.orValue([]).exists(o, {owner})", "a pod is owned by a job"),
            _rule(_in_countries("object.spec", terms), _where(terms)),
            _rule("object.spec.?nodeName.orValue('') == ''", "nodes are chosen by the scheduler"),
        ],
    }


def _bindings(terms: Terms) -> dict[str, Any]:
    """Return who chooses nodes (two ways in the API), and that nobody adds a container to a pod later."""
    return {
        "matchConstraints": _match(
            ("", "pods/binding", "CREATE"), ("", "bindings", "CREATE"), ("", "pods/ephemeralcontainers", "UPDATE")
        ),
        "validations": [
            _rule("request.?subResource.orValue('') != 'ephemeralcontainers'", "no container is added to a job's pod"),
            _rule(
                f"request.?subResource.orValue('') == 'ephemeralcontainers' || {_is_one_of(terms.schedulers)}",
                "pods are bound to nodes by the scheduler only",
            ),
        ],
    }


def _decided_jobs(terms: Terms) -> dict[str, Any]:
    """Return who writes the parameter object. It may go with its namespace: without it no job is created."""
    writers, cleaners = _is_one_of((terms.user,)), _is_one_of((terms.user, *CLEANERS))
    return {
        "matchConstraints": _match((GROUP, PLURAL, "CREATE", "UPDATE", "DELETE")),
        "validations": [
            _rule(f"request.operation == 'DELETE' ? {cleaners} : {writers}", f"{PLURAL} are written by Comity only")
        ],
    }


def _definition() -> dict[str, Any]:
    """Return the kind of the parameter object.

    A kind of our own and not a ConfigMap: the API server (1.36 at least) stops reading parameters of its built-in kinds
    for good once no binding names them, and goes on with what it read last (kubernetes/kubernetes issue 130887).
    """
    digest = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    data = {
        "type": "object",
        "description": "Name of a Job -> digest of what was decided to run under it.",
        "additionalProperties": digest,
        "maxProperties": ENTRIES_MAX,
    }
    schema = {
        "type": "object",
        "description": "What Comity is about to start in this namespace.",
        "properties": {"data": data},
    }
    names = {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": PLURAL}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": LABELS},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _binding(terms: Terms, name: str, has_parameters: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "policyName": name,
        "validationActions": ["Deny", "Audit"],
        "matchResources": {
            "namespaceSelector": {
                # The API server sets this label itself, so nobody can take a namespace out of the fence.
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": sorted(set(terms.namespaces))}
                ]
            }
        },
    }
    if has_parameters:
        spec["paramRef"] = {"name": OBJECT, "parameterNotFoundAction": "Deny"}
    return spec


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "labels": LABELS}, "spec": spec}


def _match(*rules: tuple[str, ...]) -> dict[str, Any]:
    made = [
        {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": [resource]}
        for group, resource, *operations in rules
    ]
    return {"matchPolicy": "Equivalent", "resourceRules": made}


def _rule(expression: str, message: str) -> dict[str, str]:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _mark(root: str, kind: str, key: str) -> str:
    return f"{root}.metadata.?{kind}[?{_cel(key)}].orValue('')"


def _selected(pod: str) -> str:
    return f"{pod}.?nodeSelector[?{_cel(JURISDICTION)}].orValue('')"


def _in_countries(pod: str, terms: Terms) -> str:
    return f"{_selected(pod)} in {_list(sorted(set(terms.countries)))}"


def _where(terms: Terms) -> str:
    shown = sorted(set(terms.countries))
    named = " ".join(shown[:12]) + (" ..." if len(shown) > 12 else "")
    return f"the node selector {JURISDICTION} names one of {named}"


def _is_one_of(users: Sequence[str]) -> str:
    return f"request.userInfo.username in {_list(users)}"


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_cel, values)) + "]"


def _cel(text: str) -> str:
    """Return a CEL string; what comes here was checked to hold neither quotes nor backslashes."""
    return f"'{text}'"
