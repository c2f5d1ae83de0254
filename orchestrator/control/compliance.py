"""Judges running jobs again when rules, facts, lists or the date changed, and says what follows for each.

Who may not stay is stopped as the job says (drain, stop, hold), at the first turn after the change can be seen, with
three exceptions that keep one mistake from felling a fleet:

* a place whose facts merely grew old has a grace (``FactsExpired``), counted from the condition's own ``since``;
* a change that would stop too many is held (``ChangeHeld``) until a person confirms it, or takes it back;
* but never where a sanctions list or an immediate directive names the place, where a grace is over, or where nothing
  but the date changed: a law that begins is nobody's slip of the pen.

None of it opens a door: new placements, and launches that were decided before, obey what is in force.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.control import index, ledger, planning, policy_clock
from orchestrator.domain import changes, events, ids, jobs, journal
from orchestrator.inventory import changes as stored_changes
from orchestrator.inventory import worlds
from orchestrator.ports import environment, stores
from orchestrator.scheduler import standings

NON_COMPLIANT = "NonCompliant"
HELD = "Held"
STALE_GRACE = dt.timedelta(hours=72)
CHANGES_MAX = 100
"""Changes that are kept; the oldest that hold nobody go."""
NAMED_MAX = 20
"""Jobs of a tenant, codes and documents that a change names."""
SWEEP_EVERY_S = 10.0
"""From one look for changes that hold nobody to the next."""
RUNS = frozenset({jobs.Phase.STARTING, jobs.Phase.RUNNING})
"""Only what runs is spared: an attempt that may not have begun is not begun."""
_BY = "controller"


@dataclass(frozen=True, slots=True)
class _Case:
    """A job that may not stay."""

    job: jobs.Job
    standing: standings.Standing


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a review rested on. Another one is due when it differs."""

    stamp: planning.Stamp
    day: dt.date
    confirmed: frozenset[str]


