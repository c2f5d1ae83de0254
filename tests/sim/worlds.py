"""A whole control plane on a virtual clock: real loop, scheduler, policy and memory store; pretended machines.

One seed is one history. ``World`` builds the pieces, lets a control loop live for a while, kills it, and makes another.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
import types
from collections.abc import Callable, Mapping

from backends.simulated import adapter, attest, client, settings
from orchestrator.control import arrivals, lanes, loop, planners
from orchestrator.domain import events, ids, jobs, journal, obligations, sites
from orchestrator.inventory import catalogues, claimants, inboxes, sightings, worlds
from orchestrator.inventory import changes as stored_changes
from orchestrator.ports import backends, stores
from orchestrator.scheduler import snapshots
from orchestrator.service import cancellations
from orchestrator.store import failpoints, memory
from orchestrator.testing import fakes, faults
from tests.sim import bundles, rules

COUNTRIES = {"fr": "FR", "de": "DE", "sg": "SG"}
OPERATORS = {"fr": "host", "de": "host", "sg": "abroad"}
SLOTS = {"fr": 6, "de": 4, "sg": 8}
LAG = {"fr": 0, "de": 60, "sg": 0}
TTL_S = 15
STRAYS_FROM, LIES_FROM = 40_000, 60_000
DUTY = "eu-dora.register+exit"
"""What every placement brings in a world with strays: its tenant is a bank."""
SECRET = "s3cr3t-value-of-a-job"
STAMP = rules.STAMP


class Crash(BaseException):
    """The process ends here."""


document = rules.document


class World:
    """Everything outside the loop, and the loop of the moment."""

    arrival_rate = 0.5
    """Share of single jobs that come in at the loop's own door."""
    operators: Mapping[str, str] = OPERATORS
    pools: Mapping[str, str] = types.MappingProxyType({})
    """Pools of every machine beside the first one -> end of the name of who operates it there."""
    draw_key = b""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.strays, self.lies = STRAYS_FROM <= seed < LIES_FROM, seed >= LIES_FROM
        """Machines say where they stand, and lie; every placement brings a duty, and a person does some of them."""
        self.whims = random.Random(f"{seed} whims")
        self.says: dict[str, str | None] = {}
        """The country that each machine says it stands in."""
        self.done: set[tuple[str, str]] = set()
        """Duties that a person did, by job and code."""
        self.clock = fakes.VirtualClock()
        self.ids = fakes.SeededIds(seed)
        self.crash_rate = 0.0
        self.busy_rate = 0.0
        self.between_rate = 0.0
        """Share of commits right after which the process is stopped while another takes over, or a rule changes."""
        self._between = False
        self.chaos = faults.Chaos(seed, before=self._before_call, after=self._after_call)
        self.store = memory.MemoryStore(self.clock, failpoints=self._failpoint)
        self.rules = rules.Rules(self)
        self.high = dt.datetime.min.replace(tzinfo=dt.UTC)
        """The latest time that the loop of the moment has seen, or can know of."""
        self.steady_tick = False
        """The last turn was whole: the loop led, nothing failed, and nothing was declared meanwhile."""
        self.on_effect: Callable[[str, backends.SealedPlacement], None] = lambda backend, sealed: None
        self.machines = {name: client.Machine(self.clock.true_now) for name in COUNTRIES}
        self.simulated: dict[str, adapter.SimulatedAdapter] = {}
        self.adapters = {name: self._adapter(name) for name in COUNTRIES}
        self.claimants = bundles.trusting() if self.lies else claimants.NOBODY
        """Whom the trust list names."""
        self.acknowledged: dict[ids.JobId, str] = {}
        self.lives = 0
        self.together = 0
        """Submissions that were one commit with what the loop decided."""
        self.old_loops: list[tuple[loop.Loop, bool]] = []
        """Paused processes, and whether each has lost its packs: what one read in time it still knows."""
        self.in_settle = False
        self._declare()
        self.loop = self.new_loop()

    def _adapter(self, name: str) -> backends.BackendAdapter:
        pools = tuple(sites.Pool(pool, count=SLOTS[name]) for pool in ("p", *self.pools))
        context = backends.AdapterContext(name, pools, "", "sim", self.clock.true_now)
        wanted = settings.Settings.read({"runTime": 30, "startDelay": 2})
        self.simulated[name] = adapter.SimulatedAdapter(wanted, context, self.machines[name])
        inner = Watched(self, name, self.simulated[name])
        lag = dt.timedelta(seconds=LAG[name])
        return faults.FaultyAdapter(inner, name, self.chaos, lag=lag, now=self.clock.true_now)

    def _declare(self) -> None:
        self.store.commit(
            stores.Changes(
                documents=[
                    document(
                        "ControlPlane",
                        "self",
                        {
                            "operator": "host",
                            "location": {"country": "FR"},
                            "adminFrom": ["FR"],
                            "logStore": {"country": "FR"},
                        },
                    ),
                    *(document("Operator", one, rules.operator(one)) for one in self.all_operators()),
                    document("Tenant", "default", self.tenant({})),
                    *(self._backend(name) for name in COUNTRIES),
                ]
            )
        )

    def all_operators(self) -> list[str]:
        """Return the names of all operators."""
        return sorted(
            {*self.operators.values(), *(f"{name}-{end}" for name in COUNTRIES for end in self.pools.values())}
        )

    def tenant(self, floor: dict[str, object]) -> dict[str, object]:
        """Return the declaration of the tenant."""
        return {"floor": floor} | ({"sector": "eu-finance"} if self.strays else {})

    def _backend(self, name: str) -> stores.Document:
        place: dict[str, object] = {"country": COUNTRIES[name]}
        if self.strays:
            place["regionPinnedByContract"] = True
        spec: dict[str, object] = {
            "adapter": "simulated", "operator": self.operators[name], "location": place, "facts": STAMP,
            "logStore": {"country": COUNTRIES[name]},
            "adminFrom": ["FR"], "pools": [{"name": "p", "count": SLOTS[name]}, *self._more(name)],
        }  # fmt: skip
        return document("Backend", name, spec)

    def _more(self, name: str) -> list[dict[str, object]]:
        return [{"name": pool, "count": SLOTS[name], "operator": f"{name}-{end}"} for pool, end in self.pools.items()]

    # --- loops --------------------------------------------------------------------------------------------------------

    def new_loop(self) -> loop.Loop:
        """Make a control loop that knows nothing: another run of the process."""
        self.lives += 1
        seen = sightings.Sightings()
        self.high = self.high_on_record()
        self.keeper = bundles.Keeper(lambda: self.rules.packs_damaged)
        before, self.rules.packs_lost = self.rules.packs_lost, self.rules.packs_damaged
        if before or self.rules.packs_lost:
            self.steady_tick = False  # a turn of the process before says nothing of what this one knows
        self.inventory = worlds.Inventory(
            self.store,
            self.keeper.book,
            catalogues.EmptyCatalogue(),
            seen,
            lists=lambda: self.rules.screener,
            trust=lambda: self.claimants,
        )
        self.inbox = inboxes.Inbox()
        self.door = arrivals.Arrivals(self.store, self.inbox, fakes.NoWake())
        parts = loop.World(
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            fleet=fakes.FixedFleet(self.adapters),
            executor=fakes.InlineExecutor(),
            inventory=self.inventory,
            inbox=self.inbox,
            planner=planners.SchedulerPlanner(settings=snapshots.Settings(draw_key=self.draw_key)),
            draw_key=self.draw_key,
            pace=lanes.Pace(settle_s=0, read_again_s=300, forget_after_s=900, forget_every_s=120),
        )
        return loop.Loop(parts, holder=f"run-{self.lives}")

    def tick(self, arrival: arrivals.Arrival | None = None) -> bool:
        """Take one turn; a crash ends the process, and another one starts. Return whether there was none."""
        self.rules.seen = self.rules.mark()
        self.high = max(self.high, self.clock.now())
        self.steady_tick = False
        try:
            report = self.loop.tick(arrival)
            assert not report.broken, report.broken
        except Crash:
            self.replace(graceful=False, crashed=True)
            return False
        # What the loop itself writes (marks, held changes) is no news to it.
        self.steady_tick = report.leads and not report.error and self.rules.mark() == self.rules.seen
        return True

    def high_on_record(self) -> dt.datetime:
        """Return the latest time that a new loop can know of: noted for the clock, or of the newest entries."""
        mark, _ = stored_changes.clock(self.store)
        after = max(self.store.head().seq - 64, mark.seq if mark else 0)
        times = [link.entry.at for link in self.store.entries(after=after, limit=64)]
        return max([*times, *([mark.floor] if mark else [])], default=dt.datetime.min.replace(tzinfo=dt.UTC))

    def replace(self, *, graceful: bool, crashed: bool = False) -> None:
        """Replace the loop: released, or dead (or only paused, and coming back later with its old ideas)."""
        if graceful:
            self.loop.close()
        else:
            self.clock.advance(TTL_S + 1)
            if not crashed and self.random.random() < 0.3:
                self.old_loops = [*self.old_loops, (self.loop, self.rules.packs_lost)][-2:]
        self.loop = self.new_loop()

    # --- users --------------------------------------------------------------------------------------------------------

    def submit(self, spec: jobs.JobSpec) -> ids.JobId | None:
        """Submit as the service does, over crashes before and after the commit; return the id if acknowledged."""
        id = self.ids.job_id()
        size = spec.array.size if spec.array else spec.verification.replicas if spec.verification else 0
        state = jobs.ArrayState(((0, size),)) if size else None
        now = self.clock.now()
        job = jobs.Job(
            id=id, tenant="default", spec=spec, spec_digest=ids.Digest(f"sha256:{id}"), submitted_at=now,
            submitted_by="user", array_state=state,
        )  # fmt: skip
        body = {"name": spec.name, "spec": job.spec_digest}
        entry = journal.Entry("job.submitted", f"job/{id}", now, "user", body, "default")
        key = stores.IdempotencyKey("default", f"key-{id}", job.spec_digest, id)
        changes = stores.Changes(jobs=(job,), keys=(key,), entries=(entry,))
        for _ in range(20):
            arrives = state is None and self.random.random() < self.arrival_rate
            try:
                if arrives:
                    self._arrive(changes)
                else:
                    self._tell(self.store.commit(changes).jobs)
            except stores.DuplicateKeyError:
                break  # the first try was durable: the retry answers with the same job
            except (Crash, stores.StoreError):
                continue
            break
        else:
            return None
        self.acknowledged[id] = spec.name
        return id

    def _arrive(self, changes: stores.Changes) -> None:
        """Come in at the loop's own door, whatever it is doing; who comes in when it crashes gets no answer."""
        arrival = arrivals.Arrival(changes)
        if not self.tick(arrival):
            raise Crash
        self.together += arrival.receipt is not None
        self.door.see_off(arrival)
        arrival.future.result(0)

    def cancel(self, id: ids.JobId) -> None:
        """Cancel as the service does."""
        for _ in range(20):
            job = self.store.job(id)
            if job is None:
                return
            stop = events.StopRequested(self.clock.now(), jobs.StopCause.CANCELLED, "user")
            changes = cancellations.changes(self.store, job, stop)
            if changes is None:
                return
            try:
                self._tell(self.store.commit(changes).jobs)
            except (Crash, stores.StoreError):
                continue
            return

    def _tell(self, changed: object) -> None:
        if self.random.random() < 0.9:  # a lost message costs time, never truth
            self.inbox.offer(changed)  # type: ignore[arg-type]

    def deny(self, countries: frozenset[str]) -> None:
        """Tighten (or loosen) the tenant's floor, in force at once."""
        self.rules.deny(countries)

    def cordon(self, backend: str, flags: dict[str, bool]) -> None:
        """Change what the system keeps about a backend."""
        stored = self.store.document("Backend", backend)
        assert stored is not None
        changed = dataclasses.replace(stored, status=json.dumps(flags))
        self.store.commit(stores.Changes(documents=[changed]))

    def stands_in(self, backend: str, country: str | None, **more: object) -> None:
        """Let a machine say that its nodes stand in a country; None: it says nothing of that any more."""
        machine = self.simulated[backend]
        seen = settings.Whereabouts.read({"country": country, **more} if country is not None else {})
        machine._wanted = machine._wanted.model_copy(update={"whereabouts": seen})
        self.says[backend] = country

    def stray(self) -> None:
        """Let a machine say something else, or a person do a duty; sometimes."""
        draw = self.whims
        if draw.random() < 0.12:
            name = draw.choice(sorted(COUNTRIES))
            self.stands_in(name, draw.choice((None, COUNTRIES[name], COUNTRIES[name], "DE", "SG")))
        if draw.random() < 0.1:
            found = self.store.list_obligations(stores.ObligationFilter(), limit=1000).items
            pending = sorted((one for one in found if one.state.pending), key=lambda one: one.key)
            if pending:
                self._fulfil(draw.choice(pending))

    def _fulfil(self, one: obligations.Obligation) -> None:
        done = obligations.Fulfilment("register/1", "sha256:" + "a" * 64, "p", "", "t", self.clock.now())
        body = {"code": one.duty.code}
        entry = journal.Entry("obligation.fulfilled", f"job/{one.job}", done.at, "t", body, one.tenant)
        self.done.add((str(one.job), one.duty.code))  # it took hold or it did not: the store knows
        self.store.commit(stores.Changes(obligations=(obligations.fulfilled(one, done),), entries=(entry,)))

    def attests(self, backend: str, **said: object) -> None:
        """Give a machine a verifier; see ``settings.Attestation``."""
        machine = self.simulated[backend]
        wanted = settings.Attestation.read(said)
        machine._wanted = machine._wanted.model_copy(update={"attestation": wanted})
        machine._verifier = attest.Verifier(wanted)

    # --- faults -------------------------------------------------------------------------------------------------------

    def _failpoint(self, name: str) -> None:
        if self.crash_rate and self.random.random() < self.crash_rate:
            raise Crash
        if name == failpoints.AFTER_COMMIT and self.between_rate and not self._between:
            self._between = True
            try:
                if self.random.random() < self.between_rate:
                    self._takeover()
                if self.random.random() < self.between_rate:
                    self.rules.change(self.random)
            finally:
                self._between = False
        if name == failpoints.BEFORE_COMMIT and self.busy_rate and self.random.random() < self.busy_rate:
            raise stores.StoreBusyError("pretended")

    def _takeover(self) -> None:
        """The process is stopped right here; another one takes the lease and works; then this one goes on."""
        crash_rate, self.crash_rate = self.crash_rate, 0.0
        busy_rate, self.busy_rate = self.busy_rate, 0.0
        self.clock.advance(TTL_S + 1)
        self.loop = self.new_loop()
        for _ in range(self.random.choice((1, 3))):
            self.high = max(self.high, self.clock.now())
            self.loop.tick()
            self.clock.advance(1)
        self.crash_rate, self.busy_rate = crash_rate, busy_rate

    def _before_call(self, backend: str, verb: str) -> None:
        if self.crash_rate and self.random.random() < self.crash_rate / 3:
            raise Crash

    _after_call = _before_call


class Watched(backends.BackendAdapter):
    """The inner side of the bad line: sees each effect as it happens."""

    def __init__(self, world: World, name: str, inner: adapter.SimulatedAdapter) -> None:
        self._world = world
        self._name = name
        self._inner = inner
        verbs = ("observe", "stop", "list_owned", "forget", "close", "offers", "capabilities", "attest")
        for verb in (*verbs, "list_outputs", "read_output"):
            setattr(self, verb, getattr(inner, verb))

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """See the port."""
        if placement.spec.name.startswith("poison"):
            raise ValueError("a spec that breaks the renderer")
        self._world.on_effect(self._name, placement)
        return self._inner.submit(placement)

    def capabilities(self):
        raise AssertionError

    def offers(self):
        raise AssertionError

    def observe(self, refs):
        raise AssertionError

    def stop(self, ref, fence, grace):
        raise AssertionError

    def close(self):
        raise AssertionError

    list_owned = forget = attest = list_outputs = read_output = close
