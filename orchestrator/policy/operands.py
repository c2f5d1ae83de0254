"""The closed lists of what rules may name: operands (attributes to read) and domains (what ``for_each`` runs over).

An operand has a scope: what it is read from. ``site`` and ``location`` are the scopes that the column reader turns
into columns; all others are the same for every site, so they are read once a job.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import claims, facts, listings
from orchestrator.policy import attributes, constraints, dated

SITE = "site"
LOCATION = "location"
JOB = "job"

Binding = Mapping[str, Any]
"""What each scope stands for while one instance of a rule is judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """An attribute as rules name it: where it is read from, how, and the document path a reason cites."""

    name: str
    scope: str
    read: Callable[[Any], Any]
    path: str


@dataclass(frozen=True, slots=True)
class DeniedCountry:
    """One country whose exposure is denied."""

    country: str
    accept: frozenset[str]


@dataclass(frozen=True, slots=True)
class SealDemand:
    """An objective of the Commission's framework that a job asks about; ``level`` None: the score only."""

    objective: str
    level: int | None


def _itself(value: Any) -> Any:
    return value


def _until(site: attributes.SiteAttributes, fault: claims.Fault) -> dt.date | None:
    """Return the last day before a claim of the site has this fault; None: none ever has."""
    first = claims.first_day(site.claims, fault)
    return None if first is None else first - dt.timedelta(days=1)


def _tenant(read: Callable[[attributes.TenantAttributes], Any]) -> Callable[[attributes.JobAttributes], Any]:
    return lambda job: read(job.tenant) if job.tenant is not None else None


