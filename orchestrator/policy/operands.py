"""The closed lists of what rules may name: operands (attributes to read) and domains (what ``for_each`` runs over).

An operand has a scope: what it is read from. ``site`` and ``location`` are the scopes that the column reader turns
into columns; all others are the same for every site, so they are read once a job.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


def _itself(value: Any) -> Any:
    return value


def _tenant(read: Callable[[attributes.TenantAttributes], Any]) -> Callable[[attributes.JobAttributes], Any]:
    return lambda job: read(job.tenant) if job.tenant is not None else None


_ROWS: tuple[tuple[str, str, Callable[[Any], Any], str], ...] = (
    ("job.workload", JOB, lambda job: job.workload, "spec.type"),
    ("job.data_stated", JOB, lambda job: job.data_stated, "spec.data"),
    ("job.places", JOB, lambda job: job.places, "controlPlane"),
    ("tenant.name", JOB, _tenant(lambda tenant: tenant.name), "tenant.metadata.name"),
    ("tenant.parent_hq", JOB, _tenant(lambda tenant: tenant.parent_hq), "tenant.hq"),
    ("tenant.sector", JOB, _tenant(lambda tenant: tenant.sector), "tenant.sector"),
    ("tenant.us_person", JOB, _tenant(lambda tenant: tenant.us_person), "tenant.usPerson"),
    ("data.name", "data", lambda data: data.name, "dataSet.metadata.name"),
    ("data.classes", "data", lambda data: data.classes, "dataSet.classes"),
    ("data.subjects", "data", lambda data: data.subjects, "dataSet.subjects"),
    ("data.count", "data", lambda data: data.count, "dataSet.counts.persons"),
    ("data.sensitive_count", "data", lambda data: data.sensitive_count, "dataSet.counts.sensitive"),
    ("data.safeguards", "data", lambda data: data.safeguards, "dataSet.safeguards"),
    ("data.controller_country", "data", lambda data: data.controller_country, "dataSet.controller.country"),
    ("data.controller_operator", "data", lambda data: data.controller_operator, "dataSet.controller.operator"),
    ("class", "class", _itself, "dataSet.classes"),
    ("denied.country", "denied", lambda denied: denied.country, "spec.sovereignty.exposure.deny"),
    ("denied.accept", "denied", lambda denied: denied.accept, "spec.sovereignty.exposure.acceptImmunity"),
    ("scheme", "scheme", _itself, "spec.sovereignty.certifications"),
    ("location", LOCATION, _itself, "locations"),
    ("site.name", SITE, lambda site: site.name, "site"),
    ("site.country", SITE, lambda site: site.country, "backend.location.country"),
    ("site.subdivision", SITE, lambda site: site.subdivision, "backend.location.subdivision"),
    ("site.region", SITE, lambda site: site.region, "backend.location.region"),
    ("site.service", SITE, lambda site: site.service, "backend.service"),
    ("site.places", SITE, lambda site: site.places, "backend"),
    ("site.operator", SITE, lambda site: site.operator, "backend.operator"),
    ("site.legal_country", SITE, lambda site: site.legal_country, "operator.legalCountry"),
    ("site.parent_hq", SITE, lambda site: site.parent_hq, "operator.ultimateParentHq"),
    ("site.frameworks", SITE, lambda site: site.frameworks, "operator.transferFrameworks"),
    ("site.reach", SITE, lambda site: site.reach, "operator.exposure"),
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


DOMAINS: Mapping[str, Domain] = {
    "data": lambda job, _day: job.data,
    "class": _classes,
    "denied": _denied,
    "scheme": lambda job, _day: job.constraints.certifications,
}
"""What ``for_each`` may run over, by the scope it binds; ``location`` is the one that depends on the site."""

DOMAIN_READS: Mapping[str, Callable[[attributes.JobAttributes], Hashable]] = {
    "data": lambda job: job.data,
    "class": lambda job: job.data,
    "denied": lambda job: job.constraints.exposures,
    "scheme": lambda job: job.constraints.certifications,
}
"""All that each domain reads of the job: jobs that agree in it have the same instances on the same day."""


def unknown_names(job: attributes.JobAttributes, day: dated.DayFacts) -> tuple[tuple[str, str], ...]:
    """Return (document path, name) of each country or set that the job's constraints name and nobody knows.

    A misspelt country in a list that denies would protect nobody, without a word: such a job is refused instead.
    """
    asked = job.constraints
    lists = (
        (constraints.EXPOSURE, [denied.name for denied in asked.exposures]),
        (constraints.COUNTRIES, [*asked.countries_deny, *(name for names in asked.countries_allow for name in names)]),
    )
    found = {(path, name) for path, names in lists for name in names if name not in day.names}
    return tuple(sorted(found))
