"""What happens to jobs without their backend saying so: deadlines, rules that changed, drains, lost backends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.control import compliance, index, lanes, ledger, planning, steady
from orchestrator.domain import events, ids, jobs, offers
from orchestrator.inventory import sightings, worlds
from orchestrator.ports import environment

UNREACHABLE = "Unreachable"
_BY = "controller"


@dataclass(slots=True)
class Reviews:
    """Not thread-safe: used by the loop only. Remembers only what was reviewed last."""

    live: index.JobIndex
    book: ledger.Ledger
    all_lanes: lanes.Lanes
    seen: sightings.Sightings
    clock: environment.Clock
    steady: steady.SteadyClock
    is_fresh: Callable[[jobs.Job], bool]
    compliance: compliance.Compliance
    _up: set[str] = field(default_factory=set)
    """Backends that can be reached, and all of whose jobs say so."""
    _up_next: set[str] = field(default_factory=set)

    def run(self, world: worlds.World, term: ids.Term) -> None:
        """Stage what changed. Raises StoreError."""
        self._limits()
        self._up_next.clear()
        self._rules(world, term)
        self._drains(world)
        self._reachability()
        self._arrays()

    def _limits(self) -> None:
        now, at = self.steady.now(), self.clock.now()
        for job in list(self.live.due_deadlines(now, self.all_lanes.pace.reviews_max)):
            passed = _passed_limit(job, now)
            if passed:
                self.book.stage(job.id, events.StopRequested(at, jobs.StopCause.DEADLINE, _BY, passed))
                self.live.remind(now + dt.timedelta(seconds=30), job.id)  # should the commit fail

    def _rules(self, world: worlds.World, term: ids.Term) -> None:
        self.compliance.run(world, term)

    @property
    def stamp(self) -> planning.Stamp | None:
        """Return under which stamp every live attempt was judged last, and what followed made durable."""
        return self.compliance.stamp

    def committed(self, term: ids.Term) -> None:
        """Note that what the last run staged is durable: only then it is not looked at again. Raises StoreError."""
        self.compliance.committed(term)
        self._up |= self._up_next
        self._up_next.clear()

    def _drains(self, world: worlds.World) -> None:
        now = self.clock.now()
        for backend in world.draining:
            for job in list(self.live.by_backend.get(backend, {}).values()):
                if job.stop is None and not self.is_fresh(job):
                    text = f"backend {backend} is being drained"
                    self.book.stage(job.id, events.StopRequested(now, jobs.StopCause.DRAINED, _BY, text))

    def _reachability(self) -> None:
        now, now_s, budget = self.clock.now(), self.clock.monotonic(), self.all_lanes.pace.reviews_max
        for lane in self.all_lanes.all():
            sighting = self.seen.of(lane.backend)
            down = sighting.unreachable_since is not None
            if not down and lane.backend in self._up:
                continue
            self._up.discard(lane.backend)
            since_s = lane.down_since_s
            long = down and since_s is not None and now_s - since_s > self.all_lanes.pace.move_after_s
            for job in list(self.live.by_backend.get(lane.backend, {}).values()):
                if budget <= 0:
                    return
                budget -= int(self._reach(job, sighting, now, down=down, long=long))
            if not down:
                self._up_next.add(lane.backend)

    def _reach(self, job: jobs.Job, sighting: sightings.Sighting, now: dt.datetime, *, down: bool, long: bool) -> bool:
        condition = job.condition(UNREACHABLE)
        marked = condition is not None and condition.status
        if not down:
            if marked:
                self.book.stage(job.id, events.ConditionChanged(now, UNREACHABLE, False, "Reachable", ""))
            return marked
        wish = job.spec.on_unreachable
        reason, message = _what_follows(wish, sighting)
        if not marked or (condition is not None and condition.reason != reason):
            self.book.stage(job.id, events.ConditionChanged(now, UNREACHABLE, True, reason, message))
            return True
        if not long or job.stop is not None or job.attempt is None or job.phase is jobs.Phase.STOPPING:
            return False
        if reason == "FenceThenMove":
            self.book.stage(job.id, events.StopRequested(now, jobs.StopCause.UNREACHABLE, _BY, message))
            return True
        if reason == "DuplicateOk":
            self.book.stage(job.id, events.Abandoned(now, job.attempt.number, "Unreachable"))
            return True
        return False

    def _arrays(self) -> None:
        """Pass the stop of an array on to its touched elements."""
        budget = self.all_lanes.pace.reviews_max
        for parent_id, elements in list(self.live.elements.items()):
            parent = self.live.get(parent_id)
            if parent is None or parent.stop is None:
                continue
            for id in list(elements)[:budget]:
                element = self.live.get(id)
                if element is not None and (element.stop is None or element.stop.cause not in _FINAL):
                    budget -= 1
                    stop = events.StopRequested(
                        self.clock.now(), parent.stop.cause, parent.stop.by, parent.stop.message
                    )
                    self.book.stage(id, stop)


_FINAL = frozenset({jobs.StopCause.CANCELLED, jobs.StopCause.DEADLINE})


def _passed_limit(job: jobs.Job, now: dt.datetime) -> str:
    limits = job.spec.limits
    if limits.deadline is not None and now >= job.submitted_at + limits.deadline:
        return f"not done {limits.deadline} after it was submitted"
    started = any(attempt.started_at is not None for attempt in job.attempts) or job.phase is jobs.Phase.RUNNING
    if limits.start_within is not None and not started and now >= job.submitted_at + limits.start_within:
        return f"not started {limits.start_within} after it was submitted"
    return ""


def _what_follows(wish: jobs.OnUnreachable, sighting: sightings.Sighting) -> tuple[str, str]:
    """Return (reason, sentence): what an unreachable backend means for a job with this wish."""
    powers = sighting.capabilities.powers if sighting.capabilities else frozenset()
    lost = f"{sighting.backend} cannot be reached ({sighting.error_code})"
    match wish:
        case jobs.OnUnreachable.FENCE_THEN_MOVE if offers.Capability.FENCES in powers:
            return "FenceThenMove", f"{lost}: the job moves once its attempt there is fenced"
        case jobs.OnUnreachable.FENCE_THEN_MOVE:
            return "Waits", f"{lost}: its adapter cannot fence, so the job waits instead of moving"
        case jobs.OnUnreachable.DUPLICATE_OK if offers.Capability.LISTS_OWNED in powers:
            return "DuplicateOk", f"{lost}: the job may run elsewhere meanwhile; this attempt is stopped later"
        case jobs.OnUnreachable.DUPLICATE_OK:
            return "Waits", f"{lost}: its adapter cannot list what it holds, so the job waits instead of moving"
        case _:
            return "Waits", f"{lost}: the job waits, it is not lost"