_ROWS: tuple[tuple[str, str, Callable[[Any], Any], str], ...] = (
    ("job.workload", JOB, lambda job: job.workload, "spec.type"),
    ("job.data_stated", JOB, lambda job: job.data_stated, "spec.data"),
    ("job.places", JOB, lambda job: job.places, "controlPlane"),
    ("job.control_plane_gaps", JOB, lambda job: job.control_plane_gaps, "controlPlane"),
    ("tenant.name", JOB, _tenant(lambda tenant: tenant.name), "tenant.metadata.name"),
    ("tenant.parent_hq", JOB, _tenant(lambda tenant: tenant.parent_hq), "tenant.hq"),
    ("tenant.sector", JOB, _tenant(lambda tenant: tenant.sector), "tenant.sector"),
    ("tenant.us_person", JOB, _tenant(lambda tenant: tenant.us_person), "tenant.usPerson"),
    ("tenant.us_only_users", JOB, _tenant(lambda tenant: tenant.us_only_users), "tenant.usOnlyUsers"),
    ("job.bound_by", JOB, lambda job: job.bound_by, "tenant.sanctionsRegimes"),
    ("job.barred", JOB, lambda job: job.barred, "tenant.blockingLaws"),
    ("job.seats", JOB, lambda job: job.seats, "tenant.hq"),
    ("job.listed_parties", JOB, lambda job: job.listed_parties, "lists"),
    ("job.model", JOB, lambda job: job.model, "spec.model.id"),
    ("job.train_flop", JOB, lambda job: job.train_flop, "spec.model.trainFlop"),
    ("job.ai_act", JOB, lambda job: job.ai_act, "spec.model.aiAct"),
    ("data.name", "data", lambda data: data.name, "dataSet.metadata.name"),
    ("data.classes", "data", lambda data: data.classes, "dataSet.classes"),
    ("data.subjects", "data", lambda data: data.subjects, "dataSet.subjects"),
    ("data.count", "data", lambda data: data.count, "dataSet.counts.persons"),
    ("data.sensitive_count", "data", lambda data: data.sensitive_count, "dataSet.counts.sensitive"),
    ("data.safeguards", "data", lambda data: data.safeguards, "dataSet.safeguards"),
    ("data.controller_country", "data", lambda data: data.controller_country, "dataSet.controller.country"),
    ("data.controller_operator", "data", lambda data: data.controller_operator, "dataSet.controller.operator"),
    ("data.persons_us", "data", lambda data: data.persons("US"), "dataSet.counts.persons"),
    ("data.persons_cn", "data", lambda data: data.persons("CN"), "dataSet.counts.persons"),
    ("data.sensitive_cn", "data", lambda data: data.sensitive("CN"), "dataSet.counts.sensitive"),
    ("data.ciio", "data", lambda data: data.ciio, "dataSet.ciio"),
    ("data.primary_db", "data", lambda data: data.primary_db, "dataSet.primaryDb"),
    ("data.sdf_localised", "data", lambda data: data.sdf_localised, "dataSet.sdfLocalised"),
    ("export.owner", "export", lambda item: item.owner, "dataSet.metadata.name"),
    ("export.regime", "export", lambda item: item.regime, "exportControl.regime"),
    ("export.item", "export", lambda item: item.item, "exportControl.item"),
    ("export.territory", "export", lambda item: item.territory, "controller.country"),
    ("export.licences", "export", lambda item: item.licences, "exportControl.licences"),
    ("directive.id", "directive", lambda directive: directive.id, "policy.metadata.name"),
    ("directive.models", "directive", lambda directive: directive.models, "policy.directive.models"),
    ("directive.parties", "directive", lambda directive: directive.parties, "policy.directive.parties"),
    ("directive.start", "directive", lambda directive: directive.start, "policy.directive.from"),
    ("directive.end", "directive", lambda directive: directive.end, "policy.directive.to"),
    ("directive.source", "directive", lambda directive: directive.source, "policy.directive.source"),
    ("objective.name", "objective", lambda demand: demand.objective, "spec.sovereignty.seal"),
    ("objective.level", "objective", lambda demand: demand.level, "spec.sovereignty.seal"),
    ("score", "score", _itself, "spec.sovereignty.sovereigntyScore"),
    ("tee", "tee", _itself, "spec.sovereignty.tee"),
    ("class", "class", _itself, "dataSet.classes"),
    ("denied.country", "denied", lambda denied: denied.country, "spec.sovereignty.exposure.deny"),
    ("denied.accept", "denied", lambda denied: denied.accept, "spec.sovereignty.exposure.acceptImmunity"),
    ("scheme", "scheme", _itself, "spec.sovereignty.certifications"),
    ("regime", "regime", _itself, "lists"),
    ("location", LOCATION, _itself, "locations"),
    ("site.name", SITE, lambda site: site.name, "site"),
    ("site.country", SITE, lambda site: site.country, "backend.location.country"),
    ("site.subdivision", SITE, lambda site: site.subdivision, "backend.location.subdivision"),
    ("site.region", SITE, lambda site: site.region, "backend.location.region"),
    ("site.service", SITE, lambda site: site.service, "backend.service"),
    ("site.places", SITE, lambda site: site.places, "backend"),
    ("site.region_pinned", SITE, lambda site: site.region_pinned, "backend.location.regionPinnedByContract"),
    ("site.admin_from", SITE, lambda site: site.admin_from, "backend.adminFrom"),
    ("site.operator", SITE, lambda site: site.operator, "backend.operator"),
    ("site.legal_country", SITE, lambda site: site.legal_country, "operator.legalCountry"),
    ("site.parent_hq", SITE, lambda site: site.parent_hq, "operator.ultimateParentHq"),
    ("site.frameworks", SITE, lambda site: site.frameworks, "operator.transferFrameworks"),
    ("site.reach", SITE, lambda site: site.reach, "operator.exposure"),
    ("site.listed", SITE, lambda site: site.listed, "operator.listed"),
    ("site.listed_percent", SITE, lambda site: site.listed_percent, "operator.listedOwnershipPercent"),
    ("site.stated_listed", SITE, lambda site: site.stated_listed, "operator.listed"),
    (
        "site.stated_listed_percent",
        SITE,
        lambda site: site.stated_listed_percent,
        "operator.listedOwnershipPercent",
    ),
    ("site.listed_by", SITE, lambda site: site.listed_by, "lists"),
    ("site.bound_by", SITE, lambda site: site.bound_by, "operator.sanctionsRegimes"),
    ("site.seats", SITE, lambda site: site.seats, "operator.legalCountry"),
    ("site.barred", SITE, lambda site: site.barred, "operator.blockingLaws"),
    ("site.affiliates_percent", SITE, lambda site: site.affiliates_percent, "operator.owners.list"),
    ("site.us_person", SITE, lambda site: site.us_person, "operator.usPerson"),
    ("site.covered_person", SITE, lambda site: site.covered_person, "operator.coveredPerson"),
    ("site.supp8", SITE, lambda site: site.supp8, "operator.earSupplement8"),
    ("site.accelerator", SITE, lambda site: site.accelerator, "backend.pools.accelerator"),
    ("site.vendor_hq", SITE, lambda site: site.vendor_hq, "accelerator.vendorHq"),
    ("site.tpp", SITE, lambda site: site.tpp, "accelerator.tpp"),
    ("site.ear_class", SITE, lambda site: site.ear_class, "accelerator.earClass"),
    ("site.is_informed", SITE, lambda site: site.is_informed, "accelerator.isInformed"),
    ("site.us_subject", SITE, lambda site: site.us_subject, "accelerator.usSubject"),
    ("site.accelerator_mark", SITE, lambda site: site.accelerator_mark, "accelerator.mark"),
    ("site.in_service_since", SITE, lambda site: site.in_service_since, "backend.pools.inServiceSince"),
    ("site.state_funded", SITE, lambda site: site.state_funded, "backend.chinaStateFunded"),
    ("site.seal", SITE, lambda site: site.seal, "backend.seal"),
    ("site.tee", SITE, lambda site: site.attested.tee if site.attested else None, "backend.attestation.tee"),
    ("site.attested", SITE, lambda site: site.attested, "backend.attestation"),
    (
        "site.attests",
        SITE,
        lambda site: site.attested.covers if site.attested else frozenset(),
        "backend.attestation.covers",
    ),
    ("site.owners_coverage", SITE, lambda site: site.owners_coverage, "operator.owners.coverage"),
    ("site.certs", SITE, lambda site: site.certs, "backend.certifications"),
    ("site.evidence", SITE, lambda site: site.evidence, "backend.evidence"),
    ("site.accepts_countries", SITE, lambda site: site.accepts_countries, "backend.accepts.tenantCountries"),
    ("site.accepts_deny_classes", SITE, lambda site: site.accepts_deny_classes, "backend.accepts.denyClasses"),
    ("site.accepts_types", SITE, lambda site: site.accepts_types, "backend.accepts.types"),
    ("site.facts_valid_to", SITE, lambda site: site.facts_valid_to, "backend.facts.validTo"),
    ("site.log_store_country", SITE, lambda site: site.log_store_country, "backend.logStore.country"),
    ("site.log_retention_days", SITE, lambda site: site.log_retention_days, "backend.logRetentionDays"),
    ("site.backend_stamp", SITE, lambda site: site.backend_stamp, "backend.facts"),
    ("site.operator_stamp", SITE, lambda site: site.operator_stamp, "operator.facts"),
    ("site.claims", SITE, lambda site: site.claims, "claims"),
    ("site.claim_faults", SITE, lambda site: claims.lasting(site.claims), "claims"),
    ("site.claims_valid_to", SITE, lambda site: _until(site, claims.Fault.EXPIRED), "claims.validTo"),
    (
        "site.claims_pending_to",
        SITE,
        lambda site: claims.last_day(site.claims, claims.Fault.NOT_YET_VALID),
        "claims.validFrom",
    ),
    ("site.claims_trusted_to", SITE, lambda site: _until(site, claims.Fault.UNTRUSTED_ISSUER), "claims.issuer"),
    ("site.claims_unrevoked_to", SITE, lambda site: _until(site, claims.Fault.REVOKED), "claims.revoked"),
    ("site.blames", SITE, lambda site: site.blames, "operator.status.blames"),
    ("site.blamed_on", SITE, lambda site: site.blamed_on, "operator.status.blames"),
    ("site.contradicted", SITE, lambda site: ",".join(claims.contradicted(site.claims)) or None, "claims"),
    ("job.control_plane_assurance", JOB, lambda job: job.control_plane_stamp.assurance, "controlPlane.facts.assurance"),
    ("assurance", "assurance", _itself, "spec.sovereignty.minAssurance"),
    ("site.backend_assurance", SITE, lambda site: site.backend_stamp.assurance, "backend.facts.assurance"),
    ("site.operator_assurance", SITE, lambda site: site.operator_stamp.assurance, "operator.facts.assurance"),
    ("site.assurance", SITE, lambda site: site.assurance.word, "backend.facts.assurance"),
)

