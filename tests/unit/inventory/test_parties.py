"""Tenants, controllers and end users who may be on a list are told with each answer; none of them is refused for it."""

from __future__ import annotations

import dataclasses
import datetime as dt

from orchestrator.domain import ids, jobs, listings, sites, tenants
from orchestrator.inventory import parties, screeners
from orchestrator.policy import attributes, conversions, evaluator
from orchestrator.sources import packs

DAY = dt.date(2026, 11, 22)
AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ENTRY = listings.Entry("900001", "us", listings.Kind.ENTITY, ("NORDKAP JSC",))
COPY = listings.Snapshot("us-sdn", "us", "xml", DAY, 7, ids.NO_DIGEST, (ENTRY,), digest=ids.NO_DIGEST)
SCREENER = screeners.Screener(listings.Loaded((COPY,)))
NAMED = "nordkap"
HIT = "us-sdn:900001 by name"


def test_a_tenant_of_a_listed_name_is_told() -> None:
    """Its name is looked up; another name, or no list in force, says nothing."""
    assert parties.tenant(tenants.Tenant(NAMED), SCREENER).listed == (f"the tenant {NAMED}: {HIT}",)
    assert parties.tenant(tenants.Tenant("hospital"), SCREENER).listed == ()
    assert parties.tenant(tenants.Tenant(NAMED), None).listed == ()


def _data(**more: object) -> tenants.DataSet:
    return dataclasses.replace(tenants.DataSet("scans", "t"), **more)  # type: ignore[arg-type]


def _listed(data: tenants.DataSet, screenings: dict[str, listings.Screening] | None = None) -> tuple[str, ...]:
    found = parties.data_sets({"t": {"scans": data}}, screenings or {}, SCREENER)
    return found["t"]["scans"].listed


def test_an_end_user_of_a_licence_is_told() -> None:
    """Each name that a licence gives is looked up."""
    licence = jobs.Licence(destinations=("CH",), end_users=("Nordkap JSC", "Somebody else"))
    item = jobs.ExportItem("us-ear", "3E001", (licence,))
    assert _listed(_data(export_control=(item,))) == (f"end user of scans Nordkap JSC: {HIT}",)


def test_a_controller_that_is_a_listed_operator_is_told() -> None:
    """What lists say of the registered operator is said of the data that it controls; a cleared match is not."""
    found = SCREENER.of(sites.Operator(NAMED))
    data = _data(controller=tenants.Controller(operator=NAMED))
    assert _listed(data, {NAMED: found}) == (f"the controller of scans {NAMED}: {HIT}",)
    (hit,) = found.reviews
    answer = listings.Answer(
        hit.list, hit.entry, hit.party, False, "another", "A. Martin", AT, hit.entry_digest, hit.party_digest
    )
    assert _listed(data, {NAMED: SCREENER.of(sites.Operator(NAMED), (answer,))}) == ()
    assert _listed(data) == ()


def test_what_is_told_is_a_caveat_of_the_answer() -> None:
    """The pack names the party and the entry, and refuses nothing."""
    tenant = parties.tenant(tenants.Tenant(NAMED, hq="FR"), SCREENER)
    plane = tenants.ControlPlane(location=sites.Location(country="FR"))
    job = conversions.of_job(jobs.JobSpec("j"), tenant=tenant, datasets={}, control_plane=plane)
    assert job.listed_parties == (f"the tenant {NAMED}: {HIT}",)
    site = attributes.SiteAttributes(country="FR", legal_country="FR", parent_hq="FR")
    found = {one.code: one for one in evaluator.explain(job, site, packs.load(), AT)}
    assert "900001" in found["caveat.listed-parties"].message
    assert not [one for one in found.values() if one.effect.value == "deny"]


def test_a_control_plane_sits_where_its_operator_does() -> None:
    """Country and parent of the operator count, and what lists say of it; one that nobody registered adds nothing."""
    plane = tenants.ControlPlane(operator=NAMED)
    operator = sites.Operator(NAMED, legal_country="DE", ultimate_parent_hq="US")
    found = parties.control_plane(plane, {NAMED: operator}, {NAMED: SCREENER.of(operator)})
    assert found is not None
    assert found.seats == ("DE", "US")
    assert found.listed == (f"the operator of the control plane {NAMED}: {HIT}",)
    assert parties.control_plane(plane, {}, {}) == plane
    assert parties.control_plane(None, {}, {}) is None
