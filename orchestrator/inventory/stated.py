"""Which facts documents state, by path and kind, and how a value of theirs compares with one in a token. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.inventory import digests

Read = Callable[[Any], Any]
Facts = Mapping[str, tuple[str, Read]]
"""Document path below ``spec`` -> kind of fact, and how to read it."""

SITE_FACTS: Facts = {
    "location.country": ("location", lambda site: site.location.country),
    "location.subdivision": ("location", lambda site: site.location.subdivision),
    "location.region": ("location", lambda site: site.location.region),
    "location.regionPinnedByContract": ("location", lambda site: site.location.region_pinned_by_contract),
    "adminFrom": ("location", lambda site: site.admin_from),
    "logStore.country": ("location", lambda site: site.log_store.country),
    "operator": ("operator", lambda site: getattr(site, "operator_name", None) or getattr(site, "operator", None)),
    "service": ("operator", lambda site: site.service),
    "seal": ("seal", lambda site: dict(site.seal)),
    "logRetentionDays": ("operations", lambda site: site.log_retention_days),
    "chinaStateFunded": ("operations", lambda site: site.china_state_funded),
}
POOL_FACTS: Facts = {
    **SITE_FACTS,
    "accelerator": ("hardware", lambda site: site.accelerator),
    "inServiceSince": ("hardware", lambda site: site.in_service_since),
}
OPERATOR_FACTS: Facts = {
    "legalCountry": ("operator", lambda one: one.legal_country),
    "ultimateParentHq": ("operator", lambda one: one.ultimate_parent_hq),
    "owners.coverage": ("operator", lambda one: one.owners.coverage),
    "owners.list": ("operator", lambda one: one.owners.list),
    "transferFrameworks": ("operator", lambda one: one.transfer_frameworks),
    "exposureExtra": ("operator", lambda one: one.exposure_extra),
    "lei": ("operator", lambda one: one.lei),
    "usPerson": ("operator", lambda one: one.us_person),
    "coveredPerson": ("operator", lambda one: one.covered_person),
    "listed": ("operator", lambda one: one.listed),
    "listedOwnershipPercent": ("operator", lambda one: one.listed_ownership_percent),
    "earSupplement8": ("operator", lambda one: one.ear_supplement8),
}
CONTROL_PLANE_FACTS: Facts = {
    "location.country": ("location", lambda one: one.location.country),
    "location.subdivision": ("location", lambda one: one.location.subdivision),
    "location.region": ("location", lambda one: one.location.region),
    "adminFrom": ("location", lambda one: one.admin_from),
    "logStore.country": ("location", lambda one: one.log_store.country if one.log_store else None),
    "backupStore.country": ("location", lambda one: one.backup_store.country if one.backup_store else None),
    "operator": ("operator", lambda one: one.operator),
}


def plain(value: Any) -> Any:
    """Return a fact as JSON."""
    return value if isinstance(value, dict) else digests.plain(value)


def equal(known: Any, said: Any) -> bool:
    """Say whether two JSON values are the same; the order of a list of words does not count, true is not 1."""
    if isinstance(known, list) and isinstance(said, list):
        return sorted(map(repr, known)) == sorted(map(repr, said))
    return isinstance(known, bool) == isinstance(said, bool) and bool(known == said)