OPERANDS: Mapping[str, Operand] = {row[0]: Operand(*row) for row in _ROWS}
"""Every operand by the name that rule files use."""

Domain = Callable[[attributes.JobAttributes, dated.DayFacts], Iterable[Any]]


def _denied(job: attributes.JobAttributes, day: dated.DayFacts) -> Iterable[DeniedCountry]:
    accepts: dict[str, frozenset[str]] = {}
    for denied in job.constraints.exposures:
        for code in day.countries((denied.name,))[0]:
            accepts[code] = accepts.get(code, denied.accept) & denied.accept
    return tuple(DeniedCountry(code, accept) for code, accept in sorted(accepts.items()))


def _classes(job: attributes.JobAttributes, _day: dated.DayFacts) -> Iterable[str]:
    return sorted({name for data in job.data for name in data.classes})


OBJECTIVES = tuple(f"SOV-{number}" for number in range(1, 9))
"""The objectives of the Commission's Cloud Sovereignty Framework."""


def _objectives(job: attributes.JobAttributes, _day: dated.DayFacts) -> Iterable[SealDemand]:
    levels = dict(job.constraints.seal)
    asked = OBJECTIVES if job.constraints.score is not None else tuple(levels)
    return tuple(SealDemand(name, levels.get(name)) for name in sorted({*asked, *levels}))


