"""Documents about places and people, to domain values: control planes, operators, backends, data, tenants, queues.

A name's tenant comes from the caller (it is the token's), never from the document, but for a Queue, which says whose
it is.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence

from orchestrator.domain import facts, jobs, listings, sites, tenants
from orchestrator.wire.convert import exports, sovereignties
from orchestrator.wire.documents import backends, common, control_planes, data_sets, operators
from orchestrator.wire.documents import queues as queue_documents
from orchestrator.wire.documents import tenants as tenant_documents

MONTH = dt.timedelta(days=365) / 12
"""A month of a counting window: a twelfth of 365 days."""
_WINDOW_UNITS = {"d": dt.timedelta(days=1), "m": MONTH, "y": 12 * MONTH}


def stamp(written: common.Facts | None) -> facts.FactStamp:
    """Return the stamp; an empty one, declared, where nothing is written."""
    if written is None:
        return facts.FactStamp()
    return facts.FactStamp(
        source=written.source,
        as_of=written.as_of,
        valid_from=written.valid_from,
        valid_to=written.valid_to,
        assurance=sovereignties.assurance(written.assurance) or facts.Assurance.DECLARED,
    )


def location(written: common.Place | None) -> sites.Location:
    """Return the place; an empty one where nothing is written."""
    return optional_location(written) or sites.Location()


def optional_location(written: common.Place | None) -> sites.Location | None:
    """Return the place, or None where nothing is written."""
    if written is None:
        return None
    return sites.Location(
        country=written.country,
        subdivision=written.subdivision,
        region=written.region,
        region_pinned_by_contract=(written.region_pinned_by_contract if isinstance(written, common.Location) else None),
        uri=written.uri if isinstance(written, data_sets.DataLocation) else None,
    )


def certifications(written: list[common.Certification]) -> tuple[sites.Certification, ...]:
    """Return the certificates."""
    return tuple(
        sites.Certification(
            scheme=entry.scheme,
            service=entry.service,
            regions=tuple(entry.regions),
            valid_from=entry.valid_from,
            valid_to=entry.valid_to,
            evidence=entry.evidence,
            digest=entry.digest,
        )
        for entry in written
    )


def papers(written: Iterable[common.Evidence | common.Safeguard]) -> tuple[sites.Evidence, ...]:
    """Return licences, clearances or safeguards."""
    return tuple(
        sites.Evidence(
            type=entry.type,
            ref=entry.ref,
            valid_to=entry.valid_to,
            valid_from=entry.valid_from,
            digest=entry.digest,
        )
        for entry in written
    )


def accepts(written: common.Accepts) -> sites.Accepts:
    """Return the host's own terms."""
    countries, types = written.tenant_countries, written.types
    return sites.Accepts(
        tenant_countries=None if countries is None else tuple(countries),
        deny_classes=tuple(written.deny_classes),
        types=None if types is None else tuple(jobs.JobType(word) for word in types),
    )


def operator(document: operators.Operator) -> sites.Operator:
    """Return the operator."""
    spec = document.spec
    owners = spec.owners or operators.Owners()
    return sites.Operator(
        name=document.metadata.name,
        legal_country=spec.legal_country,
        ultimate_parent_hq=spec.ultimate_parent_hq,
        owners=sites.Owners(
            coverage=owners.coverage,
            list=tuple(sites.Owner(name=own.name, country=own.country, percent=own.percent) for own in owners.list),
        ),
        transfer_frameworks=tuple(spec.transfer_frameworks),
        exposure_extra=tuple(spec.exposure_extra),
        facts=stamp(spec.facts),
        lei=spec.lei,
        us_person=spec.us_person,
        covered_person=spec.covered_person,
        listed=spec.listed,
        listed_ownership_percent=spec.listed_ownership_percent,
        ear_supplement8=spec.ear_supplement8,
        sanctions_regimes=_regimes(spec.sanctions_regimes),
        blocking_laws=_blocking(spec.blocking_laws),
    )


