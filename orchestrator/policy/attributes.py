"""What rules may read: the attributes of a job and of a site, as flat, hashable values.

Documents have many shapes; rules read these two. ``of_job`` merges the tenant's floor and tier (a job may only
tighten them), adds what the data was derived from, and turns the control plane into places. ``of_site`` applies the
scope of certificates and collects every country that reaches the operator. Nothing is judged here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.domain import facts, jobs, sites, tenants
from orchestrator.policy import constraints, dated

UNKNOWN = "unknown"
"""The place nobody stated. It is a member of no set, so whatever needs to know the place is refused."""


@dataclass(frozen=True, slots=True)
class Place:
    """A country where something of the job lies or is administered from, and the document path that says so."""

    code: str
    path: str


@dataclass(frozen=True, slots=True)
class Paper:
    """A certificate, safeguard or licence. ``in_scope`` is False for a certificate of another service or region."""

    kind: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    in_scope: bool = True
    source: str | None = None

    def valid(self, day: dt.date) -> bool:
        """Say whether it counts on ``day``; the last day named is included."""
        started = self.valid_from is None or self.valid_from <= day
        return self.in_scope and started and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Reach:
    """A country that reaches the operator: by law, by its parent, owner, administrators. ``code`` None: unknown."""

    code: str | None
    path: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class DataAttributes:
    """One data set that the job reads, as rules see it. Rules about data quantify over these, never over a mix."""

    name: str = ""
    classes: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    count: int = 0
    sensitive_count: int = 0
    safeguards: tuple[Paper, ...] = ()
    controller_country: str | None = None
    controller_operator: str | None = None
    stamp: facts.FactStamp = field(default_factory=facts.FactStamp)


@dataclass(frozen=True, slots=True)
class TenantAttributes:
    """The tenant, as rules see it."""

    name: str = ""
    parent_hq: str | None = None
    sector: str | None = None
    us_person: bool | None = None


@dataclass(frozen=True, slots=True)
class JobAttributes:
    """A job as rules see it: its class. Equal values are judged alike.

    ``places`` are locations that every site of the job shares: the control plane's, and where its outputs stay.
    ``asks`` are the document paths of constraints that some pack has to judge; ``unjudgeable`` pairs a document path
    with the sentence that says why nobody can judge it (a tier that does not exist, a data set nobody registered).
    """

    workload: str | None = None
    tenant: TenantAttributes | None = None
    data: tuple[DataAttributes, ...] = ()
    data_stated: bool = True
    places: tuple[Place, ...] = ()
    constraints: constraints.Constraints = field(default_factory=constraints.Constraints)
    asks: tuple[str, ...] = ()
    unjudgeable: tuple[tuple[str, str], ...] = ()
    control_plane_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)

    def boundaries(self) -> frozenset[dt.date]:
        """Return the days on which a paper of the job's data starts or ends."""
        papers = (paper for data in self.data for paper in data.safeguards)
        return frozenset(day for paper in papers for day in dated.changes(paper.valid_from, paper.valid_to))


@dataclass(frozen=True, slots=True)
class SiteAttributes:
    """A site as rules see it. What nobody stated is None. ``places`` are the locations of I.3 that the site states."""

    name: str = ""
    country: str | None = None
    subdivision: str | None = None
    region: str | None = None
    region_pinned: bool | None = None
    service: str | None = None
    places: tuple[Place, ...] = ()
    operator: str | None = None
    legal_country: str | None = None
    parent_hq: str | None = None
    frameworks: frozenset[str] = frozenset()
    reach: tuple[Reach, ...] = ()
    owners_coverage: float | None = None
    certs: tuple[Paper, ...] = ()
    evidence: tuple[Paper, ...] = ()
    accepts_countries: tuple[str, ...] | None = None
    accepts_deny_classes: frozenset[str] = frozenset()
    accepts_types: frozenset[str] | None = None
    facts_valid_to: dt.date | None = None
    log_store_country: str | None = None
    log_retention_days: int | None = None
    assurance: facts.Assurance = facts.Assurance.DECLARED
    backend_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)
    operator_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)

    def boundaries(self) -> frozenset[dt.date]:
        """Return the days on which the stamp, a certificate or a licence of the site starts or ends."""
        days = [dated.changes(None, self.facts_valid_to)]
        days += [dated.changes(paper.valid_from, paper.valid_to) for paper in (*self.certs, *self.evidence)]
        return frozenset(day for pair in days for day in pair)


