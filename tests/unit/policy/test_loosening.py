"""What a change of documents allows that was refused before: each member both ways, and nothing for a tightening."""

import copy

import pytest

from orchestrator.policy import loosening

FLOOR = {
    "countries": {"allow": ["EEA"], "deny": ["HU"]},
    "exposure": {"deny": ["CN", "US"], "acceptImmunity": []},
    "certifications": ["hds-v2"],
    "seal": {"SOV-2": 3},
    "sovereigntyScore": 60,
    "tee": ["tdx"],
    "minAssurance": "documented",
}
TENANT = {
    "floor": FLOOR,
    "tiers": {"critical": {"countries": {"deny": ["SG"]}}},
    "usPerson": True,
    "defaultData": {"classes": ["health"], "subjects": ["FR"]},
    "mayDeclareNoData": ["steward"],
}
DATA = {
    "classes": ["health"],
    "subjects": ["FR"],
    "exportControl": [{"regime": "us-ear", "item": "3E001"}],
    "ciio": True,
    "sdfLocalised": True,
    "counts": {"persons": 10, "sensitive": 5},
}
CEDAR = {"engine": "cedar", "text": "forbid(principal, action, resource);", "effective": {"from": "2026-01-01"}}
DIRECTIVE = {"engine": "directive", "directive": {"models": ["m"], "parties": ["p"], "to": "2027-01-01"}}
BACKEND = {"accepts": {"tenantCountries": ["FR"], "denyClasses": ["health"], "types": ["train"]}}

NOTHING = object()


def _changed(spec, path, value):
    changed = copy.deepcopy(spec)
    inner = changed
    *parents, last = path.split("/")
    for name in parents:
        inner = inner.setdefault(name, {})
    if value is NOTHING:
        del inner[last]
    else:
        inner[last] = value
    return changed


LOOSER = [
    ("Tenant", TENANT, "floor", NOTHING),
    ("Tenant", TENANT, "floor/countries", NOTHING),
    ("Tenant", TENANT, "floor/countries/allow", ["EEA", "SG"]),
    ("Tenant", TENANT, "floor/countries/allow", NOTHING),
    ("Tenant", TENANT, "floor/countries/deny", []),
    ("Tenant", TENANT, "floor/exposure/deny", ["CN"]),
    ("Tenant", TENANT, "floor/exposure/acceptImmunity", ["secnumcloud-3.2"]),
    ("Tenant", TENANT, "floor/certifications", []),
    ("Tenant", TENANT, "floor/seal/SOV-2", 2),
    ("Tenant", TENANT, "floor/seal/SOV-2", NOTHING),
    ("Tenant", TENANT, "floor/sovereigntyScore", 59),
    ("Tenant", TENANT, "floor/tee", ["sev-snp", "tdx"]),
    ("Tenant", TENANT, "floor/tee", []),
    ("Tenant", TENANT, "floor/minAssurance", "declared"),
    ("Tenant", TENANT, "floor/minAssurance", NOTHING),
    ("Tenant", TENANT, "tiers/critical/countries/deny", []),
    ("Tenant", TENANT, "usPerson", False),
    ("Tenant", TENANT, "defaultData/classes", []),
    ("Tenant", TENANT, "defaultData/subjects", ["DE"]),
    ("Tenant", TENANT, "mayDeclareNoData", ["steward", "submit"]),
    ("Tenant", TENANT, "mayDeclareNoData", NOTHING),
    ("DataSet", DATA, "classes", []),
    ("DataSet", DATA, "subjects", ["DE"]),
    ("DataSet", DATA, "exportControl", []),
    ("DataSet", DATA, "ciio", False),
    ("DataSet", DATA, "sdfLocalised", NOTHING),
    ("DataSet", DATA, "counts/persons", 9),
    ("DataSet", DATA, "counts/sensitive", NOTHING),
    ("Policy", CEDAR, "text", "permit(principal, action, resource);"),
    ("Policy", CEDAR, "effective/from", "2026-01-02"),
    ("Policy", CEDAR, "effective/to", "2026-12-31"),
    ("Policy", DIRECTIVE, "directive/models", []),
    ("Policy", DIRECTIVE, "directive/parties", []),
    ("Policy", DIRECTIVE, "directive/to", "2026-12-31"),
    ("Policy", DIRECTIVE, "directive/from", "2026-12-31"),
    ("Backend", BACKEND, "accepts/tenantCountries", ["DE", "FR"]),
    ("Backend", BACKEND, "accepts/denyClasses", []),
    ("Backend", BACKEND, "accepts/types", NOTHING),
]
NO_LOOSER_BACK = {("Policy", "text")}


@pytest.mark.parametrize(
    ("kind", "spec", "path", "value"), LOOSER, ids=lambda each: each if isinstance(each, str) else ""
)
def test_each_loosening_is_found_and_its_way_back_is_none(kind, spec, path, value):
    """What allows more is named by its path; the same change backwards, which tightens, is not."""
    looser = _changed(spec, path, value)
    (*found,) = loosening.found(kind, spec, looser)
    assert found
    assert all(one.path.startswith("spec." + path.replace("/", ".")) for one in found)
    assert all(one.text for one in found)
    back = loosening.found(kind, looser, spec)
    swapped = {"floor/tee", "defaultData/subjects", "subjects"} if value not in ([], NOTHING) else set()
    if (kind, path) not in NO_LOOSER_BACK and path not in swapped - {"floor/tee"}:
        assert back == ()


@pytest.mark.parametrize(
    ("kind", "spec"), [("Tenant", TENANT), ("DataSet", DATA), ("Policy", CEDAR), ("Backend", BACKEND)]
)
def test_nothing_loosens_where_nothing_changed(kind, spec):
    """Equal documents, a new one, and kinds without constraints loosen nothing."""
    assert loosening.found(kind, spec, copy.deepcopy(spec)) == ()
    assert loosening.found(kind, None, spec) == ()
    assert loosening.found("Queue", {"weight": 1}, {"weight": 2}) == ()


def test_a_withdrawal_loosens_all_that_was_said():
    """A policy that goes, a tenant's floor, the classes of data; a place that goes allows nothing."""
    assert [one.code for one in loosening.found("Policy", CEDAR, None)] == ["policy.withdrawn"]
    floor = {one.path for one in loosening.found("Tenant", TENANT, None)}
    assert {"spec.floor.countries.allow", "spec.floor.exposure.deny", "spec.floor.minAssurance"} <= floor
    assert {one.path for one in loosening.found("DataSet", DATA, None)} >= {"spec.classes", "spec.subjects"}
    assert loosening.found("Backend", BACKEND, None) == ()


def test_packs_that_hold_no_more_are_named():
    """Only those that were in force, and only where both are known."""
    assert [one.path for one in loosening.of_packs(["a", "b"], ["b", "c"])] == ["packs.a"]
    assert loosening.of_packs(None, ["a"]) == loosening.of_packs(["a"], None) == ()
