"""Jobs and sites in the compact form of policy cases: attribute names of the policy table, nothing implied.

What a compact case does not state is not part of it. Unknown keys and bad values are errors with their path.
Attributes that only packs of a later day read are checked by name and kept out of the judgement; a constraint of
the job among them asks for a judge, as it does in the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain import jobs
from orchestrator.policy import attributes, constraints, shapes

_OPERATOR = "operator"
"""Name of the one operator of a compact case."""

_JOB_KEYS = {
    "data", "workload", "tenant", "deny_exposure", "accept_immunity", "require_certs", "min_seal", "min_score",
    "require_tee", "ai_act", "model", "train_flop", "export_control", "directives", "controller",
}  # fmt: skip
_DATA_KEYS = {
    "classes", "subjects", "count", "sensitive_count", "safeguards", "controller", "self_hosted", "primary_db",
    "ciio", "sdf_localised", "export_control",
}  # fmt: skip
_TENANT_KEYS = {"parent_hq", "us_person", "sector", "us_only_users"}
_BACKEND_KEYS = {
    "country", "subdivision", "admin_from", "stores", "operator", "certs", "accepts", "facts_valid_to", "accelerator",
    "in_service_since", "seal", "evidence", "log_retention_days", "cn_state_funded", "attestation", "region_pinned",
}  # fmt: skip
_OPERATOR_KEYS = {
    "legal_country", "parent_hq", "owners", "frameworks", "exposure", "supp8", "listed", "listed_ownership_pct",
    "us_person", "covered_person",
}  # fmt: skip
_ACCELERATOR_KEYS = {"vendor_hq", "vendor", "model", "tpp", "pd", "datacenter", "is_informed", "us_subject"}
_ATTESTATION_KEYS = {"tee", "verified", "age_h"}

_ASKS = {
    "min_seal": constraints.SEAL,
    "min_score": constraints.SCORE,
    "require_tee": constraints.TEE,
    "ai_act": "spec.model.aiAct",
    "model": "spec.model.id",
    "train_flop": "spec.model.trainFlop",
    "export_control": "spec.model.exportControl",
    "directives": "policy.directive",
}
"""Compact attributes of a job that need a judge, by the document path a rule's `needs` would name."""

_WORKLOADS = {item.value for item in jobs.JobType}


def read_job(raw: Any, path: shapes.Path) -> attributes.JobAttributes:
    """Read a compact job. Raises ``shapes.BadShapeError``."""
    row = shapes.mapping(raw, path, _JOB_KEYS)
    deny = _words(row, "deny_exposure", path)
    accept = _words(row, "accept_immunity", path)
    own = jobs.Sovereignty(
        exposure=jobs.Exposure(tuple(sorted(deny)), tuple(sorted(accept))),
        certifications=tuple(sorted(_words(row, "require_certs", path))),
    )
    merged = constraints.merge((own,))
    asks = {_ASKS[key] for key in row if key in _ASKS and row[key] not in (None, [], {}, "")}
    data = []
    for index, item in enumerate(shapes.items(row.get("data", []), (*path, "data"))):
        here = (*path, "data", index)
        data.append(_data(item, here))
        if item.get("export_control"):
            asks.add("dataSet.exportControl")
    return attributes.JobAttributes(
        workload=_word(row, "workload", path, _WORKLOADS),
        tenant=_tenant(row["tenant"], (*path, "tenant")) if "tenant" in row else None,
        data=tuple(data),
        constraints=merged,
        asks=tuple(sorted({*asks, *merged.asks()})),
    )


def _data(raw: Any, path: shapes.Path) -> attributes.DataAttributes:
    row = shapes.mapping(raw, path, _DATA_KEYS)
    self_hosted = _flag(row, "self_hosted", path)
    return attributes.DataAttributes(
        name="data",
        classes=frozenset(_words(row, "classes", path)),
        subjects=frozenset(_words(row, "subjects", path)),
        count=_whole(row, "count", path) or 0,
        sensitive_count=_whole(row, "sensitive_count", path) or 0,
        safeguards=tuple(attributes.Paper(kind) for kind in _words(row, "safeguards", path)),
        controller_country=_word(row, "controller", path),
        controller_operator=_OPERATOR if self_hosted else None,
    )


def _tenant(raw: Any, path: shapes.Path) -> attributes.TenantAttributes:
    row = shapes.mapping(raw, path, _TENANT_KEYS)
    return attributes.TenantAttributes(
        name="tenant",
        parent_hq=_word(row, "parent_hq", path),
        sector=_word(row, "sector", path),
        us_person=_flag(row, "us_person", path),
    )