def _regimes(written: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if written is None else tuple(written)


def _blocking(written: Sequence[common.BlockingLaw]) -> tuple[listings.BlockingLaw, ...]:
    return tuple(listings.BlockingLaw(law=each.law, forbids=each.forbids) for each in written)


def pool(written: backends.Pool) -> sites.Pool:
    """Return one pool; None means: as the backend."""
    admins, certified = written.admin_from, written.certifications
    return sites.Pool(
        name=written.name,
        accelerator=written.accelerator,
        count=written.count,
        price_per_hour=written.price_per_hour,
        interconnect=written.interconnect,
        in_service_since=written.in_service_since,
        pue=written.pue,
        operator=written.operator,
        location=optional_location(written.location),
        admin_from=None if admins is None else tuple(admins),
        log_store=optional_location(written.log_store),
        certifications=None if certified is None else certifications(certified),
        accepts=None if written.accepts is None else accepts(written.accepts),
        facts=None if written.facts is None else stamp(written.facts),
        cpu_milli=written.cpus,
        memory_bytes=written.memory,
    )


def backend(document: backends.Backend) -> sites.Backend:
    """Return the backend. Its settings are JSON text with sorted keys; sources of secrets are not resolved here."""
    spec = document.spec
    carbon, claim = spec.carbon, spec.attestation
    return sites.Backend(
        name=document.metadata.name,
        adapter=spec.adapter,
        settings=json.dumps(spec.settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        operator=spec.operator,
        service=spec.service,
        location=location(spec.location),
        admin_from=tuple(spec.admin_from),
        log_store=location(spec.log_store),
        log_retention_days=spec.log_retention_days,
        certifications=certifications(spec.certifications),
        evidence=papers(spec.evidence),
        accepts=accepts(spec.accepts or common.Accepts()),
        pools=tuple(pool(entry) for entry in spec.pools),
        carbon=None if carbon is None else sites.Carbon(grams_per_kwh=carbon.grams_per_kwh, source=carbon.source),
        facts=stamp(spec.facts),
        seal=tuple(sorted(spec.seal.items())),
        china_state_funded=spec.china_state_funded,
        attestation=None if claim is None else sites.AttestationClaim(token=claim.token, verifier=claim.verifier),
    )


def data_set(document: data_sets.DataSet, *, tenant: str) -> tenants.DataSet:
    """Return the data set of ``tenant``."""
    spec = document.spec
    controller = spec.controller or data_sets.Controller()
    return tenants.DataSet(
        name=document.metadata.name,
        tenant=tenant,
        controller=tenants.Controller(operator=controller.operator, country=controller.country),
        classes=tuple(spec.classes),
        subjects=tuple(spec.subjects),
        counts=_counts(spec.counts or data_sets.Counts()),
        location=location(spec.location),
        safeguards=papers(spec.safeguards),
        derived_from=tuple(spec.derived_from),
        owner=spec.owner,
        facts=stamp(spec.facts),
        export_control=exports.items(spec.export_control),
        ciio=spec.ciio,
        primary_db=spec.primary_db,
        sdf_localised=spec.sdf_localised,
    )


def _counts(written: data_sets.Counts) -> tenants.Counts:
    window = written.window
    return tenants.Counts(
        persons=written.persons or 0,
        sensitive=written.sensitive or 0,
        window=None if window is None else int(window[:-1]) * _WINDOW_UNITS[window[-1]],
    )


def tenant(document: tenant_documents.Tenant) -> tenants.Tenant:
    """Return the tenant."""
    spec = document.spec
    default, may = spec.default_data, spec.may_declare_no_data
    return tenants.Tenant(
        name=document.metadata.name,
        hq=spec.hq,
        sector=spec.sector,
        us_person=spec.us_person,
        us_only_users=spec.us_only_users,
        sanctions_regimes=_regimes(spec.sanctions_regimes),
        blocking_laws=_blocking(spec.blocking_laws),
        default_data=(
            None if default is None else tenants.DefaultData(tuple(default.classes), tuple(default.subjects))
        ),
        floor=sovereignties.sovereignty(spec.floor),
        tiers=tuple((name, sovereignties.sovereignty(tier)) for name, tier in spec.tiers.items()),
        may_declare_no_data=None if may is None else tuple(may),
    )


def queue(document: queue_documents.Queue) -> tenants.Queue:
    """Return the queue."""
    spec = document.spec
    return tenants.Queue(
        name=document.metadata.name,
        tenant=spec.tenant,
        weight=1 if spec.weight is None else spec.weight,
        priorities=tuple(spec.priorities.items()),
    )


def control_plane(document: control_planes.ControlPlane) -> tenants.ControlPlane:
    """Return the control plane as a place."""
    spec = document.spec
    return tenants.ControlPlane(
        name=document.metadata.name,
        operator=spec.operator,
        location=location(spec.location),
        admin_from=tuple(spec.admin_from),
        log_store=optional_location(spec.log_store),
        backup_store=optional_location(spec.backup_store),
        sanctions_regimes=_regimes(spec.sanctions_regimes),
        blocking_laws=_blocking(spec.blocking_laws),
        facts=stamp(spec.facts),
    )
