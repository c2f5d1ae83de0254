"""Domain values of places and people back to the documents a user reads: the shortest that mean the same."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from orchestrator.domain import facts, listings, sites, tenants
from orchestrator.wire import fields, quantities
from orchestrator.wire.convert import exports, places, sovereignties


def operator(value: sites.Operator) -> dict[str, Any]:
    """Return the document of an operator."""
    owners = value.owners
    return _document(
        "Operator",
        value.name,
        legalCountry=value.legal_country,
        ultimateParentHq=value.ultimate_parent_hq,
        owners=_present(
            coverage=owners.coverage,
            list=[_present(name=own.name, country=own.country, percent=own.percent) for own in owners.list],
        ),
        transferFrameworks=list(value.transfer_frameworks),
        exposureExtra=list(value.exposure_extra),
        lei=value.lei,
        usPerson=value.us_person,
        coveredPerson=value.covered_person,
        listed=value.listed,
        listedOwnershipPercent=value.listed_ownership_percent,
        earSupplement8=value.ear_supplement8,
        sanctionsRegimes=list(value.sanctions_regimes or ()),
        blockingLaws=_blocking(value.blocking_laws),
        facts=_stamp(value.facts),
    )


def backend(value: sites.Backend) -> dict[str, Any]:
    """Return the document of a backend."""
    carbon, claim = value.carbon, value.attestation
    return _document(
        "Backend",
        value.name,
        adapter=value.adapter,
        settings=json.loads(value.settings),
        operator=value.operator,
        service=value.service,
        location=_location(value.location),
        adminFrom=list(value.admin_from),
        logStore=_location(value.log_store),
        logRetentionDays=value.log_retention_days,
        certifications=_certifications(value.certifications),
        seal=dict(value.seal),
        evidence=_papers(value.evidence),
        accepts=_accepts(value.accepts),
        pools=[_pool(pool) for pool in value.pools],
        carbon=carbon and _present(gramsPerKwh=carbon.grams_per_kwh, source=carbon.source),
        chinaStateFunded=value.china_state_funded,
        attestation=claim and _present(token=claim.token, verifier=claim.verifier),
        facts=_stamp(value.facts),
    )


def data_set(value: tenants.DataSet) -> dict[str, Any]:
    """Return the document of a data set; its tenant is not part of it."""
    counts, controller = value.counts, value.controller
    return _document(
        "DataSet",
        value.name,
        controller=_present(operator=controller.operator, country=controller.country),
        classes=list(value.classes),
        subjects=list(value.subjects),
        counts=_present(
            persons=counts.persons or None,
            sensitive=counts.sensitive or None,
            window=None if counts.window is None else _window(counts.window),
        ),
        location=_location(value.location),
        safeguards=_papers(value.safeguards),
        exportControl=exports.document(value.export_control),
        derivedFrom=list(value.derived_from),
        owner=value.owner,
        ciio=value.ciio,
        primaryDb=value.primary_db,
        sdfLocalised=value.sdf_localised,
        facts=_stamp(value.facts),
    )


def tenant(value: tenants.Tenant) -> dict[str, Any]:
    """Return the document of a tenant."""
    default, may = value.default_data, value.may_declare_no_data
    document = _document(
        "Tenant",
        value.name,
        hq=value.hq,
        sector=value.sector,
        usPerson=value.us_person,
        usOnlyUsers=value.us_only_users,
        sanctionsRegimes=list(value.sanctions_regimes or ()),
        blockingLaws=_blocking(value.blocking_laws),
        floor=sovereignties.document(value.floor),
        tiers={name: sovereignties.document(tier) for name, tier in value.tiers},
    )
    # An empty list is not nothing here: it says that nobody may, or that the default is no data at all.
    if default is not None:
        document["spec"]["defaultData"] = _present(classes=list(default.classes), subjects=list(default.subjects))
    if may is not None:
        document["spec"]["mayDeclareNoData"] = list(may)
    return document


def queue(value: tenants.Queue) -> dict[str, Any]:
    """Return the document of a queue."""
    weight = None if value.weight == 1 else value.weight
    return _document("Queue", value.name, tenant=value.tenant, weight=weight, priorities=dict(value.priorities))


def control_plane(value: tenants.ControlPlane) -> dict[str, Any]:
    """Return the document of the control plane."""
    return _document(
        "ControlPlane",
        value.name,
        operator=value.operator,
        location=_location(value.location),
        adminFrom=list(value.admin_from),
        logStore=_location(value.log_store),
        backupStore=_location(value.backup_store),
        sanctionsRegimes=list(value.sanctions_regimes or ()),
        blockingLaws=_blocking(value.blocking_laws),
        facts=_stamp(value.facts),
    )


def _blocking(values: tuple[listings.BlockingLaw, ...]) -> list[dict[str, Any]]:
    return [_present(law=value.law, forbids=value.forbids) for value in values]


def _document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": fields.API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": _present(**spec),
    }


def _present(**members: Any) -> dict[str, Any]:
    """Return what is said; None, empty lists and empty mappings say nothing."""
    return {key: value for key, value in members.items() if value is not None and value != [] and value != {}}


def _date(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()


def _stamp(value: facts.FactStamp) -> dict[str, Any]:
    return _present(
        source=value.source,
        asOf=_date(value.as_of),
        validFrom=_date(value.valid_from),
        validTo=_date(value.valid_to),
        assurance=None if value.assurance is facts.Assurance.DECLARED else value.assurance.word,
    )


def _location(value: sites.Location | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return _present(
        country=value.country,
        subdivision=value.subdivision,
        region=value.region,
        regionPinnedByContract=value.region_pinned_by_contract,
        uri=value.uri,
    )


def _certifications(values: tuple[sites.Certification, ...]) -> list[dict[str, Any]]:
    return [
        _present(
            scheme=value.scheme,
            service=value.service,
            regions=list(value.regions),
            validFrom=_date(value.valid_from),
            validTo=_date(value.valid_to),
            evidence=value.evidence,
            digest=value.digest,
        )
        for value in values
    ]


def _papers(values: tuple[sites.Evidence, ...]) -> list[dict[str, Any]]:
    return [
        _present(
            type=value.type,
            ref=value.ref,
            validFrom=_date(value.valid_from),
            validTo=_date(value.valid_to),
            digest=value.digest,
        )
        for value in values
    ]


def _accepts(value: sites.Accepts) -> dict[str, Any]:
    found = _present(denyClasses=list(value.deny_classes))
    # An empty list here means: none is accepted.
    if value.tenant_countries is not None:
        found["tenantCountries"] = list(value.tenant_countries)
    if value.types is not None:
        found["types"] = [word.value for word in value.types]
    return found


def _pool(value: sites.Pool) -> dict[str, Any]:
    price, memory = value.price_per_hour, value.memory_bytes
    found = _present(
        name=value.name,
        accelerator=value.accelerator,
        count=value.count,
        cpus=None if value.cpu_milli is None else quantities.format_cpus(value.cpu_milli),
        memory=None if memory is None else quantities.format_memory(memory),
        pricePerHour=None if price is None else quantities.format_money(price),
        interconnect=value.interconnect,
        inServiceSince=_date(value.in_service_since),
        pue=value.pue,
        operator=value.operator,
    )
    # A pool overrides by saying something, even something empty.
    overrides: dict[str, Any] = {
        "location": _location(value.location),
        "adminFrom": None if value.admin_from is None else list(value.admin_from),
        "logStore": _location(value.log_store),
        "certifications": None if value.certifications is None else _certifications(value.certifications),
        "accepts": None if value.accepts is None else _accepts(value.accepts),
        "facts": None if value.facts is None else _stamp(value.facts),
    }
    return found | {key: member for key, member in overrides.items() if member is not None}


def _window(value: dt.timedelta) -> str:
    months, rest = divmod(value, places.MONTH)
    return f"{value.days}d" if rest else f"{months}m"
