"""Reading and running policy cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.policy import attributes, cases
from orchestrator.sources import packs, yamls

GOOD = {
    "id": "A", "at": "2026-11-22", "job": {}, "decision": "ALLOW", "rules": [],
    "backend": {"country": "FR", "operator": {"legal_country": "FR", "parent_hq": "FR"}},
}  # fmt: skip


def problems(**changes: object) -> str:
    """Return what is wrong with the good case after some changes."""
    with pytest.raises(cases.CaseError) as caught:
        cases.read({"cases": [{**GOOD, **changes}]})
    return str(caught.value)


def test_a_case_that_agrees_is_silent_and_counted() -> None:
    """The last line counts cases and disagreements."""
    found = cases.read({"cases": [GOOD]})
    assert cases.run(found, packs.load()) == ()
    assert cases.summary(1, ()) == "1 cases, 0 disagree"


def test_a_disagreement_shows_expected_and_got() -> None:
    """Both answers stand in the text."""
    bad = {**GOOD, "decision": "DENY", "rules": ["core.stale-facts"], "title": "why"}
    found = cases.run(cases.read({"cases": [bad]}), packs.load())
    assert str(found[0]).splitlines() == ["A: why", "  expected DENY core.stale-facts", "  got      ALLOW -"]
    assert cases.summary(1, found) == "1 cases, 1 disagree"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"at": "2026-02-30"}, "cases[0].at: '2026-02-30' is not a date"),
        ({"at": 2026}, "cases[0].at: 2026 is not a date"),
        ({"decision": "MAYBE"}, "cases[0].decision: expected ALLOW"),
        ({"rules": ["a"]}, "cases[0].rules: ALLOW does not go with 1 rules"),
        ({"decision": "DENY", "rules": ["b", "a"]}, "cases[0].rules: expected rule codes, sorted"),
        ({"surprise": 1}, "cases[0].surprise: unknown key"),
        ({"job": {"mood": 1}}, "cases[0].job.mood: unknown key"),
        ({"job": {"data": [{"clases": []}]}}, "cases[0].job.data[0].clases: unknown key"),
        ({"job": {"workload": "play"}}, "cases[0].job.workload: 'play' is not one of"),
        ({"job": {"deny_exposure": [True]}}, "cases[0].job.deny_exposure[0]: expected text"),
        ({"job": {"data": [{"count": -1}]}}, "cases[0].job.data[0].count: expected a whole number"),
        ({"backend": {"certs": {"c5": "soon"}}}, "cases[0].backend.certs.c5: 'soon' is not a date"),
        ({"backend": {"operator": {"owners": [{"country": "FR"}]}}}, "owners[0].pct: expected a number"),
        ({"backend": {"operator": {"boss": "FR"}}}, "cases[0].backend.operator.boss: unknown key"),
        ({"backend": {"kind": "Backend"}}, "cases[0]: `job` and `backend` are both compact, or both documents"),
        ({"id": None}, "cases[0].id: expected text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, object], text: str) -> None:
    """Unknown keys, bad dates and impossible answers are errors with their path."""
    assert text in problems(**changes)


def test_all_errors_come_at_once_and_ids_are_unique() -> None:
    """Every broken case is named; an id that appears twice names the first."""
    with pytest.raises(cases.CaseError) as caught:
        cases.read({"cases": [GOOD, GOOD, {**GOOD, "at": "x"}]})
    assert [path for path, _ in caught.value.problems] == [("cases", 1, "id"), ("cases", 2, "at")]


def test_documents_are_read_by_the_callers_function() -> None:
    """A list, or a mapping with `kind`, goes to the reader; each of several sites must get the answer."""
    place = attributes.SiteAttributes(name="b/p", country="FR", legal_country="FR", parent_hq="FR")
    unknown = attributes.SiteAttributes(name="b/q")
    seen: list[object] = []

    def reader(job: cases.Documents, backend: cases.Documents) -> tuple[Any, Any]:
        seen.extend((job, backend))
        return attributes.JobAttributes(), (place, unknown)

    case: Mapping[str, Any] = {**GOOD, "job": {"kind": "Job"}, "backend": [{"kind": "Backend"}, {"kind": "Operator"}]}
    found = cases.run(cases.read({"cases": [case]}, documents=reader), packs.load())
    assert seen == [[{"kind": "Job"}], [{"kind": "Backend"}, {"kind": "Operator"}]]
    assert [item.site for item in found] == ["b/q"]
    assert cases.summary(1, found) == "1 cases, 1 disagree"


def test_a_document_that_cannot_be_read_is_an_error_of_its_case() -> None:
    """What the reader says stands beside the case."""

    def reader(_job: cases.Documents, _backend: cases.Documents) -> tuple[Any, Any]:
        raise ValueError("spec.type: 'play' is not a type")

    with pytest.raises(cases.CaseError, match=r"cases\[0\]: spec.type"):
        cases.read({"cases": [{**GOOD, "job": [{}], "backend": [{}]}]}, documents=reader)


@pytest.mark.parametrize(
    ("asked", "pack", "path"),
    [
        ({"min_seal": {"2": 2}}, "eu-seal", "spec.sovereignty.seal"),
        ({"directives": [{"id": "x"}]}, "directives", "policy.directive"),
    ],
)
def test_what_no_pack_judges_is_denied(asked: dict[str, object], pack: str, path: str) -> None:
    """A compact attribute that needs a judge behaves as in the product."""
    case = {**GOOD, "job": asked, "decision": "DENY", "rules": [f"core.unsupported:{path}"]}
    assert cases.run(cases.read({"cases": [case]}), packs.load(off=(pack,))) == ()


def test_files_of_cases_may_be_long_and_share_values(tmp_path: Path) -> None:
    """A program that writes thousands of cases shares what is alike by aliases; files of rules still may not."""
    file = tmp_path / "cases.yaml"
    site = "{country: FR, operator: {legal_country: FR, parent_hq: FR}}"
    rows = [
        f"- {{id: c{n}, at: 2026-11-22, job: {{}}, backend: *site, decision: ALLOW, rules: []}}" for n in range(6000)
    ]
    first = f"- {{id: first, at: 2026-11-22, job: {{}}, backend: &site {site}, decision: ALLOW, rules: []}}"
    file.write_text("\n".join(["cases:", first, *rows, ""]))
    assert len(cases.read(yamls.read(file, yamls.CASES).data)) == 6001
    with pytest.raises(yamls.YamlError, match="anchors"):
        yamls.read(file)
