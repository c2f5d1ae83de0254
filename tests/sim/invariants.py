"""What must hold after every step, whatever goes wrong (scoreboard, section 4: I1 to I11)."""

from __future__ import annotations

import collections
import datetime as dt
import json
from collections.abc import Sequence

from orchestrator.control import orphans
from orchestrator.domain import ids, jobs, obligations
from orchestrator.evidence import tables
from orchestrator.placement import contents
from orchestrator.ports import backends
from orchestrator.scheduler import answers
from tests.sim import rules, worlds

RANK = {
    jobs.Phase.PLACED: 0, jobs.Phase.STARTING: 1, jobs.Phase.RUNNING: 2, jobs.Phase.STOPPING: 3,
    jobs.Phase.SUCCEEDED: 4, jobs.Phase.FAILED: 4, jobs.Phase.CANCELLED: 4,
}  # fmt: skip
ATTEMPTS_MAX = 60
GRACE = dt.timedelta(hours=72)
CLOCK_TOLERANCE = dt.timedelta(seconds=30)


class Violation(AssertionError):  # noqa: N818 -- the word of the scoreboard
    """An invariant does not hold."""


def need(holds: bool, name: str, text: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise Violation(f"{name}: {text}")


class Checker:
    """Watches effects as they happen, and the store after each step.

    What is wrong with an effect is kept until the step is over: the loop takes any exception for the adapter's.
    """

    def __init__(self, world: worlds.World) -> None:
        self.world = world
        self.terminal: dict[ids.JobId, jobs.Phase] = {}
        self.ranks: dict[ids.AttemptKey, int] = {}
        self.phases: dict[str, str] = {}
        self.seq = 0
        self.effects = 0
        self.recorded: set[ids.Digest] = set()
        """Decisions that were found whole; nothing takes a part of them away again."""
        self.failed: Violation | None = None
        self.stale: dict[ids.AttemptKey, dt.datetime] = {}
        """Since when nothing but age refuses a running attempt, as seen from outside."""
        self.seen_phases: set[jobs.Phase] = set()
        self.met: collections.Counter[str] = collections.Counter()
        """Steps at which a live job met a backend that was refused, by what refused it."""
        self.duties: dict[tuple[str, str], obligations.State] = {}
        world.on_effect = self.effect

    def effect(self, backend: str, sealed: backends.SealedPlacement) -> None:
        """Check a submit that is about to have its effect (I1, I4)."""
        try:
            self._effect(backend, sealed)
        except Violation as error:
            self.failed = self.failed or error

    def called(self, backend: str, sealed: backends.SealedPlacement) -> None:
        """Check a submit as it leaves us (I3): an answer may be late, the call may not be."""
        try:
            self._called(backend, sealed)
        except Violation as error:
            self.failed = self.failed or error

    def _effect(self, backend: str, sealed: backends.SealedPlacement) -> None:
        world, key = self.world, sealed.key
        self.effects += 1
        record, _ = world.machines[backend].read(key)
        if record is None:
            self._one_live_run(sealed)
        placement = world.store.placement(key)
        need(placement is not None, "I4", f"{key} is launched without a placement record")
        assert placement is not None
        if placement.decision in self.recorded:
            return
        decision = world.store.decision(placement.decision)
        need(decision is not None, "I4", f"{key} is launched without its decision")
        assert decision is not None
        try:
            answers.gather(decision, world.store.content)
        except contents.ContentError as error:
            raise Violation(f"I4: {key} is launched, and of its decision {error}") from error
        self.recorded.add(placement.decision)

    def _called(self, backend: str, sealed: backends.SealedPlacement) -> None:
        world = self.world
        model = sealed.spec.model.id if sealed.spec.model is not None else None
        now = world.clock.now()
        why = world.rules.refusals(backend, model, now.date(), sealed.pool)
        need(not why, "I3", f"{sealed.key} is sent to {backend}, which is refused now: {sorted(why)}")
        need(not self._marked(backend), "I12", f"{sealed.key} is sent to {backend}, whose attempts were seen elsewhere")
        need(now + CLOCK_TOLERANCE >= world.high, "I3", f"{sealed.key} is sent at {now}, after {world.high}")
        need(sealed.fence.term == world.store.current_term(), "I3", f"{sealed.key} is sent by an old term")

    def _one_live_run(self, sealed: backends.SealedPlacement) -> None:
        chain = orphans.job_of(sealed.key)
        assert chain is not None
        abandoned = self._abandoned(chain[0])
        if sealed.key in abandoned:
            return  # its job said that duplicates are fine; I5 sees to it that it is stopped
        for name, machine in self.world.machines.items():
            for key in machine.current():
                other = orphans.job_of(ids.AttemptKey(key))
                if other is not None and other[0] == chain[0] and key not in abandoned:
                    need(key == sealed.key, "I1", f"{sealed.key} starts while {key} runs at {name}")

    def _abandoned(self, job: ids.JobId) -> set[str]:
        stored = self.world.store.job(job)
        return {a.key for a in stored.attempts if a.reason == "Unreachable"} if stored else set()

    def step(self) -> None:
        """Check the store after a step."""
        if self.failed is not None:
            raise self.failed
        rows = self.world.store.list_jobs(_ALL, limit=100_000).items
        for job in rows:
            self._job(job)
        self._meet(rows)
        for id in self.world.acknowledged:
            need(self.world.store.job(id) is not None, "I2", f"{id} was acknowledged and is lost")
        self._room(rows)
        self._stays(rows)
        if self.world.strays:
            self._strays(rows)
            self._duties(rows)
        self._journal()

    def _meet(self, rows: Sequence[jobs.Job]) -> None:
        if any(not job.phase.terminal for job in rows):
            day = self.world.clock.now().date()
            for why in set().union(*(self.world.rules.refusals(name, None, day) for name in worlds.COUNTRIES)):
                self.met[why] += 1

    def _job(self, job: jobs.Job) -> None:
        self.seen_phases.add(job.phase)
        known = self.terminal.get(job.id)
        need(known is None or known is job.phase, "I6", f"{job.id} was {known} and is {job.phase}")
        if job.phase.terminal:
            self.terminal[job.id] = job.phase
        live = [a for a in job.attempts if not a.phase.terminal]
        need(len(live) <= 1, "I1", f"{job.id} has {len(live)} live attempts in the store")
        need(len(job.attempts) <= ATTEMPTS_MAX and len(job.conditions) <= 32, "I10", f"{job.id} grows without bound")
        charged = sum(1 for a in job.attempts if a.outcome is not None)
        need(charged <= job.spec.retry.attempts, "I10", f"{job.id} used {charged} tries of {job.spec.retry.attempts}")
        for attempt in job.attempts:
            rank = RANK[attempt.phase]
            need(rank >= self.ranks.get(attempt.key, 0), "I6", f"{attempt.key} went back to {attempt.phase}")
            self.ranks[attempt.key] = rank

    def _stays(self, rows: object) -> None:
        """Who may not stay is asked to stop by the end of the first whole turn, but for grace and held changes."""
        world, now = self.world, self.world.clock.now()
        held = world.rules.held()
        stale: dict[ids.AttemptKey, dt.datetime] = {}
        for job in rows:  # type: ignore[attr-defined]
            attempt = job.attempt
            if attempt is None or job.phase not in (jobs.Phase.STARTING, jobs.Phase.RUNNING) or job.stop is not None:
                continue
            backend, _, pool = attempt.site.partition("/")
            model = job.spec.model.id if job.spec.model is not None else None
            why = world.rules.refusals(backend, model, now.date(), pool)
            if not why or rules.GONE in why:
                if rules.GONE in why and attempt.key in self.stale:
                    stale[attempt.key] = self.stale[attempt.key]
                continue
            if why <= rules.AGE:
                if attempt.key not in self.stale and not world.steady_tick:
                    continue  # a grace begins with the first whole turn that sees its cause
                since = stale[attempt.key] = self.stale.get(attempt.key, now)
                condition = rules.condition(job, rules.EXPIRED)
                late = now - since > GRACE
            if not world.steady_tick or now + CLOCK_TOLERANCE < world.high:
                continue
            where = f"{attempt.key} at {backend} at {now}, refused by {sorted(why)}, {job.conditions}"
            if why <= rules.AGE:
                need(condition is not None, "I3", f"no grace is told: {where}")
                need(not late, "I3", f"the grace since {since} does not end: {where}")
                continue
            keeps = rules.condition(job, rules.HELD)
            need(keeps is not None and held.get(keeps.reason, False), "I3", f"it goes on: {where}")
            blind = rules.PACKS in why  # who lost the packs has no rule that says so, and starts nothing
            need(blind or not why & rules.AT_ONCE, "I3", f"it is held back, and must not be: {where}")
        self.stale = stale

    def _marked(self, backend: str) -> bool:
        stored = self.world.store.document("Backend", backend)
        return stored is not None and bool(json.loads(stored.status).get("elsewhere"))

    def _strays(self, rows: object) -> None:
        """Who is known to run in another country is asked to stop, and its site marked, by the end of a whole turn."""
        world = self.world
        if not world.steady_tick:
            return
        for job in rows:  # type: ignore[attr-defined]
            attempt = job.attempt
            if attempt is None or job.phase not in (jobs.Phase.STARTING, jobs.Phase.RUNNING, jobs.Phase.STOPPING):
                continue
            backend = attempt.site.partition("/")[0]
            if rules.GONE in world.rules.refusals(backend, None, world.clock.now().date()):
                continue  # where it should be, nobody can read
            wrong = {one.country for one in attempt.execution.nodes} - {None, worlds.COUNTRIES[backend]}
            where = f"{attempt.key} at {backend} was seen in {wrong}"
            need(not wrong or job.stop is not None, "I12", f"{where}, and goes on")
            need(not wrong or self._marked(backend), "I12", f"{where}, and its site is not marked")

    def _duties(self, rows: object) -> None:
        """What was owed is owed until a person has done it, and shown it; what was done stays done."""
        world = self.world
        owed = {(str(one.job), one.duty.code): one for one in world.store.list_obligations(_OWED, limit=100_000).items}
        for key, state in self.duties.items():
            need(key in owed, "I13", f"the duty {key} is lost")
            back = state is obligations.State.FULFILLED and owed[key].state is not state
            need(not back, "I13", f"the duty {key} was done, and is {owed[key].state}")
        for key, one in owed.items():
            if one.state is obligations.State.FULFILLED:
                shown = one.fulfilment is not None and one.fulfilment.reference and one.fulfilment.by
                need(bool(shown) and key in world.done, "I13", f"the duty {key} counts as done, and nobody did it")
        self.duties = {key: one.state for key, one in owed.items()}
        for job in rows:  # type: ignore[attr-defined]
            if any(attempt.submitted_at is not None for attempt in job.attempts):
                one = owed.get((str(job.parent or job.id), worlds.DUTY))
                text = f"{job.id} was launched, and nobody owes {worlds.DUTY}"
                need(one is not None and one.state is not obligations.State.WITHDRAWN, "I13", text)

    def _room(self, rows: object) -> None:
        used: dict[str, int] = {}
        parallel: dict[ids.JobId, int] = {}
        for job in self.world.store.live_jobs():
            attempt = job.attempt
            if job.array_state is None and attempt is not None and job.phase in jobs.OCCUPYING:
                used[attempt.site] = used.get(attempt.site, 0) + 1
                if job.parent is not None:
                    parallel[job.parent] = parallel.get(job.parent, 0) + 1
                    most = job.spec.array.parallel if job.spec.array else None
                    need(most is None or parallel[job.parent] <= most, "I11", f"{job.parent} runs more than {most}")
        for name, slots in worlds.SLOTS.items():
            need(used.get(f"{name}/p", 0) <= slots, "I11", f"{name} holds {used.get(f'{name}/p')} of {slots}")

    def _journal(self) -> None:
        while batch := self.world.store.entries(after=self.seq, limit=1000):
            for link in batch:
                entry = link.entry
                text = repr(entry)
                need(worlds.SECRET not in text, "I8", f"entry {link.seq} holds a secret")
                known, body = self.phases.get(entry.subject), entry.body
                if "from" in body:
                    wrong = f"{entry.subject} went from {known}, its entry {link.seq} says {body['from']}"
                    need(known in (None, body["from"]), "I4", wrong)
                    self.phases[entry.subject] = str(body["to"])
            self.seq = batch[-1].seq

    def finish(self) -> None:
        """Check what must hold at the end (I4, I5, I9)."""
        world = self.world
        need(world.store.verify_journal() is None, "I4", "the journal's chain is broken")
        self._tables()
        for job in world.store.list_jobs(_ALL, limit=100_000).items:
            said = self.phases.get(f"job/{job.id}")
            need(said in (None, job.phase.value), "I4", f"{job.id} is {job.phase}, its last entry says {said}")
            stays = any(c.status and c.type in ("Unplaceable", "Quarantined", "Held") for c in job.conditions)
            stays = stays or _waits_for_hands(world.store, job)
            if not job.phase.terminal and not stays and not _waits_for_elements(job):
                where = [(a.number, a.site, a.phase.value, a.gone_reads) for a in job.attempts[-3:]]
                text = f"{job.id} {job.spec.name} is still {job.phase}: {where} {job.conditions} {job.not_before}"
                need(False, "I9", text)
        for name, machine in world.machines.items():
            for key in machine.current():
                need(self._owned(ids.AttemptKey(key), name), "I5", f"{key} runs at {name} and nobody owns it")

    def _tables(self) -> None:
        """Every row of the store is what the journal says, and every row that it tells of is there."""
        account = tables.Account(whole=True)
        with self.world.store.audit() as audit:
            need(
                account.read(audit.records()) is None and account.head == audit.head, "I4", "the journal does not hold"
            )
            for wrong in account.compare(audit.rows(whole=True)):
                need(False, "I4", str(wrong))

    def _owned(self, key: ids.AttemptKey, backend: str) -> bool:
        parsed = orphans.job_of(key)
        job = self.world.store.job(parsed[0]) if parsed else None
        attempt = job.attempt if job else None
        return attempt is not None and attempt.key == key and not attempt.phase.terminal


def _waits_for_hands(store: worlds.stores.Store, job: jobs.Job) -> bool:
    """Say whether a verified job needs hands that there are not: it, or one of its runs, says so."""
    if job.spec.verification is None:
        return False
    family = [job, *store.list_jobs(worlds.stores.JobFilter(parent=job.id), limit=1000).items]
    if job.parent is not None:
        parent = store.job(job.parent)
        family = [job] if parent is None or parent.phase.terminal else [job, parent]
    return any(c.status and c.reason == "Verification" for one in family for c in one.conditions)


def _waits_for_elements(job: jobs.Job) -> bool:
    return job.array_state is not None and job.spec.name.startswith("poison")


_OWED = worlds.stores.ObligationFilter()
_ALL = worlds.stores.JobFilter(top_level_only=False)
MARGIN = dt.timedelta(hours=1)
