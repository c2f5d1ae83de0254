"""Holds what is seen of where attempts run against the place that was decided on. Another country is a violation.

The attempt is stopped, whatever else is known of it, and its site takes nothing new until a person has looked: the
mark on the site is durable before the stop is, so that no crash sends the job back there. Level beats edge: each
observation is compared anew, so what a failed commit loses is found at the next one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.control import compliance, entries
from orchestrator.domain import events, executions, ids, jobs, journal, sites
from orchestrator.inventory import elsewhere, worlds
from orchestrator.ports import backends, environment, stores

CODE = "identity.elsewhere"
"""Code of the violation, and of the refusal of the site."""
TRIES_MAX = 5
"""Times that a status which somebody else writes at the same moment is read again, in one tick."""


@dataclass(slots=True)
class Whereabouts:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    clock: environment.Clock
    inventory: worlds.Inventory
    _marks: dict[ids.SiteName, sites.Elsewhere] = field(default_factory=dict)

    def seen(self, job: jobs.Job, found: backends.Observation) -> tuple[executions.Whereabouts, ...]:
        """Return what of an observation may be kept; () where nothing was seen."""
        return executions.bounded(found.whereabouts, job.spec.nodes) if found.whereabouts else ()

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
        if site.elsewhere is None:
            self._marks.setdefault(
                site.name,
                sites.Elsewhere(
                    found.expected,
                    str(first.country),
                    first.source,
                    first.assurance,
                    first.node or f"node {first.rank}",
                    attempt.key,
                    now,
                ),
            )
        text = sentence(site.name, found)
        told = events.ConditionChanged(now, compliance.NON_COMPLIANT, True, CODE, text)
        if over or attempt.phase is jobs.Phase.STOPPING:
            return (told,)
        held: tuple[events.Event, ...] = ()
        if job.spec.on_non_compliant is jobs.OnNonCompliant.HOLD:
            note = "stopped because it ran elsewhere; held until somebody has looked at its site, or cancels it"
            held = (events.ConditionChanged(now, compliance.HELD, True, CODE, note),)
        stop = events.StopRequested(now, jobs.StopCause.NON_COMPLIANT, entries.CONTROLLER, text)
        return (told, *held, stop)

    def commit(self, term: ids.Term) -> None:
        """Make the marks durable, each with an entry. Raises StoreError; then the tick ends, and they are found again.

        To be called before what :meth:`violations` returned is committed.
        """
        marks, self._marks = self._marks, {}
        for site, mark in sorted(marks.items()):
            for left in reversed(range(TRIES_MAX)):
                try:
                    self._mark(site, mark, term)
                    break
                except stores.VersionConflictError:
                    if not left:
                        raise

    def _mark(self, site: ids.SiteName, mark: sites.Elsewhere, term: ids.Term) -> None:
        backend, _, pool = site.partition("/")
        stored = self.store.document("Backend", backend)
        if stored is None:
            return
        status = json.loads(stored.status)
        known = status.get(elsewhere.ELSEWHERE)
        known = known if isinstance(known, dict) else {}
        if pool in known:
            return
        made = elsewhere.to_json(mark)
        status[elsewhere.ELSEWHERE] = {**known, pool: made}
        text = json.dumps(status, sort_keys=True, separators=(",", ":"))
        entry = journal.Entry(
            "backend.seen-elsewhere", f"backend/{backend}", mark.at, entries.CONTROLLER, {"pool": pool, **made}
        )
        document = dataclasses.replace(stored, status=text)
        self.store.commit(stores.Changes(documents=(document,), entries=(entry,), term=term))


def sentence(site: ids.SiteName, found: executions.Check) -> str:
    """Return what a contradiction is told as, with both sources."""
    wrong = "; ".join(
        f"{one.node or f'node {one.rank}'} was seen in {one.country} "
        f"({one.source or 'no source'}, {one.assurance.word})"
        for one in found.wrong[:5]
    )
    more = f"; and {len(found.wrong) - 5} more" if len(found.wrong) > 5 else ""
    return f"{site} says that it lies in {found.expected or 'no country'}, and {wrong}{more}"[:1000]
