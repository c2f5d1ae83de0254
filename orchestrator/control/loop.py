"""The control loop: observe, plan, commit, act. One call of ``tick`` is one turn; it never waits for a slow backend.

Everything is derived from the store and from what backends say, so a loop may be replaced by a new one at any moment
and nothing is forgotten. What a loop remembers besides (which attempts it placed and never tried, what it read when)
only saves questions; without it, it asks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field

from orchestrator.control import (
    arrivals,
    attestations,
    compliance,
    contents,
    dispatcher,
    duties,
    forgets,
    guards,
    identities,
    index,
    lanes,
    lease,
    ledger,
    marks,
    observer,
    orphans,
    planning,
    policy_clock,
    readings,
    reviews,
    steady,
    verdicts,
    warnings,
    whereabouts,
)
from orchestrator.domain import decisions, events, ids, jobs, obligations
from orchestrator.inventory import inboxes, sightings, worlds
from orchestrator.ports import environment, stores

ROUNDS_MAX = 64
"""Times in one tick that answers which came at once are taken and more is started."""


@dataclass(frozen=True, slots=True)
class World:
    """The ports and values that a loop works on."""

    store: stores.Store
    clock: environment.Clock
    ids: environment.IdFactory
    fleet: environment.Fleet
    executor: environment.Executor
    inventory: worlds.Inventory
    inbox: inboxes.Inbox
    planner: planning.Planner
    pace: lanes.Pace = field(default_factory=lanes.Pace)
    stale_grace: dt.timedelta = compliance.STALE_GRACE
    """So long a running job may stay where nothing but the age of facts refuses it."""
    halted: Callable[[], str] = lambda: ""
    """Says why nothing new may be placed or launched whatever the rules say; empty: nothing keeps it. Cheap."""
    draw_key: bytes = field(default=b"", repr=False)
    """By which spot checks are drawn; the planner draws places by the same."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one tick did; for the pacemaker, logs and metrics."""

    leads: bool
    placed: int = 0
    launched: int = 0
    stopped: int = 0
    launches_due: int = 0
    in_flight: int = 0
    idle: bool = False
    """Nothing waits and nothing was done: a job that comes now would be alone."""
    error: str = ""
    """The failure of the store that ended the tick early; empty: none."""
    review_s: float | None = None
    """How long a review of running jobs took, from the turn that saw a change to what follows made durable; None: no
    review was due."""
    broken: Mapping[ids.JobId, str] = field(default_factory=dict)
    """Jobs whose rows contradict themselves: a bug. They are left as they are, the others go on."""
    overdue: Sequence[obligations.Obligation] = ()
    """What was not done in time, each told once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grounds:
    """What a plan rests on, but for the time."""

    world: worlds.World
    seen: sightings.Seen
    changes: int

    def same(self, other: _Grounds) -> bool:
        """Say whether nothing changed, so that another plan would say the same."""
        return self.world is other.world and self.seen is other.seen and self.changes == other.changes


class Loop:
    """One controller. ``holder`` must name this run of this process: it is the lease's holder."""

    def __init__(self, world: World, *, holder: str) -> None:
        self._w = world
        self._lease = lease.Leadership(world.store, world.clock, holder)
        self._steady = steady.SteadyClock(world.clock)
        self._term: ids.Term | None = None
        self._assemble()

    def _assemble(self) -> None:
        """Make the parts, knowing nothing."""
        w = self._w
        seen = w.inventory.sightings
        self._lanes = lanes.Lanes(w.fleet, w.executor, seen, w.clock, w.ids.jitter, w.pace)
        self._live = index.JobIndex(w.planner)
        self._readings = readings.Readings(w.store, self._live, w.clock, w.pace)
        self._book = ledger.Ledger(w.store, self._live)
        self._touches = observer.Touches(w.clock)
        self._identities = identities.Identities(w.store, w.clock, w.inventory)
        self._marks = marks.Marks(w.store)
        self._where = whereabouts.Whereabouts(w.clock, w.inventory, self._marks)
        self._attestations = attestations.Attestations(
            w.clock, w.inventory, self._live, self._book, self._lanes, self._marks, self._steady.now
        )
        self._observer = observer.Observer(
            live=self._live,
            book=self._book,
            all_lanes=self._lanes,
            clock=w.clock,
            seen=seen,
            jitter=w.ids.jitter,
            touches=self._touches,
            met=self._identities,
            where=self._where,
            attest=self._attestations,
        )
        self._times = policy_clock.PolicyClock(w.store, w.clock, self._steady)
        self._guard = guards.Guard(w.store, w.clock, w.inventory, w.planner, self._times, w.halted)
        self._dispatcher = dispatcher.Dispatcher(
            live=self._live,
            book=self._book,
            all_lanes=self._lanes,
            clock=w.clock,
            store=w.store,
            jitter=w.ids.jitter,
            touches=self._touches,
            guard=self._guard.check,
        )
        self._orphans = orphans.Orphans(w.store, self._live, self._lanes, seen, w.clock)
        self._forgets = forgets.Forgets(w.store, self._lanes, seen, w.clock, self._steady)
        self._duties = duties.Duties(w.store, self._live, w.clock, self._steady)
        self._contents = contents.Contents(w.store, self._lanes, w.clock, w.inventory, w.planner.declared)
        self._verdicts = verdicts.Verdicts(
            w.store, self._live, self._book, w.clock, w.inventory, self._contents, w.draw_key
        )
        self._compliance = compliance.Compliance(
            w.store,
            self._live,
            self._book,
            w.clock,
            self._times,
            w.planner,
            self._dispatcher.is_fresh,
            w.stale_grace,
        )
        self._warnings = warnings.Warnings(w.store)
        self._reviews = reviews.Reviews(
            self._live,
            self._book,
            self._lanes,
            seen,
            w.clock,
            self._steady,
            self._dispatcher.is_fresh,
            self._compliance,
        )
        self._fitted: worlds.World | None = None
        """The world for which the fleet was refreshed last."""
        self._fit_at_s = float("-inf")
        self._settled: worlds.World | None = None
        """The world for which lanes are equipped and every live attempt was judged, durably; None: not known."""

    @property
    def live(self) -> index.JobIndex:
        """Return the loop's copy of the live jobs, for metrics."""
        return self._live

    def nudge(self, backend: str) -> None:
        """Ask for an early observation of one backend; any thread, never blocks."""
        self._lanes.nudge(backend)

    def tick(self, arrival: arrivals.Arrival | None = None) -> Report:
        """Take one turn: 1. lead; 2. observe; 3. plan; 4. commit; 5. act. Never raises for what the world can break.

        Jobs that come while no other waits are planned and launched before anything is observed: what was observed
        last stands as long as the world does, and what it rests on is checked again just before each launch. An
        ``arrival`` is committed on that way only; on any other it is left to who brought it.
        """
        placed = launched = stopped = 0
        try:
            term = self._lead()
            if term is None:
                return Report(leads=False)
            self._times.look(term)
            planned: _Grounds | None = None
            if self._absorb(arrival) and self._settled is self._w.inventory.world():
                placed = self._plan_and_commit(term, arrival)
                launched, stopped = self._act(term, arrival)
                planned = self._grounds()
            self._observe(term)
            if self._live.waiting and (planned is None or not planned.same(self._grounds())):
                placed += self._plan_and_commit(term)
            more, ended = self._act(term)
            launched, stopped = launched + more, stopped + ended
        except stores.StaleTermError as error:
            self._step_down()
            return Report(leads=False, error=str(error))
        except stores.StoreError as error:
            # What was staged is lost and found again: from the store, and by asking backends.
            self._readings.distrust()
            self._dispatcher.distrust()
            return Report(leads=self._term is not None, error=f"{type(error).__name__}: {error}")
        in_flight = sum(len(lane.calls) for lane in self._lanes.all())
        broken, self._book.broken = self._book.broken, {}
        if broken:
            self._readings.distrust()
        due = self._dispatcher.due
        idle = self._settled is not None and not (self._live.waiting or placed or launched or due)
        took_s, self._compliance.took_s = self._compliance.took_s, None
        late = self._duties.take()
        return Report(
            True, placed, launched, stopped, due, in_flight, idle, review_s=took_s, broken=broken, overdue=late
        )

    def close(self) -> None:
        """Let go of the lease."""
        try:
            self._lease.release()
        except stores.StoreError:
            pass  # it runs out by itself

    # --- 1. lead ----------------------------------------------------------------------------------------------------

    def _lead(self) -> ids.Term | None:
        term = self._lease.term()
        if term != self._term:
            # Another term is another life: nothing remembered under the old one may be acted on.
            self._assemble()
            self._term = term
        return term

    def _step_down(self) -> None:
        self._term = None
        self._assemble()

    # --- 2. observe -------------------------------------------------------------------------------------------------

    def _observe(self, term: ids.Term) -> None:
        self._settled = None
        world = self._w.inventory.world()
        now_s = self._w.clock.monotonic()
        if world is not self._fitted or now_s >= self._fit_at_s:
            self._w.fleet.refresh(world.backends)
            self._lanes.keep_only(set(world.backends))
            self._fitted, self._fit_at_s = world, now_s + self._w.pace.fit_every_s
        for name in world.backends:
            lane = self._lanes.lane(name)
            self._lanes.equip(lane)
            self._observer.start(lane, self._dispatcher.knows)
            if not lane.stranger:
                self._orphans.start(lane)
        self._forgets.start(term)
        self._settle(term)
        self._identities.commit(term)
        self._where.review(self._w.inventory.world(), self._live.occupying.values(), self._book)
        self._marks.commit(term)
        reviewed = self._w.inventory.world()
        self._reviews.run(reviewed, term)
        self._commit(term)
        self._reviews.committed(term)
        self._where.committed()
        self._verdicts.run(term, lambda: self._commit(term))
        self._duties.run(term)
        self._warnings.run(reviewed, self._times.review_now(), term)
        self._settled = world if reviewed is world else None

    def _grounds(self) -> _Grounds:
        return _Grounds(self._w.inventory.world(), self._w.inventory.sightings.seen(), self._live.changes)

    def _absorb(self, arrival: arrivals.Arrival | None) -> bool:
        """Take what the use cases committed, and what is to be read again.

        Return whether new jobs came, or just the one that arrives, nothing else did, and none waited before.
        """
        alone = not self._live.waiting
        changed, lost = self._w.inbox.drain()
        if self._readings.read(lost=lost):
            alone = False
        for job in changed:
            known = self._live.get(job.id) is not None or job.parent is not None
            taken = self._live.put(job)
            alone = alone and taken and not known and job.phase is jobs.Phase.QUEUED and job.stop is None
        return alone and bool(changed) is (arrival is None)

    def _settle(self, term: ids.Term) -> bool:
        """Wait a small bounded time for calls in flight, and take what was answered. Return whether anything was."""
        self._wait(self._w.pace.settle_s)
        taken = False
        for lane in self._lanes.all():
            for call in self._lanes.done(lane):
                taken = True
                self._take(lane, call, term)
        return taken

    def _wait(self, timeout_s: float) -> None:
        """Wait until one of the calls in flight is answered, not longer than a tick may."""
        waiting = [call.future for lane in self._lanes.all() for call in lane.calls]
        timeout_s = min(timeout_s, self._w.pace.settle_s)
        if waiting and timeout_s > 0 and not any(future.done() for future in waiting):
            futures.wait(waiting, timeout=timeout_s, return_when=futures.FIRST_COMPLETED)

    def _take(self, lane: lanes.Lane, call: lanes.Call, term: ids.Term) -> None:
        match call.kind:
            case "offers":
                self._observer.take_offers(lane, call)
            case "observe":
                self._observer.take_observations(lane, call)
            case "submit":
                self._dispatcher.take_launches(lane, call)
            case "stop":
                self._dispatcher.take_stops(lane, call)
            case "list":
                self._orphans.take(lane, call, term)
            case "attest":
                self._attestations.take(lane, call)
            case "forget":
                self._forgets.take(lane, call)
            case "outputs":
                self._live.unjudged.add(self._contents.take(lane, call))
            case _:
                error = call.future.exception()
                if error is not None:
                    self._lanes.failed(lane, error)

    # --- 3. plan, 4. commit -------------------------------------------------------------------------------------------

    def _plan_and_commit(self, term: ids.Term, arrival: arrivals.Arrival | None = None) -> int:
        if self._times.back or self._w.halted():
            return 0
        if arrival is None:
            return self._plan(term)
        self._live.put(arrival.job)
        try:
            return self._plan(term, arrival)
        except (stores.DuplicateKeyError, stores.StoreFullError):
            return 0  # an answer to the submission alone: nothing of ours is lost
        finally:
            if arrival.receipt is None:
                self._live.drop(arrival.job.id)

    def _plan(self, term: ids.Term, arrival: arrivals.Arrival | None = None) -> int:
        w = self._w
        world = w.inventory.world()
        now = w.clock.now()
        stamp = w.planner.stamp(world, now)
        plan = w.planner.plan(planning.Cycle(now, term, world, w.inventory.sightings.seen(), self._live.jobs))
        for placement in plan.placements:
            hand = plan.hands.get(placement.key)
            event = events.Placed(now, placement.number, placement.site, placement.decision, hand)
            counted, owed = plan.counted.get(placement.key, ()), plan.owed.get(placement.key, ())
            self._book.stage(placement.job, event, placement, counted, owed)
        for job, note in plan.notes:
            self._book.stage(job, note)
        placed = self._commit(term, made=plan.made, contents=plan.contents, arrival=arrival)
        for placement in placed:
            self._dispatcher.placed(placement, stamp)
            self._compliance.expect(placement.expires)
        return len(placed)

    def _commit(
        self,
        term: ids.Term,
        *,
        made: Sequence[decisions.Decision] = (),
        contents: Sequence[decisions.Content] = (),
        arrival: arrivals.Arrival | None = None,
    ) -> list[decisions.Placement]:
        self._marks.commit(term)  # whatever is staged may follow from one
        if not len(self._book) and arrival is None:
            return []
        before = self._attempts_at_risk()
        placed = self._book.commit(term, made=made, contents=contents, arrival=arrival, stored=self._w.planner.stored)
        for key, job_id in before.items():
            job = self._live.get(job_id)
            if job is None or job.attempt is None or job.attempt.key != key:
                self._dispatcher.forget(key)
                self._observer.absent.pop(key, None)
        return placed

    def _attempts_at_risk(self) -> dict[ids.AttemptKey, ids.JobId]:
        """Return the attempts that the commit may end: what is remembered of them is dropped then."""
        found: dict[ids.AttemptKey, ids.JobId] = {}
        for id in self._book.subjects():
            job = self._live.get(id)
            if job is not None and job.attempt is not None:
                found[job.attempt.key] = id
        return found

    # --- 5. act -----------------------------------------------------------------------------------------------------

    def _act(self, term: ids.Term, arrival: arrivals.Arrival | None = None) -> tuple[int, int]:
        """Launch and stop what is due; what is answered at once is committed, and makes room for more.

        Who waits for ``arrival`` is told once its launch has had a head start: both rest on the same commit, and an
        answer, with what the client asks next, would take the interpreter from the launch.
        """
        launched = stopped = 0
        for _ in range(ROUNDS_MAX):
            self._try_again(term)
            world = self._w.inventory.world()
            started = 0
            for lane in self._lanes.all():
                stops = self._dispatcher.start_stops(lane, term, lambda: self._guard.check_term(term))
                launches = self._dispatcher.start_launches(lane, term, world)
                launched, stopped, started = launched + launches, stopped + stops, started + stops + launches
            if arrival is not None:
                self._wait(self._w.pace.head_start_s)
                arrival.tell()
                arrival = None
            self._commit(term)
            if not started and not any(lane.in_flight("submit") for lane in self._lanes.all()):
                break
            taken = self._settle(term)
            self._commit(term)
            if not taken:
                break
        return launched, stopped

    def _try_again(self, term: ids.Term) -> None:
        """Make durable that attempts which their backends do not have are tried again; then they are due."""
        absent = dict(self._observer.absent)
        if not absent:
            return
        self._observer.absent.clear()
        now, stamp = self._w.clock.now(), self._reviews.stamp
        if stamp is None or self._times.back or self._w.halted():
            return
        wanted: dict[ids.AttemptKey, ids.JobId] = {}
        for key, id in absent.items():
            job = self._live.get(id)
            attempt = job.attempt if job is not None else None
            if attempt is not None and attempt.key == key and attempt.phase is jobs.Phase.PLACED:
                self._book.stage(id, events.SubmitTried(now, attempt.number))
                wanted[key] = id
        self._commit(term)
        for key, id in wanted.items():
            self._dispatcher.again(key, id, stamp)


def holder_name(host: str, process: int, started_at: dt.datetime, nonce: float) -> str:
    """Return a name for one run of one process, as the lease wants it."""
    return f"{host}/{process}/{started_at.isoformat()}/{int(nonce * 1e9):09d}"[:200]
