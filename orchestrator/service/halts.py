"""What stops every new placement at once, whatever the rules say: told to each job that waits, and to who asks why.

The tables are not what the journal says, or the clock went back. Nothing of it is kept with a job: it is seen when
somebody reads, so it ends by itself, and nothing is written into tables that nobody can rely on. A job is told how many
rows differ; which they are is for who reads the control plane.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import jobs, reasons
from orchestrator.service import changes, contexts, differences

TABLES, CLOCK = "controlplane.tables-differ", "controlplane.clock-went-back"
CODES = {
    TABLES: "the tables of the control plane are not what its journal says: nothing new is placed until they are",
    CLOCK: "the clock of the control plane went back: nothing new is placed until it is past again, or confirmed",
}
"""Every code, for the reference."""
WAITING = frozenset({jobs.Phase.QUEUED, jobs.Phase.PLACED})
"""Phases of jobs that a halt keeps from going on; a launch is kept back as a placement is."""


@dataclass(frozen=True, slots=True)
class Halt:
    """One thing that stops all. ``condition`` is its type, as the control plane has it."""

    condition: str
    reason: reasons.Reason


def now(context: contexts.Context) -> tuple[Halt, ...]:
    """Return what stops new placements at this moment; () as a rule. Cheap: one row is read. Raises StoreError."""
    found = []
    if context.tables.sentences:
        found.append(_tables(context.tables.count))
    if (floor := changes.clock_back(context)) is not None:
        found.append(_clock(floor))
    return tuple(found)


def of_job(context: contexts.Context, job: jobs.Job) -> tuple[Halt, ...]:
    """Return what keeps this job from being placed or launched; () for one that runs, is stopped, or is over."""
    return now(context) if keeps(job) else ()


def keeps(job: jobs.Job) -> bool:
    """Say whether a halt keeps a job from going on."""
    return job.phase in WAITING and job.stop is None


def _tables(count: int) -> Halt:
    rows = "1 thing differs" if count == 1 else f"{count} things differ"
    change = "until who operates the control plane has put the rows right, or accepted them (comity log verify, accept)"
    reason = reasons.Reason(
        code=TABLES,
        effect=reasons.Effect.DENY,
        basis=reasons.Basis.DILIGENCE,
        message=f"nothing new is placed: the tables are not what the journal says ({rows})",
        facts=(reasons.FactCitation("controlplane.status.conditions.TablesDiffer", str(count), "the journal"),),
        remedy=reasons.Remedy(reasons.RemedyKind.WAIT, change),
    )
    return Halt(differences.TABLES_DIFFER, reason)


def _clock(floor: dt.datetime) -> Halt:
    seen = floor.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    change = "until that moment, or until somebody says that the time is right (comity policy confirm clock)"
    reason = reasons.Reason(
        code=CLOCK,
        effect=reasons.Effect.DENY,
        basis=reasons.Basis.DILIGENCE,
        message=f"nothing new is placed: the clock went back, it was {seen} before",
        facts=(reasons.FactCitation("controlplane.status.conditions.ClockWentBack", seen, "the journal"),),
        remedy=reasons.Remedy(reasons.RemedyKind.WAIT, change, floor),
    )
    return Halt(changes.CLOCK_WENT_BACK, reason)
