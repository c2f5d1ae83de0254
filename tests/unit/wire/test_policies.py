"""Policy documents: each leaf arrives where it is judged, and comes back in the document read."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from orchestrator.domain import policies
from orchestrator.wire import fields, jsonable, unsupported, yaml_loader
from orchestrator.wire.convert import policies as convert
from orchestrator.wire.documents import policies as documents
from orchestrator.wire.documents import reading, schemas

CASE = {"id": "c", "at": "2026-11-22", "job": {}, "backend": {}, "decision": "ALLOW", "rules": []}
CEDAR: dict[str, Any] = {
    "engine": "cedar",
    "text": "forbid(principal, action, resource);",
    "tests": [CASE],
    "effective": {"from": "2026-01-01", "to": "2026-12-31"},
}
DIRECTIVE: dict[str, Any] = {
    "engine": "directive",
    "directive": {
        "models": ["m"],
        "parties": ["p"],
        "from": "2026-01-01",
        "to": "2026-12-31",
        "immediate": True,
        "source": "a letter",
    },
}
CHANGES: list[tuple[dict[str, Any], str, Any]] = [
    (CEDAR, "text", "permit(principal, action, resource);"),
    (CEDAR, "tests", [{**CASE, "id": "d"}]),
    (CEDAR, "effective.from", "2026-01-02"),
    (CEDAR, "effective.to", "2026-12-30"),
    (DIRECTIVE, "directive.models", ["n"]),
    (DIRECTIVE, "directive.parties", ["q"]),
    (DIRECTIVE, "directive.from", "2026-01-02"),
    (DIRECTIVE, "directive.to", "2026-12-30"),
    (DIRECTIVE, "directive.immediate", False),
    (DIRECTIVE, "directive.source", "another letter"),
]


def model(spec: dict[str, Any]) -> documents.Policy:
    data = {"apiVersion": fields.API_VERSION, "kind": "Policy", "metadata": {"name": "a"}, "spec": spec}
    found = reading.read(data).model
    assert isinstance(found, documents.Policy)
    return found


@pytest.mark.parametrize(("spec", "path", "value"), CHANGES)
def test_a_changed_leaf_changes_what_is_kept(spec: dict[str, Any], path: str, value: Any) -> None:
    """What is written in a policy is in its normal form, which reads as the same again."""
    changed = copy.deepcopy(spec)
    *above, last = path.split(".")
    inside = changed
    for part in above:
        inside = inside[part]
    inside[last] = value
    before, after = convert.document(model(spec)), convert.document(model(changed))
    assert before != after
    assert convert.document(model(after["spec"])) == after
    if path != "tests":
        assert convert.policy(model(spec)) != convert.policy(model(changed))


def test_each_leaf_has_a_case() -> None:
    """No leaf of the schema is forgotten above."""
    told = {tuple(f"spec.{path}".split(".")) for _, path, _ in CHANGES} | {("spec", "engine")}
    header = {("apiVersion",), ("kind",), ("metadata", "name")}
    missing = [
        leaf
        for leaf in schemas.leaves("Policy")
        if leaf not in header
        and tuple(part for part in leaf if part != "*") not in told
        and not unsupported.is_unsupported("Policy", leaf)
        and leaf[0] != "metadata"
    ]
    assert missing == []


def test_a_directive_and_rules_are_different_values() -> None:
    """The engine says what a policy is; both days of its window are included."""
    directive, rules = convert.policy(model(DIRECTIVE)), convert.policy(model(CEDAR))
    assert isinstance(directive, policies.Directive)
    assert isinstance(rules, policies.CedarPolicy)
    for value in (directive, rules):
        assert value.start is not None
        assert value.end is not None
        assert value.in_force(value.start)
        assert value.in_force(value.end)


def test_numbers_in_tests_are_numbers_and_items_stay_text() -> None:
    """The cases of a policy are read as facts are: 1.0e25 is a number, 3E001 is an item of a control list."""
    text = (
        "kind: Policy\nspec:\n  tests:\n  - {job: {train_flop: 1.0e25, export_control: [3E001]}, backend: {a: true}}\n"
    )
    (found,) = jsonable.to_json(yaml_loader.load(text)[0].data)["spec"]["tests"]
    assert found == {"job": {"train_flop": 1.0e25, "export_control": ["3E001"]}, "backend": {"a": True}}
