"""Data of a job on its way to the control plane: judged before it moves, and written down."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain import jobs, journal, reasons
from orchestrator.inventory import homecomings
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems


def to_control_plane(context: contexts.Context, job: jobs.Job) -> Sequence[reasons.Reason]:
    """Return why this job's data may not come to the control plane; empty: no rule in force refuses."""
    world, now = context.world(), context.clock.now()
    if world.book is None:
        text = "no rule book is loaded, so nothing can be judged"
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "policy.unavailable", text)
    return homecomings.refusals(job, world, world.book, context.snapshots.declared(world, now), now)


def record(context: contexts.Context, who: access.Principal, job: jobs.Job, path: str) -> None:
    """Write into the journal that a file is about to be copied out; a copy nobody can trace does not happen."""
    body = {"path": path, "to": "control-plane"}
    now = context.clock.now()
    entry = journal.Entry("outputs.copied", f"job/{job.id}", now, who.token_id, body, job.tenant)
    contexts.commit(context, stores.Changes(entries=(entry,)))