def read_site(raw: Any, path: shapes.Path) -> attributes.SiteAttributes:
    """Read a compact backend. Raises ``shapes.BadShapeError``."""
    row = shapes.mapping(raw, path, _BACKEND_KEYS)
    operator = shapes.mapping(row.get("operator", {}), (*path, "operator"), _OPERATOR_KEYS)
    accepts = shapes.mapping(row.get("accepts", {}), (*path, "accepts"), {"tenant_countries", "deny_classes", "types"})
    shapes.mapping(row.get("accelerator", {}), (*path, "accelerator"), _ACCELERATOR_KEYS)
    shapes.mapping(row.get("attestation", {}), (*path, "attestation"), _ATTESTATION_KEYS)
    country = _word(row, "country", path)
    admin_from = _words(row, "admin_from", path)
    places = [attributes.Place(country, "backend.location.country")] if country else []
    places += [attributes.Place(code, "backend.adminFrom") for code in admin_from]
    places += [attributes.Place(code, "backend.stores") for code in _words(row, "stores", path)]
    here = (*path, "accepts")
    types = _words(accepts, "types", here)
    return attributes.SiteAttributes(
        name="backend",
        country=country,
        subdivision=_word(row, "subdivision", path),
        region_pinned=_flag(row, "region_pinned", path),
        places=tuple(places),
        operator=_OPERATOR,
        legal_country=_word(operator, "legal_country", path),
        parent_hq=_word(operator, "parent_hq", path),
        frameworks=frozenset(_words(operator, "frameworks", (*path, "operator"))),
        reach=_reach(operator, admin_from, (*path, "operator")),
        certs=_certs(row.get("certs", {}), (*path, "certs")),
        evidence=tuple(attributes.Paper(kind) for kind in _words(row, "evidence", path)),
        accepts_countries=_words(accepts, "tenant_countries", here) if "tenant_countries" in accepts else None,
        accepts_deny_classes=frozenset(_words(accepts, "deny_classes", here)),
        accepts_types=frozenset(types) if "types" in accepts else None,
        facts_valid_to=shapes.day_or_none(row.get("facts_valid_to"), (*path, "facts_valid_to")),
        log_retention_days=_whole(row, "log_retention_days", path),
    )


def _reach(operator: Mapping[str, Any], admin_from: tuple[str, ...], path: shapes.Path) -> tuple[attributes.Reach, ...]:
    reach = [attributes.Reach(code, "backend.adminFrom") for code in admin_from]
    for key, document in (("legal_country", "operator.legalCountry"), ("parent_hq", "operator.ultimateParentHq")):
        code = _word(operator, key, path)
        reach += [attributes.Reach(code, document)] if code else []
    for index, item in enumerate(shapes.items(operator.get("owners", []), (*path, "owners"))):
        here = (*path, "owners", index)
        owner = shapes.mapping(item, here, {"country", "pct", "name", "listed", "id"})
        percent = owner.get("pct")
        if isinstance(percent, bool) or not isinstance(percent, int | float):
            raise shapes.BadShapeError((*here, "pct"), "expected a number")
        reach.append(attributes.Reach(_word(owner, "country", here), "operator.owners.list", float(percent)))
    extra = _words(operator, "exposure", path)
    return (*reach, *(attributes.Reach(code, "operator.exposureExtra") for code in extra))


def _certs(raw: Any, path: shapes.Path) -> tuple[attributes.Paper, ...]:
    if not isinstance(raw, Mapping):
        raise shapes.BadShapeError(path, "expected a mapping of scheme to its last day, or null")
    return tuple(
        attributes.Paper(str(scheme), None, shapes.day_or_none(end, (*path, scheme))) for scheme, end in raw.items()
    )


def _words(row: Mapping[str, Any], key: str, path: shapes.Path) -> tuple[str, ...]:
    values = shapes.items(row.get(key, []), (*path, key))
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise shapes.BadShapeError((*path, key, index), f"expected text, not {value!r}")
    return tuple(values)


def _word(row: Mapping[str, Any], key: str, path: shapes.Path, among: set[str] | None = None) -> str | None:
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise shapes.BadShapeError((*path, key), f"expected text, not {value!r}")
    if among is not None and value not in among:
        raise shapes.BadShapeError((*path, key), f"{value!r} is not one of {shapes.names(tuple(among))}")
    return value


def _flag(row: Mapping[str, Any], key: str, path: shapes.Path) -> bool | None:
    value = row.get(key)
    if value is not None and not isinstance(value, bool):
        raise shapes.BadShapeError((*path, key), f"expected true or false, not {value!r}")
    return value


def _whole(row: Mapping[str, Any], key: str, path: shapes.Path) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise shapes.BadShapeError((*path, key), f"expected a whole number, not {value!r}")
    return value
