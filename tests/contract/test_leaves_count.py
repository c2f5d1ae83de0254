"""Never accepted and ignored, to the end: each fact that packs need from documents changes what they answer.

``test_contract.py`` (wire) shows that a leaf reaches the domain; here whole documents are judged by the shipped packs
before and after one leaf changes, and the codes that come or go are named.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from typing import Any

import pytest

from orchestrator.bootstrap import cases
from orchestrator.domain import reasons
from orchestrator.policy import attributes, evaluator
from orchestrator.sources import packs

API = "comity.dev/v1"
AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BOOK = packs.load()
READ = cases.reader()

Documents = dict[str, dict[str, Any]]


def _document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}


PLAIN: Documents = {
    "ControlPlane": {"operator": "operator", "location": {"country": "FR"}, "adminFrom": ["FR"]},
    "Tenant": {"hq": "FR"},
    "DataSet": {"controller": {"country": "FR"}, "classes": ["open"], "counts": {"persons": 50_000_000}},
    "Job": {"command": ["true"], "data": {"reads": [{"name": "dataset"}]}},
    "Operator": {"legalCountry": "FR", "ultimateParentHq": "FR"},
    "Backend": {"adapter": "simulated", "operator": "operator", "location": {"country": "FR"}},
}
"""Specs by kind: nobody forbids this job there."""


def _merged(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    return {**base, **{key: _merged(base.get(key, {}), member) for key, member in change.items()}}


def _codes(*changes: Documents, directives: tuple[attributes.Directive, ...] = ()) -> set[str]:
    """Return the codes of the refusals, and with a ~ those of the duties, of the one job at the one site."""
    specs = copy.deepcopy(PLAIN)
    for change in changes:
        specs = _merged(specs, change)
    written = {kind: _document(kind, spec) for kind, spec in specs.items()}
    places = [written.pop("Backend"), written.pop("Operator")]
    job, (site,) = READ(list(written.values()), places)
    job = dataclasses.replace(job, directives=directives)
    marks = {reasons.Effect.DENY: "", reasons.Effect.OBLIGE: "~"}
    found = evaluator.explain(job, site, BOOK, AT)
    return {marks[reason.effect] + reason.code for reason in found if reason.effect in marks}


def _in(country: str, **more: Any) -> Documents:
    """Return a backend in a country, run by its own people."""
    operator = {"legalCountry": country, "ultimateParentHq": country}
    return {"Backend": {"location": {"country": country}, **more}, "Operator": operator}


def _pool(accelerator: str, **more: Any) -> dict[str, Any]:
    return {"pools": [{"name": "a", "accelerator": accelerator, **more}]}


LICENCE = {"ref": "L1", "destinations": ["CH"], "validTo": "2027-06-30"}
CONTROLLED = {"regime": "eu-dual-use", "item": "3E001"}
US_HEALTH: Documents = {"DataSet": {"classes": ["health"], "subjects": ["US"]}}
CHINESE: Documents = {"DataSet": {"classes": ["personal"], "subjects": ["CN"], "controller": {"country": "CN"}}}

# kind, path of the leaf, the world around it, the leaf, what comes with it, what goes with it
CASES: list[tuple[str, str, list[Documents], Any, set[str], set[str]]] = [
    ("Operator", "listed", [], True, {"sanctions.listed-party"}, set()),
    ("Operator", "listedOwnershipPercent", [], 50, {"sanctions.listed-party"}, set()),
    ("Operator", "coveredPerson", [US_HEALTH], True, {"us-doj.restricted-no-cisa"}, set()),
    (
        "Operator",
        "usPerson",
        [_in("FR", **_pool("Ascend-910B"))],
        True,
        {"us-gp10.prc-3a090"},
        {"~us-gp10.prc-3a090"},
    ),
    (
        "Operator",
        "earSupplement8",
        [_in("AE", **_pool("H100"))],
        "Core42",
        set(),
        {"us-ear.dest"},
    ),
    (
        "Backend",
        "seal",
        [{"Job": {"sovereignty": {"seal": {"SOV-3": 3}}}}],
        {"SOV-3": 2},
        {"eu-seal.SOV-3"},
        {"eu-seal.missing:SOV-3"},
    ),
    ("Backend", "chinaStateFunded", [_in("CN", **_pool("H100"))], True, {"cn-chips.foreign-accelerator"}, set()),
    (
        "Backend",
        "evidence",
        [_in("AE", **_pool("H100"))],
        [{"type": "bis-licence", "validTo": "2027-01-01"}],
        set(),
        {"us-ear.dest"},
    ),
    ("DataSet", "exportControl", [_in("CH")], [CONTROLLED], {"tech-export.unlicensed:eu-dual-use:CH"}, set()),
    (
        "DataSet",
        "exportControl",
        [_in("CH"), {"DataSet": {"exportControl": [CONTROLLED]}}],
        [{**CONTROLLED, "licences": [LICENCE]}],
        set(),
        {"tech-export.unlicensed:eu-dual-use:CH"},
    ),
    (
        "DataSet",
        "exportControl",
        [_in("CH"), {"DataSet": {"exportControl": [{**CONTROLLED, "licences": [LICENCE]}]}}],
        [{**CONTROLLED, "licences": [{**LICENCE, "destinations": ["NO"]}]}],
        {"tech-export.unlicensed:eu-dual-use:CH"},
        set(),
    ),
    (
        "DataSet",
        "exportControl",
        [_in("CH"), {"DataSet": {"exportControl": [{**CONTROLLED, "licences": [LICENCE]}]}}],
        [{**CONTROLLED, "licences": [{**LICENCE, "endUsers": ["somebody else"]}]}],
        {"tech-export.unlicensed:eu-dual-use:CH"},
        set(),
    ),
    (
        "DataSet",
        "exportControl",
        [_in("CH"), {"DataSet": {"exportControl": [{**CONTROLLED, "licences": [LICENCE]}]}}],
        [{**CONTROLLED, "licences": [{**LICENCE, "validTo": "2026-11-21"}]}],
        {"tech-export.unlicensed:eu-dual-use:CH"},
        set(),
    ),
    (
        "DataSet",
        "exportControl",
        [_in("CH"), {"DataSet": {"exportControl": [CONTROLLED]}}],
        [{"regime": "us-ear", "item": "unknown"}],
        {"tech-export.unknown:us-ear"},
        {"tech-export.unlicensed:eu-dual-use:CH"},
    ),
    (
        "DataSet",
        "ciio",
        [CHINESE, {"DataSet": {"counts": {"persons": 10}}}],
        True,
        {"cn-export.cac-assessment"},
        set(),
    ),
    (
        "DataSet",
        "primaryDb",
        [{"DataSet": {"classes": ["personal"], "subjects": ["RU"]}}],
        "RU",
        {"ru-local.cross-border-notice"},
        {"ru-local.collection"},
    ),
    ("DataSet", "sdfLocalised", [{"DataSet": {"subjects": ["IN"]}}], True, {"in.sdf-localised"}, set()),
    (
        "DataSet",
        "safeguards",
        [US_HEALTH, {"Operator": {"coveredPerson": True}}],
        [{"type": "cisa-requirements"}],
        {"~us-doj.restricted"},
        {"us-doj.restricted-no-cisa"},
    ),
    ("Job", "model", [], {"trainFlop": 1e25}, {"~eu-aiact.gpai-systemic-notify"}, set()),
    ("Job", "model", [], {"aiAct": "high-risk"}, {"~eu-aiact.logs-from-2027-12-02"}, set()),
    (
        "Job",
        "model",
        [_in("CH")],
        {"controller": {"country": "FR"}, "exportControl": [CONTROLLED]},
        {"tech-export.unlicensed:eu-dual-use:CH"},
        set(),
    ),
    (
        "Job",
        "model",
        [{"Job": {"model": {"controller": {"country": "FR"}, "exportControl": [CONTROLLED]}}}],
        {"controller": {"country": "CH"}},
        {"tech-export.unlicensed:eu-dual-use:FR"},
        set(),
    ),
]  # fmt: skip
IDS = [f"{index}-{kind}.{path}" for index, (kind, path, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("kind", "path", "around", "leaf", "comes", "goes"), CASES, ids=IDS)
def test_a_leaf_changes_the_answer(
    kind: str, path: str, around: list[Documents], leaf: Any, comes: set[str], goes: set[str]
) -> None:
    """What the leaf says adds and removes just these refusals and duties."""
    before = _codes(*around)
    after = _codes(*around, {kind: {path: leaf}})
    assert (after - before, before - after) == (comes, goes)


SUSPENDED = attributes.Directive("d", frozenset({"fable-5"}))


def test_a_directive_reads_the_model_and_the_users() -> None:
    """A directive refuses the model it names, and no other; not where all users are in the US."""
    named: Documents = {"Job": {"model": {"id": "fable-5"}}}
    other: Documents = {"Job": {"model": {"id": "fable-4"}}}
    at_home: Documents = {"Tenant": {"usOnlyUsers": True}}
    answers = [_codes(*changes, directives=(SUSPENDED,)) for changes in ([named], [other], [named, at_home])]
    assert answers == [{"directive.d"}, set(), set()]


def test_every_fact_of_documents_that_packs_need_is_judged_here() -> None:
    """The list is that of the policy table's document names; what is still refused by name is not in it."""
    tested = {(kind, path) for kind, path, *_ in CASES}
    assert tested == {
        *(("Operator", word) for word in ("listed", "listedOwnershipPercent", "coveredPerson", "usPerson",
                                          "earSupplement8")),
        *(("Backend", word) for word in ("seal", "chinaStateFunded", "evidence")),
        *(("DataSet", word) for word in ("exportControl", "ciio", "primaryDb", "sdfLocalised", "safeguards")),
        ("Job", "model"),
    }  # fmt: skip
