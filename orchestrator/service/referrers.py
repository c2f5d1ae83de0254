"""Who refers to a document: what would be left in the air without it, and whom a change of it hits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from orchestrator.domain import jobs
from orchestrator.inventory import worlds
from orchestrator.ports import stores
from orchestrator.service import access, contexts
from orchestrator.service import jobs as job_service

REFERRERS_MAX = 100
"""So many are named; the list says that a thing is in use, it is no report."""
_PAGE = 500
_PAGES_MAX = 400
_LOOKED_AT_MAX = 10_000


def of(context: contexts.Context, who: access.Principal, document: stores.Document) -> tuple[str, ...]:
    """Return ``backend/gra``, ``job/01J...``: at most so many, documents first.

    What belongs to another tenant counts, and is not named.
    """
    world = context.world()
    found = itertools.chain(_documents(world, document), _jobs(context, world, document))
    named: dict[str, None] = {}
    for tenant, text in itertools.islice(found, _LOOKED_AT_MAX):
        named[text if tenant in (None, "", who.tenant) or who.is_admin else "another tenant's"] = None
        if len(named) >= REFERRERS_MAX:
            break
    return tuple(named)


_Found = tuple[str | None, str]
"""Tenant and reference."""


def _documents(world: worlds.World, document: stores.Document) -> Iterator[_Found]:
    name = document.name
    match document.kind:
        case "Operator":
            for backend in world.backends.values():
                if name in (backend.operator, *(pool.operator for pool in backend.pools)):
                    yield None, f"backend/{backend.name}"
            if world.control_plane is not None and world.control_plane.operator == name:
                yield None, f"controlplane/{world.control_plane.name}"
            for data in (one for whose in world.data_sets.values() for one in whose.values()):
                if data.controller.operator == name:
                    yield data.tenant, f"dataset/{data.name}"
        case "DataSet":
            for data in world.data_of(document.tenant).values():
                if name in data.derived_from:
                    yield data.tenant, f"dataset/{data.name}"
        case "Tenant":
            for queue in world.queues.get(name, {}).values():
                yield name, f"queue/{queue.name}"
            for data in world.data_of(name).values():
                yield data.tenant, f"dataset/{data.name}"


def _jobs(context: contexts.Context, world: worlds.World, document: stores.Document) -> Iterator[_Found]:
    live, name, tenant = job_service.LIVE, document.name, document.tenant or None
    match document.kind:
        case "Backend":
            for site in world.sites:
                if site.backend == name:
                    for job in _pages(context, stores.JobFilter(site=site.name, phases=jobs.OCCUPYING)):
                        yield job.tenant, f"job/{job.id}"
        case "Queue":
            for job in _pages(context, stores.JobFilter(tenant=tenant, queue=name, phases=live)):
                if tenant is not None or name not in world.queues.get(job.tenant, {}):  # its own, not this one
                    yield job.tenant, f"job/{job.id}"
        case "Tenant":
            for job in _pages(context, stores.JobFilter(tenant=name, phases=live)):
                yield job.tenant, f"job/{job.id}"
        case "DataSet":
            for job in _pages(context, stores.JobFilter(tenant=tenant, phases=live)):
                data = job.spec.data
                named = (*(use.name for use in data.reads), *data.writes) if data is not None else ()
                if name in named or name in (output.as_name for output in job.spec.outputs):
                    yield job.tenant, f"job/{job.id}"


def _pages(context: contexts.Context, wanted: stores.JobFilter) -> Iterator[jobs.Job]:
    cursor = None
    for _ in range(_PAGES_MAX):
        page = context.store.list_jobs(wanted, limit=_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return
