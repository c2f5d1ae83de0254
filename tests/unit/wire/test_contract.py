"""Never accepted and ignored: each leaf of each schema changes the domain value, or is refused by name."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import pytest

from orchestrator.wire import checks, errors, jsonable, unsupported, yaml_loader
from orchestrator.wire.convert import jobs as job_conversion
from orchestrator.wire.convert import place_documents, places
from orchestrator.wire.documents import reading, registry, schemas

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import wire_samples as samples

TO_DOMAIN = {
    "Job": job_conversion.job_spec,
    "ControlPlane": places.control_plane,
    "Operator": places.operator,
    "Backend": places.backend,
    "DataSet": lambda document: places.data_set(document, tenant="hospital"),
    "Tenant": places.tenant,
    "Queue": places.queue,
}
TO_DOCUMENT = {
    "Job": job_conversion.job_spec_document,
    "ControlPlane": place_documents.control_plane,
    "Operator": place_documents.operator,
    "Backend": place_documents.backend,
    "DataSet": place_documents.data_set,
    "Tenant": place_documents.tenant,
    "Queue": place_documents.queue,
}
FIXED = {("apiVersion",), ("kind",), ("spec", "verification", "compare")}
CLIENT_ONLY = {
    ("spec", "files", "*", "fromFile"),
    ("spec", "env", "*", "fromEnv"),
    ("spec", "workdir", "fromDir"),
    ("spec", "workdir", "ignore"),
}
BESIDE = {("metadata", "labels", "*"), ("metadata", "annotations", "*")}
"""What no rule reads; of a job it is in the spec, of other kinds the document keeps it (unit/api/test_documents.py)."""
CASES = [(kind, path) for kind, changes in samples.CHANGES.items() for path in changes]
REFUSED = [(kind, path) for kind, values in samples.UNSUPPORTED.items() for path in values]


def domain(document: dict[str, Any]) -> Any:
    return TO_DOMAIN[document["kind"]](reading.read(document).model)


def matches(pattern: errors.Path, path: list[str | int]) -> bool:
    return len(pattern) == len(path) and all(a in (b, "*") for a, b in zip(pattern, path, strict=True))


@pytest.mark.parametrize("kind", list(registry.MODELS))
def test_each_leaf_has_a_case(kind: str) -> None:
    """Each leaf of the schema is fixed, refused by the table, resolved by the client, or changed by a case."""
    paths = [samples.parts(path) for path in samples.CHANGES.get(kind, {})]
    missing = [
        leaf
        for leaf in schemas.leaves(kind)
        if leaf not in FIXED
        and not unsupported.is_unsupported(kind, leaf)
        and not (kind == "Job" and leaf in CLIENT_ONLY)
        and not (kind != "Job" and leaf in BESIDE)
        and not any(matches(leaf, path) for path in paths)
        and kind != "Policy"
    ]
    assert missing == []


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_a_changed_leaf_changes_the_domain_value(kind: str, path: str) -> None:
    """What a user changes in a document arrives in the domain, and comes back in the document read."""
    full = samples.FULL[kind]
    if path == "spec.nodes":
        full = samples.put(full, "spec.array", None)
    if path.startswith("spec.verification."):  # it cannot stand together with an array
        full = samples.put(samples.put(full, "spec.array", None), "spec.verification", samples.VERIFICATION)
    if path.endswith(("ocation.country", "Store.country")):  # a subdivision would have to move along
        full = samples.put(full, path.replace(".country", ".subdivision"), None)
    changed = samples.put(full, path, samples.CHANGES[kind][path])
    before, after = domain(full), domain(changed)
    assert before != after
    assert TO_DOCUMENT[kind](before) != TO_DOCUMENT[kind](after)


@pytest.mark.parametrize(("kind", "path"), REFUSED)
def test_what_has_no_meaning_is_refused_by_name(kind: str, path: str) -> None:
    """Each entry of the table is an error with its own code and path, even where the value says false or zero."""
    document = samples.put(samples.FULL[kind], path, samples.UNSUPPORTED[kind][path])
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(document)
    (error,) = caught.value.errors
    prefix = "job.unsupported:" if kind == "Job" else "document.unsupported:"
    assert error.code == prefix + error.path
    assert error.path.startswith(path)


def test_each_entry_of_the_table_is_tested() -> None:
    """The table of what is refused holds nothing that the cases above forget, and nothing no schema knows."""
    for row in unsupported.TABLE:
        if row.kind == "Policy" or row.path[0] == "metadata":
            continue
        cases = [samples.parts(path) for path in samples.UNSUPPORTED[row.kind]]
        assert any(all(a in (b, "*") for a, b in zip(row.path, path, strict=False)) for path in cases), row
        leaves = schemas.leaves(row.kind)
        assert any(leaf[: len(row.path)] == row.path for leaf in leaves), row


@pytest.mark.parametrize("kind", list(samples.FULL))
def test_documents_come_back(kind: str) -> None:
    """A document made from a domain value reads as the same value."""
    value = domain(samples.FULL[kind])
    assert domain(TO_DOCUMENT[kind](value)) == value


@pytest.mark.parametrize("kind", [kind for kind in samples.FULL if kind != "Backend"])
def test_empty_documents_come_back(kind: str) -> None:
    """The smallest document of a kind reads back as the same value too, empty lists included."""
    spec: dict[str, Any] = {"command": ["true"]} if kind == "Job" else {}
    if kind == "Tenant":
        spec = {"mayDeclareNoData": [], "defaultData": {}, "floor": {"countries": {"allow": []}}}
    document = {"apiVersion": samples.API, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    value = domain(document)
    assert domain(TO_DOCUMENT[kind](value)) == value
    if kind == "Tenant":
        assert value.floor.countries_allow == ()
        assert value.may_declare_no_data == ()


@pytest.mark.parametrize("path", [".".join(map(str, leaf)) for leaf in sorted(CLIENT_ONLY)])
def test_the_api_refuses_what_a_client_resolves(path: str) -> None:
    """A file may say fromFile, fromDir and fromEnv; a body may not, and is told where and what to send."""
    concrete = path.replace("*", "A")
    base, _, word = concrete.rpartition(".")
    value = {"fromDir": "."} if word in ("fromDir", "ignore") else {word: "X"}
    value |= {"ignore": ".gitignore"} if word == "ignore" else {}
    document = samples.put(
        {"apiVersion": samples.API, "kind": "Job", "metadata": {"name": "a"}, "spec": {"command": ["true"]}},
        base,
        value,
    )
    assert reading.read(document, flavour=reading.Flavour.FILE).kind == "Job"
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(document)
    assert concrete in [error.path for error in caught.value.errors]
    assert all(error.remedy for error in caught.value.errors)


def test_constraints_without_a_pack_travel() -> None:
    """seal, sovereigntyScore, tee and minAssurance are judged, not refused here: they reach the domain."""
    found = domain(samples.FULL["Job"]).sovereignty
    assert found.seal == (("SOV-2", 3),)
    assert (found.sovereignty_score, found.tee, found.min_assurance.word) == (60, ("tdx",), "documented")


def test_the_table_of_numbers_equals_the_schemas() -> None:
    """What the command line sends as a number or truth value is exactly what no schema takes as text."""

    def options(kind: str, leaf: errors.Path) -> list[dict[str, Any]]:
        schema = schemas.json_schema(kind)
        nodes = schemas._options(schema, schema)
        for part in leaf:
            found = []
            for node in nodes:
                if part != "*":
                    found += list(schemas._children(node, part))
                else:
                    found += [*schemas._members(node), *([node["items"]] if node.get("items") else [])]
            nodes = [inner for child in found for inner in schemas._options(schema, child)]
        return nodes

    for kind in registry.MODELS:
        not_text = {
            leaf
            for leaf in schemas.leaves(kind)
            if not any(
                node.get("type") == "string" or "const" in node or "enum" in node for node in options(kind, leaf)
            )
        }
        assert not_text == jsonable.NOT_TEXT[kind] | jsonable.FREE_FORM.get(kind, frozenset()), kind


@pytest.mark.parametrize("kind", list(samples.FULL))
def test_json_without_models_means_the_same(kind: str) -> None:
    """A file sent by the light path means what the models read in the file."""
    text = json.dumps(samples.FULL[kind])
    loaded = yaml_loader.load(text)[0].data
    assert domain(jsonable.to_json(loaded)) == domain(samples.FULL[kind])


def test_everything_is_bounded() -> None:
    """Each text, list and free mapping of each schema says its bound."""

    def walk(node: Any, where: str) -> list[str]:
        if isinstance(node, list):
            return [found for index, member in enumerate(node) for found in walk(member, f"{where}[{index}]")]
        if not isinstance(node, dict):
            return []
        found = []
        kind = node.get("type")
        if kind == "string" and not ({"maxLength", "enum", "const"} & set(node)):
            found.append(where)
        if kind == "array" and "maxItems" not in node:
            found.append(where)
        if (
            kind == "object"
            and "properties" not in node
            and "maxProperties" not in node
            and node.get("properties") != {}
        ):
            found.append(where)
        if kind in ("integer", "number") and not ("maximum" in node or where.endswith("anyOf[1]")):
            found.append(where)
        return found + [inner for key, member in node.items() for inner in walk(member, f"{where}.{key}")]

    loose = [where for kind, schema in schemas.all_schemas().items() for where in walk(schema, kind)]
    assert loose == []


def test_reserved_variables_are_those_of_every_adapter() -> None:
    """A job may not set what Comity sets inside it: it would be accepted and ignored."""
    for name in ("COMITY_JOB_ID", "COMITY_DATA_X", *checks.RESERVED_NAMES):
        document = samples.put(samples.FULL["Job"], f"spec.env.{name}", "1")
        with pytest.raises(errors.InvalidDocumentError, match="is set by Comity"):
            reading.read(document)
