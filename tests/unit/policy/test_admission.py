"""The second fence as documents: what it names, and what is refused before it is written."""

import pytest

from orchestrator.policy import admission

TERMS = admission.Terms(account=("comity", "comity"), namespaces=("jobs-fr", "jobs-lab"), countries=("FR", "BE"))


def _by_kind(kind: str) -> dict[str, dict]:
    return {each["metadata"]["name"]: each["spec"] for each in admission.documents(TERMS) if each["kind"] == kind}


def test_each_policy_fails_closed_and_is_bound_to_the_namespaces() -> None:
    """No policy lets through what it cannot judge; each has a binding that denies, in the named namespaces only."""
    policies = _by_kind("ValidatingAdmissionPolicy")
    bindings = _by_kind("ValidatingAdmissionPolicyBinding")
    assert len(policies) == 5
    assert set(policies) == set(bindings) == {spec["policyName"] for spec in bindings.values()}
    assert {spec["failurePolicy"] for spec in policies.values()} == {"Fail"}
    for spec in bindings.values():
        assert spec["validationActions"] == ["Deny", "Audit"]
        (only,) = spec["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert only == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["jobs-fr", "jobs-lab"]}


def test_only_jobs_read_the_parameter_object_and_its_absence_denies() -> None:
    """A policy with parameters is bound to the one object, and refuses where there is none."""
    policies = _by_kind("ValidatingAdmissionPolicy")
    bindings = _by_kind("ValidatingAdmissionPolicyBinding")
    assert [name for name, spec in policies.items() if "paramKind" in spec] == ["comity-jobs"]
    assert {name: spec["paramRef"] for name, spec in bindings.items() if "paramRef" in spec} == {
        "comity-jobs": {"name": "comity", "parameterNotFoundAction": "Deny"}
    }


def test_no_rule_matches_by_a_wildcard() -> None:
    """Groups, versions, operations and resources are all named."""
    for spec in _by_kind("ValidatingAdmissionPolicy").values():
        for rule in spec["matchConstraints"]["resourceRules"]:
            assert "*" not in [word for words in rule.values() for word in words]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"namespaces": ()}, "namespace: at least one"),
        ({"countries": ()}, "country: at least one"),
        ({"schedulers": ()}, "scheduler: at least one"),
        ({"controllers": ()}, "job controller: at least one"),
        ({"namespaces": ("jobs", "comity")}, "use another"),
        ({"namespaces": ("Jobs",)}, "'Jobs' is no name"),
        ({"account": ("comity", "x' || true || '")}, "is no name"),
        ({"schedulers": ("me'] || true || 'x' in ['",)}, "no name of an account"),
        ({"countries": ("FR'",)}, "two capital letters"),
        ({"namespaces": tuple(f"n{number}" for number in range(65))}, "namespace: at most 64"),
    ],
)
def test_what_would_be_no_fence_is_refused(changed: dict, said: str) -> None:
    """Empty lists, quotes that would change an expression, and Comity's own namespace are refused with the reason."""
    given = {"account": ("comity", "comity"), "namespaces": ("jobs",), "countries": ("FR",), **changed}
    with pytest.raises(admission.TermsError) as raised:
        admission.Terms(**given)
    assert any(said in problem for problem in raised.value.problems)
