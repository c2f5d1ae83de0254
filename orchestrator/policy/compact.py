"""Jobs and sites in the compact form of policy cases: attribute names of the policy table, nothing implied.

What a compact case does not state is not part of it. Unknown keys and bad values are errors with their path.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain import jobs
from orchestrator.policy import accelerators, attributes, constraints, conversions, shapes

_OPERATOR = "operator"
"""Name of the one operator of a compact case."""

_REGIME_KEYS = {"bound_by", "barred"}
"""Sanctions regimes: those that bind (not stated: all), and those that a blocking law forbids to obey."""
_JOB_KEYS = {
    "data", "workload", "tenant", "deny_exposure", "accept_immunity", "require_certs", "min_seal", "min_score",
    "require_tee", "ai_act", "model", "train_flop", "export_control", "directives", "controller",
}  # fmt: skip
_DATA_KEYS = {
    "classes", "subjects", "count", "sensitive_count", "safeguards", "controller", "self_hosted", "primary_db",
    "ciio", "sdf_localised", "export_control",
}  # fmt: skip
_TENANT_KEYS = {"parent_hq", "us_person", "sector", "us_only_users", *_REGIME_KEYS}
_BACKEND_KEYS = {
    "country", "subdivision", "admin_from", "stores", "operator", "certs", "accepts", "facts_valid_to", "accelerator",
    "in_service_since", "seal", "evidence", "log_retention_days", "cn_state_funded", "attestation", "region_pinned",
}  # fmt: skip
_OPERATOR_KEYS = {
    "legal_country", "parent_hq", "owners", "frameworks", "exposure", "supp8", "listed", "listed_ownership_pct",
    "us_person", "covered_person", "listed_by", *_REGIME_KEYS,
}  # fmt: skip
_ACCELERATOR_KEYS = {"vendor_hq", "vendor", "model", "tpp", "pd", "datacenter", "is_informed", "us_subject"}
_ATTESTATION_KEYS = {"tee", "verified", "age_h"}
_ITEM_KEYS = {"regime", "item", "licences"}
_LICENCE_KEYS = {"ref", "destinations", "end_users", "valid_to"}
_DIRECTIVE_KEYS = {"id", "models", "parties", "from", "to", "source"}

_WORKLOADS = {item.value for item in jobs.JobType}


def read_job(raw: Any, path: shapes.Path) -> attributes.JobAttributes:
    """Read a compact job. Raises ``shapes.BadShapeError``."""
    row = _stated(raw, path, _JOB_KEYS)
    deny = _words(row, "deny_exposure", path)
    accept = _words(row, "accept_immunity", path)
    own = jobs.Sovereignty(
        exposure=jobs.Exposure(tuple(sorted(deny)), tuple(sorted(accept))),
        certifications=tuple(sorted(_words(row, "require_certs", path))),
        seal=_seal(row.get("min_seal", {}), (*path, "min_seal")),
        tee=tuple(_words(row, "require_tee", path)),
    )
    merged = dataclasses.replace(constraints.merge((own,)), score=_number(row, "min_score", path))
    exports = list(_exports("model", row, path))
    data = []
    for index, item in enumerate(shapes.items(row.get("data", []), (*path, "data"))):
        here = (*path, "data", index)
        data.append(_data(item, here))
        exports += _exports("data", item, here)
    listed = enumerate(shapes.items(row.get("directives", []), (*path, "directives")))
    directives = tuple(_directive(item, (*path, "directives", index)) for index, item in listed)
    tenant = _stated(row.get("tenant", {}), (*path, "tenant"), _TENANT_KEYS)
    return attributes.JobAttributes(
        bound_by=_regimes(tenant, "bound_by", (*path, "tenant"), attributes.EVERY_REGIME),
        barred=_regimes(tenant, "barred", (*path, "tenant")),
        seats=conversions.seats(
            _word(tenant, "parent_hq", (*path, "tenant")), us_person=_flag(tenant, "us_person", (*path, "tenant"))
        ),
        workload=_word(row, "workload", path, _WORKLOADS),
        tenant=_tenant(row["tenant"], (*path, "tenant")) if "tenant" in row else None,
        data=tuple(data),
        constraints=merged,
        asks=conversions.asks(merged, directives),
        model=_word(row, "model", path),
        train_flop=_number(row, "train_flop", path),
        ai_act=_word(row, "ai_act", path),
        exports=tuple(exports),
        directives=directives,
    )


def _exports(owner: str, row: Mapping[str, Any], path: shapes.Path) -> Iterator[attributes.ExportItem]:
    territory = _word(row, "controller", path)
    for index, raw in enumerate(shapes.items(row.get("export_control", []), (*path, "export_control"))):
        here = (*path, "export_control", index)
        item = shapes.mapping(raw, here, _ITEM_KEYS)
        listed = enumerate(shapes.items(item.get("licences", []), (*here, "licences")))
        licences = tuple(_licence(each, (*here, "licences", number)) for number, each in listed)
        regime, number = shapes.text(item, "regime", here), shapes.text(item, "item", here)
        yield attributes.ExportItem(owner, regime, number, territory, licences)


def _licence(raw: Any, path: shapes.Path) -> attributes.Licence:
    row = shapes.mapping(raw, path, _LICENCE_KEYS)
    return attributes.Licence(
        destinations=frozenset(_words(row, "destinations", path)),
        end_users=frozenset(_words(row, "end_users", path)),
        valid_to=shapes.day_or_none(row.get("valid_to"), (*path, "valid_to")),
        ref=_word(row, "ref", path),
    )


def _directive(raw: Any, path: shapes.Path) -> attributes.Directive:
    row = shapes.mapping(raw, path, _DIRECTIVE_KEYS)
    return attributes.Directive(
        id=shapes.text(row, "id", path),
        models=frozenset(_words(row, "models", path)),
        parties=frozenset(_words(row, "parties", path)),
        start=shapes.day_or_none(row.get("from"), (*path, "from")),
        end=shapes.day_or_none(row.get("to"), (*path, "to")),
        source=_word(row, "source", path),
    )


def _seal(raw: Any, path: shapes.Path) -> tuple[tuple[str, int], ...]:
    row = shapes.mapping(raw, path, {*(str(number) for number in range(1, 9)), *range(1, 9)})
    return tuple(sorted((f"SOV-{key}", _level(row, key, path)) for key in row if row[key] is not None))


def _level(row: Mapping[Any, Any], key: Any, path: shapes.Path) -> int:
    level = row[key]
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 4:
        raise shapes.BadShapeError((*path, key), f"expected a level from 0 to 4, not {level!r}")
    return level


def _data(raw: Any, path: shapes.Path) -> attributes.DataAttributes:
    row = _stated(raw, path, _DATA_KEYS)
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
        ciio=_flag(row, "ciio", path),
        primary_db=_word(row, "primary_db", path),
        sdf_localised=_flag(row, "sdf_localised", path),
    )


def _tenant(raw: Any, path: shapes.Path) -> attributes.TenantAttributes:
    row = _stated(raw, path, _TENANT_KEYS)
    return attributes.TenantAttributes(
        name="tenant",
        parent_hq=_word(row, "parent_hq", path),
        sector=_word(row, "sector", path),
        us_person=_flag(row, "us_person", path),
        us_only_users=_flag(row, "us_only_users", path),
    )


def read_site(raw: Any, path: shapes.Path) -> attributes.SiteAttributes:
    """Read a compact backend. Raises ``shapes.BadShapeError``."""
    row = _stated(raw, path, _BACKEND_KEYS)
    operator = _stated(row.get("operator", {}), (*path, "operator"), _OPERATOR_KEYS)
    accepts = _stated(row.get("accepts", {}), (*path, "accepts"), {"tenant_countries", "deny_classes", "types"})
    country = _word(row, "country", path)
    admin_from = _words(row, "admin_from", path)
    places = [attributes.Place(country, "backend.location.country")] if country else []
    places += [attributes.Place(code, "backend.adminFrom") for code in admin_from]
    places += [attributes.Place(code, "backend.stores") for code in _words(row, "stores", path)]
    here = (*path, "accepts")
    types = _words(accepts, "types", here)
    listed = _flag(operator, "listed", (*path, "operator"))
    share = _number(operator, "listed_ownership_pct", (*path, "operator"))
    site = attributes.SiteAttributes(
        name="backend",
        country=country,
        subdivision=_word(row, "subdivision", path),
        region_pinned=_flag(row, "region_pinned", path),
        places=tuple(places),
        admin_from=tuple(admin_from),
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
        listed=listed,
        listed_percent=share,
        listed_by=_regimes(operator, "listed_by", (*path, "operator")),
        bound_by=_regimes(operator, "bound_by", (*path, "operator"), attributes.EVERY_REGIME),
        barred=_regimes(operator, "barred", (*path, "operator")),
        seats=conversions.seats(
            country,
            *(_word(operator, key, path) for key in ("legal_country", "parent_hq")),
            *admin_from,
            us_person=_flag(operator, "us_person", (*path, "operator")),
        ),
        stated_listed=listed,
        stated_listed_percent=share,
        us_person=_flag(operator, "us_person", (*path, "operator")),
        covered_person=_flag(operator, "covered_person", (*path, "operator")),
        supp8=_word(operator, "supp8", (*path, "operator")),
        in_service_since=shapes.day_or_none(row.get("in_service_since"), (*path, "in_service_since")),
        state_funded=_flag(row, "cn_state_funded", path),
        seal=_seal(row.get("seal", {}), (*path, "seal")),
        attested=_attested(row["attestation"], (*path, "attestation")) if "attestation" in row else None,
    )
    return _with_accelerator(site, row["accelerator"], (*path, "accelerator")) if "accelerator" in row else site


def _regimes(
    row: Mapping[str, Any], key: str, path: shapes.Path, unstated: frozenset[str] = frozenset()
) -> frozenset[str]:
    found = frozenset(_words(row, key, path))
    if unknown := sorted(found - attributes.EVERY_REGIME):
        raise shapes.BadShapeError(
            (*path, key), f"{unknown[0]!r} is not one of {shapes.names(attributes.EVERY_REGIME)}"
        )
    return found if key in row else unstated


def _with_accelerator(site: attributes.SiteAttributes, raw: Any, path: shapes.Path) -> attributes.SiteAttributes:
    row = _stated(raw, path, _ACCELERATOR_KEYS)
    tpp = _number(row, "tpp", path)
    in_datacenters = _flag(row, "datacenter", path) is not False
    return dataclasses.replace(
        site,
        accelerator=_word(row, "model", path) or "accelerator",
        vendor_hq=_word(row, "vendor_hq", path),
        tpp=tpp,
        ear_class=accelerators.ear_class(tpp, _number(row, "pd", path), datacenter=in_datacenters),
        is_informed=_flag(row, "is_informed", path) is True,
        us_subject=_flag(row, "us_subject", path) is not False,
    )


def _attested(raw: Any, path: shapes.Path) -> attributes.Attested | None:
    row = _stated(raw, path, _ATTESTATION_KEYS)
    tee = _word(row, "tee", path)
    if tee is None:
        return None
    return attributes.Attested(tee, _flag(row, "verified", path) is True, None, _number(row, "age_h", path))


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


_FLOAT = re.compile(r"\+?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
"""A number that is not negative as YAML 1.2 writes it; files keep the spelling of ``1e25`` as text."""


def _stated(raw: Any, path: shapes.Path, keys: set[str]) -> Mapping[str, Any]:
    """Return a mapping of known keys without those that are null: nobody stated them."""
    return {key: value for key, value in shapes.mapping(raw, path, keys).items() if value is not None}


def _number(row: Mapping[str, Any], key: str, path: shapes.Path) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise shapes.BadShapeError((*path, key), f"expected a number that is not negative, not {value!r}")
    return float(value)


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