@dataclass(slots=True)
class Compliance:
    """Not thread-safe: used by the loop only. Remembers only what was reviewed last, and when time alone is enough."""

    store: stores.Store
    live: index.JobIndex
    book: ledger.Ledger
    clock: environment.Clock
    times: policy_clock.PolicyClock
    planner: planning.Planner
    is_fresh: Callable[[jobs.Job], bool]
    grace: dt.timedelta = STALE_GRACE
    took_s: float | None = None
    """Seconds from the newest change of a document to the durable end of the last review; None: none since asked."""
    _judged: _Mark | None = None
    _judging: _Mark | None = None
    _again_at: dt.datetime | None = None
    _again_next: dt.datetime | None = None
    _stamp: planning.Stamp | None = None
    _next_stamp: planning.Stamp | None = None
    _reviewed: tuple[stored_changes.Reviewed, int] | None = None
    _began_s: float | None = None
    _swept_at_s: float = float("-inf")
    _known: tuple[int, dict[str, tuple[changes.Change, int]]] = field(default=(-1, {}))

    @property
    def stamp(self) -> planning.Stamp | None:
        """Return under which stamp every live attempt was judged last, and what followed made durable."""
        return self._stamp

    def run(self, world: worlds.World, term: ids.Term) -> None:
        """Stage what follows, if anything that matters changed. Raises StoreError."""
        now = self.times.review_now()
        stamp = self.planner.stamp(world, now)
        held = self._changes()
        confirmed = frozenset(id for id, (one, _) in held.items() if one.confirmed is not None)
        mark = _Mark(stamp, now.date(), confirmed)
        self._next_stamp = stamp
        if mark == self._judged and (self._again_at is None or now < self._again_at):
            self._judging = self._judged
            return
        self._judging, self._began_s = mark, self.clock.monotonic()
        here = [job for job in self.live.occupying.values() if job.phase is not jobs.Phase.STOPPING]
        waiting = held_jobs(self.live.waiting.values())
        found = self.planner.standings(world, [*here, *waiting], now)
        self._again_next = found.until
        self._release(waiting, found, world)
        cases = self._sorted_out(here, found, now)
        self._settle(cases, world, stamp, now, term)

    def committed(self, term: ids.Term) -> None:
        """Note that what the last run staged is durable: only then is it not to be judged again. Raises StoreError."""
        if self._judging is not self._judged:
            self._keep_mark(term)
            self._judged, self._again_at = self._judging, self._again_next
        self._stamp = self._next_stamp
        self._forget_empty(term)

    def expect(self, expires: dt.datetime | None) -> None:
        """Take the end of a verdict on which something was just placed: it is judged again then."""
        if expires is not None and (self._again_at is None or expires < self._again_at):
            self._again_at = expires

    # --- who may not stay -------------------------------------------------------------------------------------------

    def _sorted_out(self, here: Sequence[jobs.Job], found: standings.Standings, now: dt.datetime) -> list[_Case]:
        """Return the jobs whose stop is due or in question; clear what is over, and start graces."""
        cases: list[_Case] = []
        for job in here:
            standing = found.of.get(job.id)
            if standing is None or self.is_fresh(job):
                # Not known just now: nothing is cleared, so that no grace begins anew. A placement that was never
                # tried is left to the guard: it is withdrawn, not stopped.
                continue
            if not standing.codes:
                self._clear(job, now, NON_COMPLIANT, changes.EXPIRED, changes.HELD)
            elif not (standing.stale and self._bears(job, standing, now)):
                cases.append(_Case(job, standing))
        return cases

    def _bears(self, job: jobs.Job, standing: standings.Standing, now: dt.datetime) -> bool:
        """Say whether the grace of a job is not over; it begins where it has not."""
        if job.phase not in RUNS:
            return False
        known = job.condition(changes.EXPIRED)
        since = known.since if known is not None and known.status else now
        end = since + self.grace
        if now >= end:
            return False
        self._soon(end)
        self._clear(job, now, NON_COMPLIANT, changes.HELD)
        text = f"{standing.message}; nobody said anything new against it: it may stay until {end.isoformat()}"
        self._note(job, now, changes.EXPIRED, standing.codes[0], text)
        return True

    def _settle(
        self, cases: Sequence[_Case], world: worlds.World, stamp: planning.Stamp, now: dt.datetime, term: ids.Term
    ) -> None:
        """Stop who has to go, and hold back what would stop too many."""
        held = self._changes()
        questioned: list[_Case] = []
        for case in cases:
            known = case.job.condition(changes.HELD)
            why = known.reason if known is not None and known.status else ""
            change = held[why][0] if why in held else None
            if case.standing.at_once or case.standing.stale or case.job.phase not in RUNS:
                self._stop(case, now)
            elif change is not None:
                if change.confirmed is not None:
                    self._stop(case, now)
            else:
                questioned.append(case)
        if questioned:
            self._decide(questioned, world, stamp, now, term)

    def _decide(
        self, cases: Sequence[_Case], world: worlds.World, stamp: planning.Stamp, now: dt.datetime, term: ids.Term
    ) -> None:
        """Stop jobs that a change hits, or hold it."""
        before = self._last_review()
        ours = self._of_people(cases, world, before, stamp) if before.at is not None else []
        if ours:
            id = stored_changes.id_of(before, stamp.policy, stamp.facts, now.date())
            known = self._changes().get(id)
            hits = self._hits(ours)
            if known is None and changes.is_too_many(hits):
                self._hold(id, ours, hits, stamp, now, term)
            elif known is None or known[0].confirmed is not None:
                ours = []
            for case in ours:
                text = f"{case.standing.message}; held with {id}, which would stop many: confirm it, or undo it"
                self._note(case.job, now, changes.HELD, id, text)
        spared = {case.job.id for case in ours}
        for case in cases:
            if case.job.id not in spared:
                self._stop(case, now)

    def _of_people(
        self, cases: Sequence[_Case], world: worlds.World, before: stored_changes.Reviewed, stamp: planning.Stamp
    ) -> list[_Case]:
        """Return those whom something that people wrote would stop, and nothing that the calendar brought.

        By what is in force now, but at the time of the last review: what refuses then too was written since. A rule of
        the house's own is people's writing even when its first day has only just come.
        """
        assert before.at is not None  # noqa: S101 -- asked before
        then = self.planner.standings(world, [case.job for case in cases], before.at).of
        written = (before.policy, before.facts) != (stamp.policy, stamp.facts)
        found: list[_Case] = []
        for case in cases:
            known = then.get(case.job.id)
            begun = set(case.standing.codes) - set(known.codes if known is not None else ())
            own = {code for code in begun if code.startswith(_OWN_RULES)}
            if begun == own and (written or own):
                found.append(case)
        return found

    def _stop(self, case: _Case, now: dt.datetime) -> None:
        job, standing = case.job, case.standing
        message = standing.message[:1000]
        self._clear(job, now, changes.HELD, changes.EXPIRED)
        self._note(job, now, NON_COMPLIANT, standing.codes[0], message)
        if job.spec.on_non_compliant is jobs.OnNonCompliant.HOLD:
            note = "stopped by policy; held until its site may have it again, or somebody cancels it"
            self._note(job, now, HELD, standing.codes[0], note)
        self.book.stage(job.id, events.StopRequested(self.clock.now(), jobs.StopCause.NON_COMPLIANT, _BY, message))

    def _release(self, waiting: Sequence[jobs.Job], found: standings.Standings, world: worlds.World) -> None:
        """Let go of held jobs whose last site may have them again."""
        for job in waiting:
            standing = found.of.get(job.id)
            site = world.site(job.attempt.site) if job.attempt is not None else None
            if site is not None and (site.elsewhere is not None or site.unattested is not None):
                continue  # what was seen of one of its attempts contradicts it, and nobody has looked yet
            if standing is None or not standing.codes:
                self.book.stage(job.id, events.ConditionChanged(self.clock.now(), HELD, False, "Compliant", ""))

    # --- changes ----------------------------------------------------------------------------------------------------

    def _hits(self, cases: Sequence[_Case]) -> tuple[changes.Hit, ...]:
        running: dict[str, int] = {}
        for job in self.live.occupying.values():
            running[job.tenant] = running.get(job.tenant, 0) + int(job.phase in RUNS)
        stopped: dict[str, list[ids.JobId]] = {}
        for case in cases:
            stopped.setdefault(case.job.tenant, []).append(case.job.id)
        return tuple(
            changes.Hit(tenant, len(found), running[tenant], tuple(sorted(found)[:NAMED_MAX]))
            for tenant, found in sorted(stopped.items())
        )

    def _hold(
        self,
        id: str,
        cases: Sequence[_Case],
        hits: tuple[changes.Hit, ...],
        stamp: planning.Stamp,
        now: dt.datetime,
        term: ids.Term,
    ) -> None:
        """Make a held change durable before any job says that it is held by it."""
        codes = sorted({code for case in cases for code in case.standing.codes})[:NAMED_MAX]
        change = changes.Change(id, now, stamp.policy, stamp.facts, tuple(codes), self._written(), hits)
        body = {
            "codes": list(codes),
            "documents": list(change.documents),
            "stops": change.count,
            "tenants": [{"tenant": hit.tenant, "stops": hit.stopped, "running": hit.running} for hit in hits],
        }
        entry = journal.Entry("change.held", f"change/{id}", self.clock.now(), _BY, body)
        self.store.commit(
            stores.Changes(
                documents=(stored_changes.document(change, 0),),
                delete_documents=self._outlived(),
                entries=(entry,),
                term=term,
            )
        )

    def _forget_empty(self, term: ids.Term) -> None:
        """Drop changes that wait for a person and hold nobody any more: undone, or all their jobs have ended."""
        waiting = {id: kept for id, kept in self._changes().items() if kept[0].confirmed is None}
        now_s = self.clock.monotonic()
        if not waiting or now_s < self._swept_at_s + SWEEP_EVERY_S:
            return
        self._swept_at_s = now_s
        used = self._in_use()
        over = [(id, version) for id, (_, version) in sorted(waiting.items()) if id not in used]
        if over:
            now = self.clock.now()
            entries = [journal.Entry("change.over", f"change/{id}", now, _BY, {}) for id, _ in over]
            gone = [(stored_changes.KIND, "", id, version) for id, version in over]
            self.store.commit(stores.Changes(delete_documents=gone, entries=entries, term=term))

    def _in_use(self) -> set[str]:
        """Return the changes by which some job says that it is held."""
        return {c.reason for job in self.live.occupying.values() if (c := job.condition(changes.HELD)) and c.status}

    def _outlived(self) -> list[tuple[str, str, str, int]]:
        """Return changes that are one too many and hold nobody, oldest first."""
        held = self._changes()
        used = self._in_use()
        free = sorted((one.at, id, version) for id, (one, version) in held.items() if id not in used)
        excess = len(held) + 1 - CHANGES_MAX
        return [(stored_changes.KIND, "", id, version) for _, id, version in free[: max(0, excess)]]

    def _written(self) -> tuple[str, ...]:
        """Return the declared documents that were written since the last review: what people would look at first."""
        since = self._last_review().at
        found = [
            f"{one.kind.lower()}/{one.name}"
            for one in self.store.documents()
            if one.kind in _DECLARED and since is not None and one.updated_at is not None and one.updated_at > since
        ]
        return tuple(sorted(found)[:NAMED_MAX])

    def _changes(self) -> dict[str, tuple[changes.Change, int]]:
        """Return every kept change, with the version of its document. What cannot be read holds nothing."""
        version = self.store.documents_version()
        if self._known[0] != version:
            found: dict[str, tuple[changes.Change, int]] = {}
            for stored in self.store.documents(stored_changes.KIND):
                try:
                    change = stored_changes.of_document(stored)
                except ValueError:
                    continue
                found[change.id] = (change, stored.version)
            self._known = (version, found)
        return self._known[1]

    # --- what is remembered -----------------------------------------------------------------------------------------

    def _last_review(self) -> stored_changes.Reviewed:
        if self._reviewed is None:
            self._reviewed = stored_changes.reviewed(self.store)
        return self._reviewed[0]

    def _keep_mark(self, term: ids.Term) -> None:
        """Write down by what running jobs were judged, where it is not what stands there."""
        mark, stamp = self._judging, self._next_stamp
        if self._began_s is not None:
            self.took_s = self.clock.monotonic() - self._began_s
            self._began_s = None
        if mark is None or stamp is None:
            return
        before = self._last_review()
        if (before.policy, before.facts) == (stamp.policy, stamp.facts) and before.at is not None:
            return
        new = stored_changes.Reviewed(stamp.policy, stamp.facts, self.clock.now())
        version = self._reviewed[1] if self._reviewed is not None else 0
        try:
            document = stored_changes.reviewed_document(new, version)
            receipt = self.store.commit(stores.Changes(documents=(document,), term=term))
        except stores.VersionConflictError:
            self._reviewed = None
            raise
        self._reviewed = (new, receipt.documents[0].version)

    def _note(self, job: jobs.Job, at: dt.datetime, type: str, reason: str, message: str) -> None:
        self.book.stage(job.id, events.ConditionChanged(at, type, True, reason, message[:1000]))

    def _clear(self, job: jobs.Job, at: dt.datetime, *types: str) -> None:
        for type in types:
            known = job.condition(type)
            if known is not None and known.status:
                self.book.stage(job.id, events.ConditionChanged(at, type, False, "Compliant", ""))

    def _soon(self, moment: dt.datetime) -> None:
        self._again_next = moment if self._again_next is None else min(self._again_next, moment)


_OWN_RULES = ("cedar.", "directive.")
"""Beginnings of the codes of what a house declares as rules, with days of its own."""
_DECLARED = frozenset({"ControlPlane", "Operator", "Backend", "DataSet", "Tenant", "Policy"})


def held_jobs(found: Iterable[jobs.Job]) -> list[jobs.Job]:
    """Return the queued jobs that are held."""
    return [job for job in found if (c := job.condition(HELD)) is not None and c.status]
