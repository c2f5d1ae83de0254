"""May data of a job come to where the control plane is? The rule book is asked about a site that stands in its place.

It has no certificates and no capabilities, so a rule that asks for one refuses: conservative, and said with reasons.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from orchestrator.domain import ids, jobs, reasons, sites, tenants
from orchestrator.inventory import ledgers, worlds
from orchestrator.placement import requirements, rows
from orchestrator.placement.filters import countries
from orchestrator.policy import conversions, evaluator, rulebook
from orchestrator.scheduler import caches, classes
from orchestrator.scheduler import worlds as scheduler_worlds

CONTROL_PLANE = ids.SiteName("control-plane/self")


def refusals(
    job: jobs.Job,
    world: worlds.World,
    book: rulebook.RuleBook,
    declared: scheduler_worlds.World,
    now: dt.datetime,
) -> Sequence[reasons.Reason]:
    """Return why this job's data may not come here; empty: no rule in force refuses.

    :param declared: the same world as the scheduler reads it.
    """
    asked = conversions.of_job(
        job.spec,
        tenant=world.tenants.get(job.tenant),
        datasets=world.data_of(job.tenant),
        control_plane=world.control_plane,
        directives=world.directives,
        owner=job.tenant,
        ledger=ledgers.view(world.ledger, book, now),
    )
    site = _site(world)
    found = list(evaluator.explain(asked, conversions.of_site(site), book, now))
    if (elsewhere := _countries(job, declared, site, now)) is not None:
        found.append(elsewhere)
    return [reason for reason in found if reason.effect is reasons.Effect.DENY]


def _countries(
    job: jobs.Job, declared: scheduler_worlds.World, site: sites.Site, now: dt.datetime
) -> reasons.Reason | None:
    """Return why the job's own lists of countries, its tenant's and its tier's, keep it away from here."""
    asked = classes.Classes(declared).of(classes.kind_of(job.tenant, job.spec))
    day = caches.day_of(now)
    question = requirements.ask(asked.requirement, day, declared.sets_on(day), declared.tables)
    return countries.Countries().check(question, rows.Row(site))


def _site(world: worlds.World) -> sites.Site:
    plane = world.control_plane or tenants.ControlPlane()
    operator = world.operators.get(plane.operator) if plane.operator is not None else None
    return sites.Site(
        name=CONTROL_PLANE,
        backend="control-plane",
        pool="self",
        adapter="",
        operator_name=plane.operator,
        operator=operator,
        service=None,
        location=plane.location,
        admin_from=plane.admin_from,
        log_store=plane.log_store or plane.location,
        log_retention_days=None,
        certifications=(),
        evidence=(),
        accepts=sites.Accepts(),
        accelerator=None,
        accelerator_memory_gb=None,
        accelerator_watts=None,
        count=None,
        interconnect=None,
        in_service_since=None,
        price_per_hour=None,
        pue=None,
        carbon=None,
        facts=plane.facts,
        facts_valid_to=plane.facts.valid_to,
    )
