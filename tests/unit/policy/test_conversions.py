"""What rules may read of jobs and sites."""

from __future__ import annotations

import datetime as dt

from orchestrator.domain import facts, ids, jobs, sites, tenants
from orchestrator.policy import attributes, constraints, conversions

HOSPITAL = tenants.ControlPlane(operator="h", location=sites.Location("FR"), admin_from=("FR",))


def site(**changes: object) -> sites.Site:
    """Return a plain site in France."""
    fields: dict[str, object] = {
        "name": ids.SiteName("b/p"), "backend": "b", "pool": "p", "adapter": "simulated", "operator_name": "op",
        "operator": sites.Operator("op", "FR", "US"), "service": "kube", "location": sites.Location("FR", region="r1"),
        "admin_from": (), "log_store": sites.Location(), "log_retention_days": None, "certifications": (),
        "evidence": (), "accepts": sites.Accepts(), "accelerator": None, "accelerator_memory_gb": None,
        "accelerator_watts": None, "count": None, "interconnect": None, "in_service_since": None,
        "price_per_hour": None, "pue": None, "carbon": None, "facts": facts.FactStamp(), "facts_valid_to": None,
    }  # fmt: skip
    return sites.Site(**{**fields, **changes})  # type: ignore[arg-type]


def job(spec: jobs.JobSpec, tenant: tenants.Tenant | None = None, plane: object = HOSPITAL, **sets: tenants.DataSet):
    """Return the attributes of a job."""
    return conversions.of_job(spec, tenant=tenant, datasets=sets, control_plane=plane)


def cert(**changes: object) -> sites.Certification:
    """Return a certificate for the plain site."""
    fields: dict[str, object] = {"scheme": "hds-v2", "service": "kube", "regions": ("r1",)}
    return sites.Certification(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_certificate_of_this_service_and_region_counts() -> None:
    """The scope of the certificate is the site's."""
    found = conversions.of_site(site(certifications=(cert(),))).certs
    assert found[0].valid(dt.date(2026, 1, 1))


def test_a_certificate_of_another_or_no_scope_does_not_count() -> None:
    """Another service, another region, or none stated: it proves nothing about this site."""
    for changes in ({"service": "vm"}, {"service": None}, {"regions": ("r2",)}, {"regions": ()}):
        found = conversions.of_site(site(certifications=(cert(**changes),))).certs
        assert not found[0].valid(dt.date(2026, 1, 1))


def test_a_site_without_a_registered_operator_has_no_operator_facts() -> None:
    """Legal country and parent are missing, not guessed from the place."""
    found = conversions.of_site(site(operator=None))
    assert (found.legal_country, found.parent_hq) == (None, None)


def test_the_log_store_is_a_place() -> None:
    """Where the backend keeps logs belongs to the locations of the job."""
    found = conversions.of_site(site(log_store=sites.Location("SG")))
    assert attributes.Place("SG", "backend.logStore.country") in found.places


def test_a_control_plane_nobody_registered_is_an_unknown_place() -> None:
    """Without a ControlPlane document its place is unknown, never left out."""
    assert [place.code for place in job(jobs.JobSpec("j"), plane=None).places] == [attributes.UNKNOWN]


def test_a_store_of_the_control_plane_without_a_country_is_unknown() -> None:
    """A backup store that is stated without a country is an unknown place."""
    plane = tenants.ControlPlane(location=sites.Location("FR"), backup_store=sites.Location())
    assert attributes.UNKNOWN in {place.code for place in job(jobs.JobSpec("j"), plane=plane).places}


def test_what_a_job_writes_has_a_place() -> None:
    """The location of the written data set is a location of the job; an unregistered one cannot be judged."""
    spec = jobs.JobSpec("j", data=jobs.DataClause(writes=("out",)))
    found = job(spec, out=tenants.DataSet("out", "t", location=sites.Location("SG")))
    assert "SG" in {place.code for place in found.places}
    assert job(spec).unjudgeable[0][0] == "spec.data.writes"


def test_nothing_said_about_data_is_the_tenants_default() -> None:
    """Without `data` the tenant's default data is judged; `none` is an explicit word."""
    tenant = tenants.Tenant("t", default_data=tenants.DefaultData(("health",), ("FR",)))
    assert job(jobs.JobSpec("j"), tenant).data[0].classes == {"health"}
    assert job(jobs.JobSpec("j", data=jobs.DataClause(declared_none=True)), tenant).data == ()
    assert not job(jobs.JobSpec("j")).data_stated


def test_rules_stick_to_what_was_derived() -> None:
    """A job that reads a derived data set is judged as reading its origins too."""
    spec = jobs.JobSpec("j", data=jobs.DataClause(reads=(jobs.DataUse("b"),)))
    origin = tenants.DataSet("a", "t", classes=("health",))
    found = job(spec, a=origin, b=tenants.DataSet("b", "t", classes=("open",), derived_from=("a",)))
    assert {name for data in found.data for name in data.classes} == {"health", "open"}


def test_an_unregistered_data_set_cannot_be_judged() -> None:
    """Reading something nobody registered is a refusal, not a job without data."""
    found = job(jobs.JobSpec("j", data=jobs.DataClause(reads=(jobs.DataUse("ghost"),))))
    assert found.unjudgeable[0][0] == "spec.data.reads"


def test_an_unknown_tier_cannot_be_judged() -> None:
    """A tier that the tenant does not define is a refusal with the path of the field."""
    assert job(jobs.JobSpec("j", tier="critical"), tenants.Tenant("t")).unjudgeable[0][0] == "spec.tier"


def test_a_job_cannot_loosen_the_immunity_of_its_floor() -> None:
    """Immunity counts against a denied exposure only where everybody who denies it accepts it."""
    floor = jobs.Sovereignty(exposure=jobs.Exposure(("US",)))
    own = jobs.Sovereignty(exposure=jobs.Exposure(("US", "CN"), ("c5",)))
    merged = conversions.merge_floor(own, tenant=tenants.Tenant("t", floor=floor)).constraints
    assert merged.exposures == (
        constraints.Denied("CN", frozenset({"c5"})),
        constraints.Denied("US", frozenset()),
    )


def test_lists_that_allow_are_all_kept_and_minima_take_the_larger() -> None:
    """Floor, tier and job tighten each other."""
    floor = jobs.Sovereignty(countries_allow=("EEA",), seal=(("SOV-2", 3),), sovereignty_score=40)
    tier = jobs.Sovereignty(certifications=("c5",))
    own = jobs.Sovereignty(countries_allow=("FR", "CH"), seal=(("SOV-2", 1),), sovereignty_score=60)
    tenant = tenants.Tenant("t", floor=floor, tiers=(("critical", tier),))
    merged = conversions.merge_floor(own, tenant=tenant, tier="critical").constraints
    assert merged.countries_allow == (("CH", "FR"), ("EEA",))
    assert (merged.seal, merged.score, merged.certifications) == ((("SOV-2", 3),), 60, ("c5",))


def test_a_paper_counts_from_its_first_day() -> None:
    """A licence or safeguard that begins later proves nothing yet."""
    paper = sites.Evidence("bis-licence", "L1", dt.date(2027, 1, 1), dt.date(2026, 6, 1))
    (licence,) = conversions.of_site(site(evidence=(paper,))).evidence
    data = tenants.DataSet("d", "t", safeguards=(paper,))
    (safeguard,) = conversions.of_dataset(data).safeguards
    for found in (licence, safeguard):
        assert [found.valid(dt.date(2026, month, 1)) for month in (5, 6)] == [False, True]
