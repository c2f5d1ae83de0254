"""What nobody stated is said with the answer: caveats of the packs that ship, by documents."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from orchestrator.bootstrap import cases
from orchestrator.policy import attributes, evaluator
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BOOK = packs.load()
READ = cases.reader()
CONTROL_PLANE = {
    "operator": "operator",
    "location": {"country": "FR"},
    "adminFrom": ["FR"],
    "logStore": {"country": "FR"},
    "backupStore": {"country": "FR"},
}


def _document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}


def _said(*, plane: dict[str, Any] | None = None, backend: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the caveats of a job at one site, by code."""
    place = {"adapter": "simulated", "operator": "operator", "location": {"country": "FR"}, **(backend or {})}
    here = [
        _document("ControlPlane", CONTROL_PLANE if plane is None else plane),
        _document("Job", {"command": ["true"], "data": "none"}),
    ]
    operator = {"legalCountry": "FR", "ultimateParentHq": "FR"}
    job, (site,) = READ(here, [_document("Operator", operator), _document("Backend", place)])
    return {one.code: one.message for one in evaluator.explain(job, site, BOOK, AT) if one.effect.value == "caveat"}


def test_administrators_that_nobody_states_are_said() -> None:
    """A site that does not say from where it is administered gets a caveat; one that does gets none."""
    assert "caveat.admins-unknown" in _said()
    assert "caveat.admins-unknown" in _said(backend={"adminFrom": []})
    assert "caveat.admins-unknown" not in _said(backend={"adminFrom": ["FR"]})


def test_a_pool_speaks_for_itself_about_its_administrators() -> None:
    """What a pool states of its administrators counts for the pool."""
    pools = [{"name": "a", "adminFrom": ["FR"]}]
    assert "caveat.admins-unknown" not in _said(backend={"pools": pools})


@pytest.mark.parametrize("left_out", ["adminFrom", "logStore", "backupStore"])
def test_what_the_control_plane_leaves_out_is_said_by_name(left_out: str) -> None:
    """Each field about places that the control plane's document leaves out is named, and only that one."""
    said = _said(plane={key: value for key, value in CONTROL_PLANE.items() if key != left_out})
    assert f"does not state {left_out}:" in said["caveat.control-plane-assumed"]


def test_a_control_plane_that_says_all_has_no_caveat() -> None:
    """Nothing is assumed of a control plane whose document states every place."""
    assert "caveat.control-plane-assumed" not in _said()


def _with_accelerator(slug: str) -> dict[str, str]:
    return _said(backend={"pools": [{"name": "a", "accelerator": slug}]})


def test_a_chip_of_unknown_maker_may_be_one_of_the_prohibition() -> None:
    """Where the catalogue does not know an accelerator, nobody knows whether General Prohibition 10 reaches it."""
    assert "caveat.gp10-unknown" in _with_accelerator("no-such-chip")


def test_chips_that_are_known_have_no_such_caveat() -> None:
    """A known maker outside China, or a known performance, leaves nothing open."""
    assert "caveat.gp10-unknown" not in _with_accelerator("H100")
    assert "caveat.gp10-unknown" not in _with_accelerator("Ascend-910B")


@pytest.mark.parametrize(("tpp", "said"), [(None, True), (4800.0, False)])
def test_a_chinese_chip_outside_the_ear_of_unknown_performance_is_not_passed_over(
    tpp: float | None, said: bool
) -> None:
    """No rule denies an unknown performance there, as us-ear does elsewhere: the answer says that nobody knows it."""
    site = attributes.SiteAttributes(
        country="SG", legal_country="SG", parent_hq="SG", accelerator="chip", vendor_hq="CN", us_subject=False, tpp=tpp
    )
    found = {one.code for one in evaluator.explain(attributes.JobAttributes(), site, BOOK, AT)}
    assert ("caveat.gp10-unknown" in found) is said
    assert "us-ear.missing:tpp" not in found


EUROPE = frozenset({"eu", "un"})


@pytest.mark.parametrize(("listed_by", "said"), [({"us"}, {"caveat.listed-unbound:us"}), (set(), set())])
def test_a_list_that_binds_nobody_here_is_told(listed_by: set[str], said: set[str]) -> None:
    """Where operator and job state by what they are bound, the list of another regime is a caveat of the yes."""
    site = attributes.SiteAttributes(
        country="FR",
        legal_country="FR",
        parent_hq="FR",
        listed_by=frozenset(listed_by),
        bound_by=EUROPE,
        seats=("FR",),
    )
    found = evaluator.explain(attributes.JobAttributes(bound_by=EUROPE), site, BOOK, AT)
    assert {one.code for one in found if "sanctions" in one.code or "listed" in one.code} == said


def test_a_weak_fact_about_a_seat_is_told_only_where_a_list_speaks() -> None:
    """That the law of China binds whoever sits there comes from one reading: no caveat where no list names anybody."""
    site = attributes.SiteAttributes(country="CN", legal_country="CN", parent_hq="CN", seats=("CN",))
    found = {one.code for one in evaluator.explain(attributes.JobAttributes(), site, BOOK, AT)}
    assert not [code for code in found if "sanction-seats" in code]
