"""The literal evaluator, written from the table of policy alone, says the same of every job and site of the atlas.

Documents become compact cases here, by hand and not by the product's own conversion.
"""

from typing import Any

import pytest

from orchestrator.sources import accelerators
from tests.oracle.atlas import atlas
from tests.oracle.literal import evaluator, facts
from tests.oracle.literal.facts import Case

PLACEMENT = ("fit.", "limits.", "capacity.", "countries.")
"""Families of codes that are not the table's: does it fit, is there room, may it cost that much."""


def _chip(name: str) -> Case:
    known = accelerators.catalogue().get(name).known
    tpp = max((figure.tops * figure.bits for figure in known.performances), default=None)
    area = known.die_area_mm2 if known.nonplanar else None
    return {
        "vendor_hq": known.vendor_hq,
        "tpp": tpp,
        "pd": tpp / area if tpp is not None and area else None,
        "datacenter": known.datacenter,
        "is_informed": known.is_informed,
        "us_subject": known.us_subject,
    }


def _operator(name: str | None) -> Case:
    spec = atlas.of_kind("Operator").get(name or "", {})
    return {
        "legal_country": spec.get("legalCountry"),
        "parent_hq": spec.get("ultimateParentHq"),
        "frameworks": spec.get("transferFrameworks", []),
        "supp8": spec.get("earSupplement8"),
        "us_person": spec.get("usPerson"),
    }


def _backend(spec: Any, pool: Any) -> Case:
    """Return a pool of a backend as a compact case; the control plane's places are among its stores."""
    (desk,) = atlas.of_kind("ControlPlane").values()
    home = [desk[where]["country"] for where in ("location", "logStore", "backupStore")] + desk["adminFrom"]
    country = spec.get("location", {}).get("country")
    found: Case = {
        "country": country,
        "admin_from": spec.get("adminFrom", []),
        "stores": [*home, *([spec["logStore"]["country"]] if "logStore" in spec else [])],
        "region_pinned": spec.get("location", {}).get("regionPinnedByContract"),
        "operator": _operator(spec.get("operator")),
        "certs": {paper["scheme"]: paper.get("validTo") for paper in spec.get("certifications", [])},
        "evidence": [paper["type"] for paper in spec.get("evidence", [])],
        "facts_valid_to": spec["facts"]["validTo"],
        "in_service_since": pool.get("inServiceSince"),
    }
    if "accelerator" in pool:
        found["accelerator"] = _chip(pool["accelerator"])
    if "accepts" in spec:
        taken = spec["accepts"]
        found["accepts"] = {"tenant_countries": taken.get("tenantCountries"), "types": taken.get("types")}
    return found


def _controls(held: Any) -> list[Case]:
    return [
        {
            "regime": item["regime"],
            "item": item["item"],
            "licences": [
                {"destinations": licence["destinations"], "valid_to": licence["validTo"]}
                for licence in item.get("licences", [])
            ],
        }
        for item in held.get("exportControl", [])
    ]


def _data(name: str, operator: str | None) -> Case:
    spec = atlas.of_kind("DataSet")[name]
    controller = spec.get("controller", {})
    counts = spec.get("counts", {})
    return {
        "classes": spec["classes"],
        "subjects": spec.get("subjects", []),
        "count": counts.get("persons", 0),
        "sensitive_count": counts.get("sensitive", 0),
        "controller": controller.get("country"),
        "self_hosted": operator is not None and controller.get("operator") == operator,
    }


def _job(spec: Any, tenant: str, operator: str | None) -> Case:
    who = atlas.of_kind("Tenant")[tenant]
    wishes = spec.get("sovereignty", {}).get("exposure", {})
    reads = spec["data"]["reads"] if spec["data"] != "none" else []
    model = spec.get("model", {})
    return {
        "workload": spec["type"],
        "tenant": {"parent_hq": who["hq"], "sector": who.get("sector"), "us_person": who.get("usPerson")},
        "data": [_data(read["name"], operator) for read in reads],
        "deny_exposure": wishes.get("deny", []),
        "accept_immunity": wishes.get("acceptImmunity", []),
        "controller": model.get("controller", {}).get("country"),
        "export_control": _controls(model),
    }


@pytest.mark.parametrize("golden", list(atlas.goldens()), ids=lambda golden: golden.job)
def test_the_literal_evaluator_agrees(golden: atlas.Golden) -> None:
    """On every site: the same refusals by rules, and where there is none the same duties."""
    spec = atlas.job(golden.job)["spec"]
    for name, backend in atlas.of_kind("Backend").items():
        for pool in backend["pools"]:
            site = f"{name}/{pool['name']}"
            job = _job(spec, golden.tenant, backend.get("operator"))
            decision, rules = evaluator.judge(job, _backend(backend, pool), atlas.day().date())
            denied = [code for code in golden.refused.get(site, []) if not code.startswith(PLACEMENT)]
            assert denied == (list(rules) if decision == evaluator.DENIED else []), site
            if site in golden.placeable:
                assert golden.duties.get(site, []) == list(rules), site


def test_compact_cases_hold_what_the_table_reads() -> None:
    """The conversion above is not empty: chips are classed, and an unknown provider has no country."""
    backends = atlas.of_kind("Backend")
    h100 = _backend(backends["lambda-us"], backends["lambda-us"]["pools"][0])
    assert facts.ear_class(h100["accelerator"]) == "a"
    assert _backend(backends["akash-bid"], backends["akash-bid"]["pools"][0])["country"] is None
