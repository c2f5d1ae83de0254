"""The sovereign fixture: operators of several countries, their pools, data sets and jobs, scaled to any size.

Made up, and the same on every machine (fixed seed). Proportions follow public price lists: about half of the pools
are in the EEA, a third belong to operators whose parent sits in the United States, certificates are rare.
"""

from __future__ import annotations

import datetime as dt
import random

from orchestrator.domain import facts, ids, jobs, money, offers, sites, tenants
from orchestrator.placement import contents, requirements, rows
from orchestrator.policy import rulebook
from orchestrator.scheduler import queues, snapshots, worlds
from orchestrator.sources import accelerators, packs

AT = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
TENANT = "hospital"
CAPABILITIES = frozenset(power.value for power in offers.Capability)
PLACES = ("FR", "DE", "NL", "FI", "SE", "IT", "PL", "CH", "GB", "US", "US", "CA", "SG", "JP", "IN", "BR", "AE", "KR")
PARENTS = ("FR", "DE", "NL", "US", "US", "US", "CN", "GB", "JP", "SE")
ACCELERATORS = (
    ("nvidia-h100-sxm", 80, 700), ("nvidia-h200-sxm", 141, 700), ("nvidia-a100-80g", 80, 400), ("amd-mi300x", 192, 750),
    ("nvidia-l40s", 48, 350), ("nvidia-l4", 24, 72), ("nvidia-b200", 180, 1000), ("nvidia-h20", 96, 400),
)  # fmt: skip
STAMP = facts.FactStamp("fixture", dt.date(2026, 6, 1), None, dt.date(2027, 12, 31), facts.Assurance.DOCUMENTED)


def pools(count: int) -> list[sites.Site]:
    """Return ``count`` pools of about a third as many backends."""
    dice = random.Random(20261122)
    operators = [_operator(number, dice) for number in range(max(4, min(count // 8, 200)))]
    return [contents.with_digest(_pool(number, dice, operators)) for number in range(count)]


def _operator(number: int, dice: random.Random) -> sites.Operator:
    parent = dice.choice(PARENTS)
    owners = sites.Owners(100.0, (sites.Owner("holding", parent, 70.0), sites.Owner("free float", "FR", 30.0)))
    frameworks = ("dpf",) if parent == "US" and dice.random() < 0.7 else ()
    return sites.Operator(f"operator-{number}", dice.choice(PLACES), parent, owners, frameworks, (), STAMP)


def _pool(number: int, dice: random.Random, operators: list[sites.Operator]) -> sites.Site:
    country = dice.choice(PLACES)
    region = f"{country.lower()}-{dice.randrange(12)}"
    slug, memory, watts = dice.choice(ACCELERATORS)
    certified = [
        name for name, odds in (("hds-v2", 0.3), ("secnumcloud-3.2", 0.1), ("c5", 0.3)) if dice.random() < odds
    ]
    certificates = tuple(
        sites.Certification(name, "kube", (region,), None, dt.date(2027, 6, 30), "register") for name in certified
    )
    operator = dice.choice(operators)
    backend, pool = f"b{number // 3:05d}", f"p{number % 3}"
    return sites.Site(
        name=ids.SiteName(f"{backend}/{pool}"), backend=backend, pool=pool, adapter="simulated",
        operator_name=operator.name, operator=operator, service="kube",
        location=sites.Location(country, None, region, dice.random() < 0.5), admin_from=(country,),
        log_store=sites.Location(country), log_retention_days=365, certifications=certificates, evidence=(),
        accepts=sites.Accepts(), accelerator=slug, accelerator_memory_gb=memory, accelerator_watts=watts,
        count=dice.choice((8, 16, 64, 256)), interconnect="nvlink", in_service_since=dt.date(2025, 3, 1),
        price_per_hour=money.Money(dice.randrange(500_000, 6_000_000, 10_000), "EUR"),
        pue=dice.choice((1.1, 1.2, 1.4, None)), carbon=sites.Carbon(float(dice.randrange(20, 700))), facts=STAMP,
        facts_valid_to=STAMP.valid_to, capabilities=CAPABILITIES,
        accelerator_model=accelerators.catalogue().get(slug).known,
    )  # fmt: skip


def world(book: rulebook.RuleBook | None = None) -> worlds.World:
    """Return the hospital's world, with the built-in packs and round-trip times from France."""
    dice = random.Random(7)
    far = {"FR": 8, "DE": 15, "NL": 14, "CH": 12, "GB": 16, "IT": 20, "SE": 34, "FI": 38, "PL": 28}
    places = {f"{c.lower()}-{n}": far.get(c, 120) * (0.8 + 0.4 * dice.random()) for c in set(PLACES) for n in range(12)}
    data = tenants.DataSet(
        "patients-fr", TENANT, tenants.Controller("hospital", "FR"), ("health",), ("FR",),
        tenants.Counts(50_000, 50_000), sites.Location("FR"), facts=STAMP,
    )  # fmt: skip
    return worlds.World(
        rulebook=book or packs.load(),
        tenants={TENANT: tenants.Tenant(TENANT, "FR", "health")},
        data_sets={TENANT: {data.name: data}},
        control_plane=tenants.ControlPlane("self", "hospital", sites.Location("FR"), ("FR",)),
        tables=requirements.Tables(distances={"FR": requirements.Distances("FR", places)}),
    )


def snapshot(fleet: list[sites.Site], of: worlds.World, queue: queues.QueueIndex | None = None) -> snapshots.Snapshot:
    """Return a snapshot in which every pool answers and has half of its room free."""
    return snapshots.Snapshot(
        at=AT,
        term=ids.Term(1),
        world=of,
        sites=fleet,
        offers={site.name: _offer(site) for site in fleet},
        backends={site.backend: rows.BackendState(site.backend) for site in fleet},
        queue=queue if queue is not None else queues.QueueIndex(),
    )


def _offer(site: sites.Site) -> offers.Offer:
    count = site.count or 0
    node = offers.Room(192_000, 2 * 2**40, 8)
    total = offers.Room(24_000 * count, 256 * 2**30 * count, count)
    free = offers.Room(total.cpu_milli // 2, total.memory_bytes // 2, count // 2)
    return offers.Offer(site.name, free, total, AT, largest_node=node)


def job(number: int) -> jobs.JobSpec:
    """Return a job with the eight constraints of B1; jobs of different numbers are of different classes.

    Country set, exposure, certificate, data class, accelerator, memory, price cap, round-trip time.
    """
    others = ("RU", "IR", "IN", "AE", "BR", "SG", "JP", "KR")
    denied = ("US", "CN", *(name for bit, name in enumerate(others) if number >> bit & 1))
    return jobs.JobSpec(
        name=f"job-{number}",
        command=("python", "train.py"),
        type=jobs.JobType.TRAIN,
        data=jobs.DataClause(reads=(jobs.DataUse("patients-fr"),)),
        resources=jobs.Resources(
            cpu_milli=8_000,
            memory_bytes=64 * 2**30,
            accelerators=jobs.AcceleratorRequest(("nvidia-h100-sxm", "nvidia-h200-sxm", "amd-mi300x"), 8, 80),
        ),
        sovereignty=jobs.Sovereignty(
            countries_allow=("EEA", "CH"),
            exposure=jobs.Exposure(denied, ("secnumcloud-3.2",)),
            certifications=("hds-v2",),
        ),
        latency_from="FR",
        limits=jobs.Limits(price_per_hour=money.Money(30_000_000 + 1_000 * number, "EUR"), rtt_ms=40),
    )
