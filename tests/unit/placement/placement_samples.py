"""Sites, offers and questions for tests of placement and scheduler."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from orchestrator.domain import ids, jobs, money, offers, sites
from orchestrator.placement import requirements, rows
from orchestrator.policy import rulebook
from orchestrator.scheduler import queues, snapshots, worlds

AT = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
DAY = AT.date()
ALL = frozenset(power.value for power in offers.Capability)
OPERATOR = sites.Operator("op", "FR", "FR", sites.Owners(100.0, ()))
BOOK = rulebook.build(
    [rulebook.RawPack("core", {"pack": "core", "version": "1", "title": "none", "rules": [
        {"id": "core.nowhere", "effect": "deny", "basis": "house", "message": "no jobs in KP", "source": "test",
         "when": [{"in": ["site.country", ["KP"]]}], "remedy": []},
    ]})],
    countries=["FR", "DE", "US", "KP"],
)  # fmt: skip
WORLD = worlds.World(BOOK)


def site(name: str = "a/p", **changes: Any) -> sites.Site:
    backend, _, pool = name.partition("/")
    base = sites.Site(
        name=ids.SiteName(name), backend=backend, pool=pool, adapter="simulated", operator_name="op",
        operator=OPERATOR, service=None, location=sites.Location("FR"), admin_from=(),
        log_store=sites.Location("FR"), log_retention_days=None, certifications=(), evidence=(),
        accepts=sites.Accepts(), accelerator="nvidia-h100-sxm", accelerator_memory_gb=80, accelerator_watts=700,
        count=8, interconnect="nvlink", in_service_since=None, price_per_hour=money.Money(2_000_000, "EUR"), pue=1.2,
        carbon=sites.Carbon(56.0), accelerator_model=H100, facts=sites.facts.FactStamp(),
        facts_valid_to=None, capabilities=ALL,
    )  # fmt: skip
    return replace(base, **changes)


H100 = sites.Accelerator(
    "nvidia-h100-sxm", "H100 SXM", "NVIDIA", "US", (sites.Performance(989.5, 16),), die_area_mm2=814.0
)


def room(accelerators: int = 8, cpus: int = 64, memory_gib: int = 256, slots: int | None = None) -> offers.Room:
    return offers.Room(cpus * 1000, memory_gib * 2**30, accelerators, slots)


def offer(name: str = "a/p", free: offers.Room | None = None, **changes: Any) -> offers.Offer:
    free = room() if free is None else free
    total = changes.pop("total", room(max(free.accelerators, 8)))
    return offers.Offer(ids.SiteName(name), free, total, AT, **changes)


def row(**changes: Any) -> rows.Row:
    base = rows.Row(site(), offer(), rows.BackendState("a"))
    return replace(base, **changes)


def question(requirement: requirements.Requirement | None = None, **changes: Any) -> requirements.Question:
    asked = requirement or requirements.Requirement("t")
    return replace(requirements.ask(asked, DAY, None, requirements.NO_TABLES), **changes)


def spec(accelerators: int = 1, **changes: Any) -> jobs.JobSpec:
    wanted = jobs.AcceleratorRequest(("nvidia-h100-sxm",), accelerators) if accelerators else None
    base = jobs.JobSpec("j", ("true",), resources=jobs.Resources(accelerators=wanted))
    return replace(base, **changes)


def job(number: int, wanted: jobs.JobSpec | None = None, **changes: Any) -> jobs.Job:
    base = jobs.Job(
        id=ids.JobId(f"JOB{number:023d}"), tenant="t", spec=wanted or spec(), spec_digest=ids.NO_DIGEST,
        submitted_at=AT, submitted_by="me", queue_seq=number,
    )  # fmt: skip
    return replace(base, **changes)


def snapshot(
    all_sites: list[sites.Site],
    all_offers: list[offers.Offer],
    queued: list[jobs.Job],
    **changes: Any,
) -> snapshots.Snapshot:
    base = snapshots.Snapshot(
        at=AT,
        term=ids.Term(1),
        world=WORLD,
        sites=all_sites,
        offers={item.site: item for item in all_offers},
        backends={item.backend: rows.BackendState(item.backend) for item in all_sites},
        queue=queues.QueueIndex(queued),
    )
    return replace(base, **changes)
