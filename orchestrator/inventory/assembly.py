"""From a backend's document and what was seen of it to its sites: every override applied, digests computed. Pure.

A declared pool wins over what the adapter discovered about it; the discovery only fills what the document leaves
out. A backend that declares no pool gets the pools its adapter discovered. No pool raises its backend's assurance.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
from collections.abc import Callable, Mapping, Sequence

from orchestrator.domain import facts, ids, listings, sites
from orchestrator.inventory import catalogues, claimants, digests, elsewhere, freezes, sightings

Screen = Callable[[sites.Operator | None], listings.Screening]
"""Says what the lists in force say about an operator; None stands for one that nobody registered."""


def sites_of(
    backend: sites.Backend,
    *,
    operators: Mapping[str, sites.Operator],
    seen: sightings.Facts,
    catalogue: catalogues.Catalogue,
    owner_tenant: str | None,
    screen: Screen | None = None,
    proofs: claimants.Proofs | None = None,
    identity: sites.Identity | None = None,
    marks: elsewhere.Marks | None = None,
    frozen: Sequence[sites.Frozen] = (),
    blamed: Mapping[str, tuple[sites.Blame, ...]] = types.MappingProxyType({}),
) -> tuple[sites.Site, ...]:
    """Return the sites of one backend, in order of name.

    ``screen`` None: no sanctions list is in force. ``proofs`` None: no issuer is trusted, so every claim is refused.
    """
    made = []
    proofs = proofs or claimants.Proofs()
    for pool in pools_of(backend, seen.pools):
        bare = ids.SiteName(f"{backend.name}/{pool.name}") in seen.isolation_none
        site = proofs.site(_site(backend, pool, operators, catalogue), backend, pool)
        if screen is not None:
            site = dataclasses.replace(site, screening=screen(site.operator))
        powers = frozenset(power.value for power in seen.capabilities.powers) if seen.capabilities else frozenset()
        site = dataclasses.replace(site, capabilities=powers, isolation_none=bare, owner_tenant=owner_tenant)
        site = dataclasses.replace(site, identity=identity, **elsewhere.marked(site, marks))
        if found := blamed.get(site.operator_name or ""):
            site = dataclasses.replace(site, blames=found)
        if (stop := freezes.over(site, frozen)) is not None:
            site = dataclasses.replace(site, frozen=stop)
        made.append(dataclasses.replace(site, digest=digests.of_site(site)))
    return tuple(sorted(made, key=lambda site: site.name))


def pools_of(backend: sites.Backend, discovered: Sequence[sites.Pool]) -> tuple[sites.Pool, ...]:
    """Return the pools that count: the declared ones with their gaps filled, else the discovered ones."""
    if not backend.pools:
        return tuple(discovered)
    found = {pool.name: pool for pool in discovered}
    return tuple(_filled(pool, found[pool.name]) if pool.name in found else pool for pool in backend.pools)


def _filled(declared: sites.Pool, discovered: sites.Pool) -> sites.Pool:
    gaps = {
        each.name: getattr(discovered, each.name)
        for each in dataclasses.fields(declared)
        if getattr(declared, each.name) is None and getattr(discovered, each.name) is not None
    }
    return dataclasses.replace(declared, **gaps) if gaps else declared


def _site(
    backend: sites.Backend,
    pool: sites.Pool,
    operators: Mapping[str, sites.Operator],
    catalogue: catalogues.Catalogue,
) -> sites.Site:
    operator_name = pool.operator if pool.operator is not None else backend.operator
    operator = operators.get(operator_name) if operator_name is not None else None
    model = catalogue.accelerator(pool.accelerator) if pool.accelerator is not None else None
    stamps = [backend.facts, *([pool.facts] if pool.facts else []), *([operator.facts] if operator else [])]
    ends = [stamp.valid_to for stamp in stamps if stamp.valid_to is not None]
    return sites.Site(
        name=ids.SiteName(f"{backend.name}/{pool.name}"),
        backend=backend.name,
        pool=pool.name,
        adapter=backend.adapter,
        operator_name=operator_name,
        operator=operator,
        service=backend.service,
        location=pool.location if pool.location is not None else backend.location,
        admin_from=pool.admin_from if pool.admin_from is not None else backend.admin_from,
        log_store=pool.log_store if pool.log_store is not None else backend.log_store,
        log_retention_days=backend.log_retention_days,
        certifications=pool.certifications if pool.certifications is not None else backend.certifications,
        evidence=backend.evidence,
        accepts=pool.accepts if pool.accepts is not None else backend.accepts,
        accelerator=model.slug if model else pool.accelerator,
        accelerator_memory_gb=model.memory_gb if model else None,
        accelerator_watts=model.watts if model else None,
        count=pool.count,
        interconnect=pool.interconnect,
        in_service_since=pool.in_service_since,
        price_per_hour=pool.price_per_hour,
        pue=pool.pue,
        carbon=backend.carbon,
        facts=_stamp(backend.facts, pool.facts),
        facts_valid_to=min(ends) if ends else None,
        accelerator_model=model.known if model else None,
        seal=backend.seal,
        china_state_funded=backend.china_state_funded,
        attestation=backend.attestation,
    )


def _stamp(backend: facts.FactStamp, pool: facts.FactStamp | None) -> facts.FactStamp:
    """Return the pool's stamp, not better assured than its backend's; the backend's where the pool has none."""
    if pool is None:
        return backend
    return dataclasses.replace(
        pool,
        assurance=min(pool.assurance, backend.assurance),
        valid_from=_later(pool.valid_from, backend.valid_from),
    )


def _later(left: dt.date | None, right: dt.date | None) -> dt.date | None:
    days = [day for day in (left, right) if day is not None]
    return max(days) if days else None
