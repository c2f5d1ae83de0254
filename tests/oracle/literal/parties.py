"""Rules about who and where: core, sanctions, exposure, accepts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from tests.oracle.literal import facts, tables
from tests.oracle.literal.facts import DENY, WAIVED, Case, Finding


def core_missing(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """core.missing:<fact>."""
    if backend.get("country") is None:
        yield DENY, "core.missing:backend.country"
    if facts.operator(backend).get("legal_country") is None:
        yield DENY, "core.missing:operator.legal_country"
    if facts.parent(backend) is None:
        yield DENY, "core.missing:operator.parent_hq"


def core_stale_facts(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """core.stale-facts."""
    last = backend.get("facts_valid_to")
    if last is not None and facts.day(last) < at:
        yield DENY, "core.stale-facts"


def sanctions_embargo(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """sanctions.embargo."""
    parties = {backend.get("country"), facts.parent(backend), facts.tenant(job).get("parent_hq")}
    if parties & tables.EMBARGOED or backend.get("subdivision") in tables.EMBARGOED_REGIONS:
        yield DENY, "sanctions.embargo"


def sanctions_listed_party(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """sanctions.listed-party."""
    operator = facts.operator(backend)
    if operator.get("listed") or (operator.get("listed_ownership_pct") or 0) >= 50:
        yield DENY, "sanctions.listed-party"


def exposure(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """exposure.<C>."""
    denied: set[str] = set()
    for name in job.get("deny_exposure") or ():
        denied |= tables.NAMED_SETS.get(name, frozenset({name}))
    operator = facts.operator(backend)
    owners = [owner for owner in operator.get("owners") or () if owner.get("pct") is None or owner["pct"] >= 25]
    reaching = {operator.get("legal_country"), operator.get("parent_hq")}
    reaching |= {owner.get("country") for owner in owners}
    reaching |= set(backend.get("admin_from") or ()) | set(operator.get("exposure") or ())
    found = denied & reaching
    if any(owner.get("country") is None for owner in owners):
        found = denied
    immunity = [scheme for scheme in job.get("accept_immunity") or () if facts.has_certificate(backend, scheme, at)]
    for country in sorted(found):
        if immunity:
            yield WAIVED, f"exposure.{country} by immunity"
        else:
            yield DENY, f"exposure.{country}"


def accepts_tenant_country(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """accepts.tenant-country."""
    taken = (backend.get("accepts") or {}).get("tenant_countries")
    if taken is None:
        return
    countries: set[str] = set()
    for name in taken:
        countries |= tables.NAMED_SETS.get(name, frozenset({name}))
    if facts.tenant(job).get("parent_hq") not in countries:
        yield DENY, "accepts.tenant-country"


def accepts_data_class(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """accepts.data-class:<c>."""
    refused = set((backend.get("accepts") or {}).get("deny_classes") or ())
    for data in facts.data_sets(job):
        for name in sorted(facts.classes(data) & refused):
            yield DENY, f"accepts.data-class:{name}"


def accepts_type(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """accepts.type."""
    types = (backend.get("accepts") or {}).get("types")
    if types is not None and job.get("workload") not in types:
        yield DENY, "accepts.type"


RULES = (
    core_missing,
    core_stale_facts,
    sanctions_embargo,
    sanctions_listed_party,
    exposure,
    accepts_tenant_country,
    accepts_data_class,
    accepts_type,
)
