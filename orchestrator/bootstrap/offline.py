"""A plan without a server: documents of files, judged and ranked as a control plane that knows just them would.

Every declared place is taken to answer and to be empty, because there is nobody to ask. All data sets belong to the
tenant who asks. Nothing is kept and nobody is trusted: no ledger, no running jobs, no sanctions lists, no issuer of a
claim.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.bootstrap import catalogues
from orchestrator.domain import ids, offers, sites, tenants
from orchestrator.inventory import assembly, sightings, worlds
from orchestrator.placement import requirements, rows
from orchestrator.policy import rulebook
from orchestrator.scheduler import answers, snapshots
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.service import access, problems, references
from orchestrator.sources import distances, packs
from orchestrator.wire import errors
from orchestrator.wire.convert import answers as answer_conversion
from orchestrator.wire.convert import jobs as job_conversion
from orchestrator.wire.convert import places
from orchestrator.wire.documents import reading

KINDS = frozenset({"ControlPlane", "Operator", "Backend", "DataSet", "Tenant"})
"""What can be judged with; a Policy of the house is tested with ``comity policy test``."""
_ROOM = 10**15
"""Of what a pool does not state, there is enough."""
_NODES_MAX = 1024


@dataclass(frozen=True, slots=True)
class World:
    """What the documents declare, once for many questions."""

    declared: scheduler_worlds.World
    known: worlds.World
    """The same for the question whether what a job names exists."""
    sites: tuple[sites.Site, ...]
    offers: Mapping[ids.SiteName, offers.Offer]
    backends: Mapping[str, rows.BackendState] = field(default_factory=dict)


def read(
    documents: Iterable[Mapping[str, Any]], *, tenant: str, at: dt.datetime, book: rulebook.RuleBook | None = None
) -> World:
    """Return the world that documents declare. Raises InvalidDocumentError with every problem."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    wrong: list[errors.DocumentError] = []
    for document in documents:
        try:
            one = reading.read(dict(document))
        except errors.InvalidDocumentError as error:
            wrong += error.errors
            continue
        if one.kind not in KINDS:
            wrong.append(errors.DocumentError(f"{one.kind} cannot be judged with without a server", "kind"))
        elif one.name in found[one.kind]:
            wrong.append(errors.DocumentError(f"{one.kind} {one.name} stands here twice", "metadata.name"))
        else:
            found[one.kind][one.name] = _VALUES[one.kind](one.model, tenant)
    if len(found["ControlPlane"]) > 1:
        wrong.append(errors.DocumentError("there is one ControlPlane", "kind"))
    if wrong:
        raise errors.InvalidDocumentError(wrong)
    catalogue = catalogues.ShippedCatalogue()
    made = tuple(
        site
        for backend in found["Backend"].values()
        for site in assembly.sites_of(
            backend,
            operators=found["Operator"],
            seen=_seen(backend),
            catalogue=catalogue,
            owner_tenant=tenant,
        )
    )
    data_sets = {tenant: found["DataSet"]}
    declared = scheduler_worlds.World(
        rulebook=book if book is not None else packs.load(),
        tenants=found["Tenant"],
        data_sets=data_sets,
        control_plane=next(iter(found["ControlPlane"].values()), None),
        operators=found["Operator"],
        tables=requirements.Tables(distances=distances.load()),
        accelerators=catalogue.slugs,
    )
    states = {name: rows.BackendState(name, nodes_max=_NODES_MAX) for name in found["Backend"]}
    known = worlds.World(data_sets=data_sets, tenants=found["Tenant"], sites=made, catalogue=catalogue)
    return World(declared, known, made, {site.name: _empty(site, at) for site in made}, states)


def plan(job: Mapping[str, Any], world: World, *, tenant: str, at: dt.datetime) -> dict[str, Any]:
    """Return the answer as the HTTP interface gives it. Raises InvalidDocumentError for what is no Job, or names what
    is not there.
    """
    document = reading.read(dict(job))
    if document.kind != "Job":
        raise errors.InvalidDocumentError([errors.DocumentError("is not Job", "kind")])
    spec = job_conversion.job_spec(document.model)  # type: ignore[arg-type]  # its kind says so
    who = access.Principal("", tenant, frozenset({access.Role.ADMIN.value}))
    try:
        references.check(who, spec, world.known)
    except problems.ServiceError as error:
        raise errors.InvalidDocumentError(error.errors) from error
    snapshot = snapshots.Snapshot(
        at=at, term=ids.Term(0), world=world.declared, sites=world.sites, offers=world.offers, backends=world.backends
    )
    found = answers.plan_one(spec, snapshot, tenant=tenant)
    notices, ranking = references.notices(who, spec, world.known), found.answer.ranking
    chosen = ranking[0] if ranking and found.verified is None else None
    return answer_conversion.plan(found.answer, chosen=chosen, notices=notices, verified=found.verified)


def _seen(backend: sites.Backend) -> sightings.Facts:
    """Return what an adapter that can do everything would say; one pool where none is declared."""
    pools = () if backend.pools else (sites.Pool("default"),)
    powers = offers.Capabilities(frozenset(offers.Capability), max_nodes=_NODES_MAX)
    return sightings.Facts(capabilities=powers, pools=pools, isolation_none=frozenset())


def _empty(site: sites.Site, at: dt.datetime) -> offers.Offer:
    count = site.count if site.count is not None else _ROOM
    room = offers.Room(
        cpu_milli=_ROOM,
        memory_bytes=_ROOM,
        accelerators=count if site.accelerator is not None else 0,
        slots=None if site.accelerator is not None else count,
    )
    return offers.Offer(site=site.name, free=room, total=room, observed_at=at)


_VALUES: Mapping[
    str, Callable[[Any, str], tenants.ControlPlane | tenants.Tenant | tenants.DataSet | sites.Operator | sites.Backend]
] = {
    "ControlPlane": lambda model, _: places.control_plane(model),
    "Operator": lambda model, _: places.operator(model),
    "Backend": lambda model, _: places.backend(model),
    "DataSet": lambda model, tenant: places.data_set(model, tenant=tenant),
    "Tenant": lambda model, _: places.tenant(model),
}
