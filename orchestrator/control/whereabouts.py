"""Holds what is seen of where attempts run against the place that was decided on. Another country is a violation.

The attempt is stopped, whatever else is known of it, and its site takes nothing new until a person has looked: the
mark on the site is durable before the stop is, so that no crash sends the job back there. Level beats edge: each
observation is compared anew, so what a failed commit loses is found at the next one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.control import compliance, entries, ledger, marks
from orchestrator.domain import events, executions, ids, jobs, sites
from orchestrator.inventory import worlds
from orchestrator.ports import backends, environment

CODE = "identity.elsewhere"
"""Code of the violation, and of the refusal of the site."""


@dataclass(slots=True)
class Whereabouts:
    """Not thread-safe: used by the loop only."""

    clock: environment.Clock
    inventory: worlds.Inventory
    marks: marks.Marks
    _reviewed: worlds.World | None = None
    _reviewing: worlds.World | None = None

    def seen(self, job: jobs.Job, found: backends.Observation) -> tuple[executions.Whereabouts, ...]:
        """Return what of an observation may be kept; () where nothing was seen."""
        return executions.bounded(found.whereabouts, job.spec.nodes) if found.whereabouts else ()

    def review(self, world: worlds.World, here: Iterable[jobs.Job], book: ledger.Ledger) -> None:
        """Compare what is known of every attempt anew where documents changed: also of those that are not in reach."""
        self._reviewing = world
        if world is self._reviewed:
            return
        for job in list(here):
            if job.attempt is not None and job.attempt.execution != executions.NOTHING:
                for event in self.violations(job, job.attempt, job.attempt.execution, over=False):
                    book.stage(job.id, event)

    def committed(self) -> None:
        """Note that what the last review staged is durable."""
        self._reviewed = self._reviewing

    def violations(
        self, job: jobs.Job, attempt: jobs.Attempt, execution: executions.Execution, *, over: bool
    ) -> Sequence[events.Event]:
        """Return what follows from where an attempt was seen. ``over``: it has ended, so there is nothing to stop."""
        if not execution.nodes and execution.attested is None:
            return ()
        site = self.inventory.world().site(attempt.site)
        if site is None:
            return ()  # its document cannot be read just now: what was seen is kept, and compared when it can
        found = executions.check(execution, site.location.country, job.spec.nodes)
        if found.agreement is not executions.Agreement.CONTRADICTS:
            return ()
        now, first = self.clock.now(), found.wrong[0]
        node = first.node or f"node {first.rank}"
        mark = sites.Elsewhere(
            found.expected, str(first.country), first.source, first.assurance, node, attempt.key, now
        )
        self.marks.put(site, mark)
        text = sentence(site.name, found)
        return violation(job, attempt, CODE, text, now, over=over)


def violation(
    job: jobs.Job, attempt: jobs.Attempt, code: str, text: str, now: dt.datetime, *, over: bool = False
) -> Sequence[events.Event]:
    """Return what follows for a job from something that was seen of its attempt: told, stopped, held if it wishes."""
    told = events.ConditionChanged(now, compliance.NON_COMPLIANT, True, code, text[:1000])
    if over or attempt.phase is jobs.Phase.STOPPING:
        return (told,)
    held: tuple[events.Event, ...] = ()
    if job.spec.on_non_compliant is jobs.OnNonCompliant.HOLD:
        note = "stopped for what was seen of it; held until somebody has looked at its site, or cancels it"
        held = (events.ConditionChanged(now, compliance.HELD, True, code, note),)
    stop = events.StopRequested(now, jobs.StopCause.NON_COMPLIANT, entries.CONTROLLER, text[:1000])
    return (told, *held, stop)


def sentence(site: ids.SiteName, found: executions.Check) -> str:
    """Return what a contradiction is told as, with both sources."""
    wrong = "; ".join(
        f"{one.node or f'node {one.rank}'} was seen in {one.country} "
        f"({one.source or 'no source'}, {one.assurance.word})"
        for one in found.wrong[:5]
    )
    more = f"; and {len(found.wrong) - 5} more" if len(found.wrong) > 5 else ""
    return f"{site} says that it lies in {found.expected or 'no country'}, and {wrong}{more}"[:1000]