def _score(job: attributes.JobAttributes, _day: dated.DayFacts) -> Iterable[float]:
    return () if job.constraints.score is None else (job.constraints.score,)


def _exports(job: attributes.JobAttributes, day: dated.DayFacts) -> Iterable[attributes.ExportItem]:
    """Return the items with the destinations of their licences as codes; a name that nobody knows licenses nothing."""
    return tuple(
        dataclasses.replace(
            item,
            licences=tuple(
                dataclasses.replace(each, destinations=day.countries(each.destinations)[0]) for each in item.licences
            ),
        )
        for item in job.exports
    )


def _assurance(job: attributes.JobAttributes, _day: dated.DayFacts) -> Iterable[facts.Assurance]:
    return () if job.constraints.min_assurance is None else (job.constraints.min_assurance,)


DOMAINS: Mapping[str, Domain] = {
    "data": lambda job, _day: job.data,
    "class": _classes,
    "denied": _denied,
    "scheme": lambda job, _day: job.constraints.certifications,
    "export": _exports,
    "directive": lambda job, _day: job.directives,
    "objective": _objectives,
    "score": _score,
    "tee": lambda job, _day: job.constraints.tee,
    "assurance": _assurance,
    "regime": lambda _job, _day: listings.REGIMES,
}
"""What ``for_each`` may run over, by the scope it binds; ``location`` is the one that depends on the site."""

DOMAIN_READS: Mapping[str, Callable[[attributes.JobAttributes], Hashable]] = {
    "data": lambda job: job.data,
    "class": lambda job: job.data,
    "denied": lambda job: job.constraints.exposures,
    "scheme": lambda job: job.constraints.certifications,
    "export": lambda job: job.exports,
    "directive": lambda job: job.directives,
    "objective": lambda job: (job.constraints.seal, job.constraints.score is None),
    "score": lambda job: job.constraints.score,
    "tee": lambda job: job.constraints.tee,
    "assurance": lambda job: job.constraints.min_assurance,
    "regime": lambda _job: None,
}
"""All that each domain reads of the job: jobs that agree in it have the same instances on the same day."""


def unknown_names(job: attributes.JobAttributes, day: dated.DayFacts) -> tuple[tuple[str, str], ...]:
    """Return (document path, name) of each country or set that the job's constraints name and nobody knows.

    A misspelt country in a list that denies would protect nobody, without a word: such a job is refused instead.
    The lists of countries are judged by placement, which refuses such a name itself (``countries.unknown-set``).
    """
    names = {denied.name for denied in job.constraints.exposures}
    return tuple((constraints.EXPOSURE, name) for name in sorted(names) if name not in day.names)