def of_site(site: sites.Site) -> SiteAttributes:
    """Return what rules read of a site. A log store nobody stated lies at the site itself (and is a caveat)."""
    operator = site.operator
    return SiteAttributes(
        name=str(site.name),
        country=site.location.country,
        subdivision=site.location.subdivision,
        region=site.location.region,
        region_pinned=site.location.region_pinned_by_contract,
        service=site.service,
        places=_site_places(site),
        operator=site.operator_name,
        legal_country=operator.legal_country if operator else None,
        parent_hq=operator.ultimate_parent_hq if operator else None,
        frameworks=frozenset(operator.transfer_frameworks) if operator else frozenset(),
        reach=_reach(operator, site.admin_from),
        owners_coverage=operator.owners.coverage if operator else None,
        # In one order, so that sites which say the same in another order share a value of the column.
        certs=tuple(sorted((_certificate(cert, site) for cert in site.certifications), key=repr)),
        evidence=tuple(Paper(e.type, None, e.valid_to, source=e.ref) for e in site.evidence),
        accepts_countries=site.accepts.tenant_countries,
        accepts_deny_classes=frozenset(site.accepts.deny_classes),
        accepts_types=None if site.accepts.types is None else frozenset(t.value for t in site.accepts.types),
        facts_valid_to=site.facts_valid_to,
        log_store_country=site.log_store.country,
        log_retention_days=site.log_retention_days,
        assurance=min(site.facts.assurance, operator.facts.assurance) if operator else facts.Assurance.DECLARED,
        backend_stamp=site.facts,
        operator_stamp=operator.facts if operator else facts.FactStamp(),
    )


def _site_places(site: sites.Site) -> tuple[Place, ...]:
    places = [Place(code, "backend.adminFrom") for code in site.admin_from]
    if site.location.country is not None:
        places.insert(0, Place(site.location.country, "backend.location.country"))
    if site.log_store.country is not None:
        places.append(Place(site.log_store.country, "backend.logStore.country"))
    return tuple(places)


def _reach(operator: sites.Operator | None, admin_from: Iterable[str]) -> tuple[Reach, ...]:
    reach = [Reach(code, "backend.adminFrom") for code in admin_from]
    if operator is not None:
        reach += [Reach(operator.legal_country, "operator.legalCountry")] if operator.legal_country else []
        reach += (
            [Reach(operator.ultimate_parent_hq, "operator.ultimateParentHq")] if operator.ultimate_parent_hq else []
        )
        reach += [Reach(owner.country, "operator.owners.list", owner.percent) for owner in operator.owners.list]
        reach += [Reach(code, "operator.exposureExtra") for code in operator.exposure_extra]
    return tuple(sorted(set(reach), key=repr))


def _certificate(cert: sites.Certification, site: sites.Site) -> Paper:
    # Certificates hold for a service in a region: one that states no scope proves nothing about this site.
    in_scope = cert.service is not None and cert.service == site.service and site.location.region in cert.regions
    return Paper(cert.scheme, cert.valid_from, cert.valid_to, in_scope, cert.evidence)


def of_job(
    spec: jobs.JobSpec,
    *,
    tenant: tenants.Tenant | None,
    datasets: Mapping[str, tenants.DataSet],
    control_plane: tenants.ControlPlane | None,
) -> JobAttributes:
    """Return what rules read of a job. ``datasets`` maps names to what is registered and visible to the tenant.

    ``control_plane`` None means that nobody registered one: its place is then unknown, and judged so.
    """
    merged = constraints.merge_floor(spec.sovereignty, tenant=tenant, tier=spec.tier)
    unjudgeable = [] if merged.tier_known else [("spec.tier", f"tier {spec.tier!r} is not defined by the tenant")]
    data, stated = _data(spec, tenant, datasets, unjudgeable)
    places = [*_control_plane_places(control_plane), *_written_places(spec, datasets, unjudgeable)]
    return JobAttributes(
        workload=spec.type.value if spec.type else None,
        tenant=TenantAttributes(tenant.name, tenant.hq, tenant.sector, tenant.us_person) if tenant else None,
        data=data,
        data_stated=stated,
        places=tuple(places),
        constraints=merged.constraints,
        asks=merged.constraints.asks(),
        unjudgeable=tuple(unjudgeable),
        control_plane_stamp=control_plane.facts if control_plane else facts.FactStamp(),
    )


def merge_floor(own: jobs.Sovereignty, *, tenant: tenants.Tenant | None, tier: str | None = None) -> constraints.Merged:
    """Return the constraints that hold for a job of this tenant and tier: each only ever tightens the others."""
    return constraints.merge_floor(own, tenant=tenant, tier=tier)


def of_dataset(data: tenants.DataSet) -> DataAttributes:
    """Return what rules read of a data set."""
    return DataAttributes(
        name=data.name,
        classes=frozenset(data.classes),
        subjects=frozenset(data.subjects),
        count=data.counts.persons,
        sensitive_count=data.counts.sensitive,
        safeguards=tuple(Paper(s.type, None, s.valid_to, source=s.ref) for s in data.safeguards),
        controller_country=data.controller.country,
        controller_operator=data.controller.operator,
        stamp=data.facts,
    )


def _data(
    spec: jobs.JobSpec,
    tenant: tenants.Tenant | None,
    datasets: Mapping[str, tenants.DataSet],
    unjudgeable: list[tuple[str, str]],
) -> tuple[tuple[DataAttributes, ...], bool]:
    if spec.data is None:
        default = tenant.default_data if tenant else None
        if default is None:
            return (), False
        classes, subjects = frozenset(default.classes), frozenset(default.subjects)
        return (DataAttributes("tenant.defaultData", classes, subjects),), True
    found: dict[str, DataAttributes] = {}
    waiting = [(use.name, "spec.data.reads") for use in reversed(spec.data.reads)]
    while waiting:
        name, path = waiting.pop()
        if name in found:
            continue
        data = datasets.get(name)
        if data is None:
            unjudgeable.append((path, f"data set {name!r} is not registered, so nobody knows its rules"))
            continue
        found[name] = of_dataset(data)
        # Rules stick: what was derived from a data set stays under the rules of its origin.
        waiting += [(parent, "spec.derivedFrom") for parent in reversed(data.derived_from)]
    return tuple(found.values()), True


def _control_plane_places(plane: tenants.ControlPlane | None) -> list[Place]:
    if plane is None:
        return [Place(UNKNOWN, "controlPlane.location.country")]
    home = plane.location.country or UNKNOWN
    places = [Place(home, "controlPlane.location.country")]
    places += [Place(code, "controlPlane.adminFrom") for code in plane.admin_from]
    stores = (
        (plane.log_store, "controlPlane.logStore.country"),
        (plane.backup_store, "controlPlane.backupStore.country"),
    )
    # A store nobody stated lies where the control plane lies; one that is stated without a country is unknown.
    places += [Place(store.country or UNKNOWN, path) for store, path in stores if store is not None]
    return places


def _written_places(
    spec: jobs.JobSpec, datasets: Mapping[str, tenants.DataSet], unjudgeable: list[tuple[str, str]]
) -> list[Place]:
    names = list(spec.data.writes) if spec.data else []
    names += [output.as_name for output in spec.outputs if output.as_name and output.as_name not in names]
    places = []
    for name in names:
        data = datasets.get(name)
        if data is None:
            unjudgeable.append(("spec.data.writes", f"data set {name!r} is not registered, so its place is unknown"))
        code = data.location.country if data else None
        places.append(Place(code or UNKNOWN, "dataSet.location.country"))
    return places
