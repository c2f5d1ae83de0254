"""A history: users and faults drawn from a seed, invariants after each step, then peace, and everything must end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain import jobs
from orchestrator.testing import faults
from tests.sim import invariants, rules, worlds

SLOTS_MAX = 14
"""Jobs that a history submits before peace."""
LONG_S = 600_000
"""A job that is still there after a week, if nobody ends it."""
AGEING_STEP = 12
LYING_STEPS = (8, 20, 32, 44)
"""Steps at which a history of lies has one for certain."""
RETRY = tuple(jobs.RetryOn)


@dataclass(frozen=True, slots=True)
class Result:
    """What a history was like."""

    hours: float
    steps: int
    lives: int
    effects: int
    phases: frozenset[jobs.Phase]
    declared: Mapping[str, int]
    """What was done of fault 35, and how often."""
    met: Mapping[str, int]
    """Steps at which live jobs met what refuses, by what it was."""


class History:
    """One seed."""

    def __init__(self, seed: int, world: worlds.World | None = None) -> None:
        self.world = world or worlds.World(seed)
        self.random = self.world.random
        self.checker = invariants.Checker(self.world)
        self._watch_calls()
        self.steps = 0

    def _watch_calls(self) -> None:
        for adapter in self.world.adapters.values():
            inner = adapter.submit

            def submit(placement, inner=inner, name=adapter.name):  # type: ignore[no-untyped-def]
                self.checker.called(name, placement)
                return inner(placement)

            adapter.submit = submit  # type: ignore[method-assign]

    def run(self, steps: int = 60) -> Result:
        """Live it; raises ``invariants.Violation``."""
        world, profile = self.world, self._profile()
        self.world.chaos.rates = profile
        for number in range(steps):
            if number == AGEING_STEP and self.ageing:
                for name in worlds.COUNTRIES:
                    self._try(lambda name=name: world.rules.end_facts(name, world.clock.now().date().isoformat()))
            if self.random.random() < 0.15:
                self._weather(profile)
            self._users()
            if world.strays:
                self._try(world.stray)
            if world.lies and number in LYING_STEPS:
                turn = world.seed + LYING_STEPS.index(number)
                self._try(lambda turn=turn: world.rules.lie(self.random, turn))
            self._step(self._pause())
        self._peace()
        return Result(
            world.clock.monotonic() / 3600, self.steps, world.lives, self.checker.effects,
            frozenset(self.checker.seen_phases), dict(world.rules.declared), dict(self.checker.met),
        )  # fmt: skip

    # --- the pieces of a step -----------------------------------------------------------------------------------------

    def _step(self, seconds: float) -> None:
        world = self.world
        self.steps += 1
        world.clock.advance(seconds)
        world.chaos.arrive()
        world.tick()
        for old in list(world.old_loops):
            if self.random.random() < 0.2:
                world.old_loops.remove(old)
                paused, lost = old
                now, world.rules.packs_lost = world.rules.packs_lost, lost
                try:
                    paused.tick()  # a paused controller comes back with its old ideas
                except worlds.Crash:
                    pass
                finally:
                    world.rules.packs_lost = now
        if self.random.random() < self.renewal:
            world.replace(graceful=self.random.random() < 0.7)
        self.checker.step()

    renewal = 0.0
    ageing = False
    """A history in which facts grow old while little else is declared."""
    nights = 0.0
    """Share of the pauses in which days pass."""

    def _pause(self) -> float:
        if self.random.random() < self.nights:
            return self.random.choice((6, 14, 30)) * 3600
        return self.random.choice((0.3, 0.6, 1, 2, 5, 20, 60, 90, 400, 1800))

    def _profile(self) -> faults.Rates:
        """Each history has its own climate."""
        draw = self.random.random
        scale = self.random.choice((0.0, 0.05, 0.2, 0.4))
        self.renewal = self.random.choice((0.0, 0.1, 1.0))
        self.nights = self.random.choice((0.0, 0.0, 0.05, 0.2))
        self.ageing = self.nights > 0 and self.random.random() < 0.3
        self.world.crash_rate = self.random.choice((0.0, 0.02, 0.08))
        self.world.between_rate = self.random.choice((0.0, 0.03, 0.1))
        self.world.busy_rate = self.random.choice((0.0, 0.05))
        self.world.chaos.arrival = self.random.choice((0.05, 0.2, 0.5))
        rates = faults.Rates(*(draw() * scale for _ in range(7)))
        rates.late = self.random.choice((0.0, rates.late, 0.4))
        return rates

    def _weather(self, profile: faults.Rates) -> None:
        """Change what goes wrong."""
        world, chaos, roll = self.world, self.world.chaos, self.random.random()
        name = self.random.choice(sorted(worlds.COUNTRIES))
        if roll < 0.35:
            chaos.rates = profile if self.random.random() < 0.7 else faults.Rates()
        elif roll < 0.5:
            chaos.down ^= {name}
        elif roll < 0.6:
            chaos.black_holes ^= {name}
        elif roll < 0.75:
            if not self.ageing or self.random.random() < 0.1:
                self._try(lambda: world.rules.change(self.random))
        elif roll < 0.85:
            world.clock.jump(dt.timedelta(hours=self.random.choice((-1, 1))))
        else:
            flags = self.random.choice(({}, {"cordoned": True}, {"draining": True}))
            self._try(lambda: world.cordon(name, flags))

    def _try(self, what) -> None:  # type: ignore[no-untyped-def]
        try:
            what()
        except (worlds.Crash, worlds.stores.StoreError):
            pass  # it took hold or it did not: the store knows

    def _users(self) -> None:
        world = self.world
        if self.random.random() < 0.04:
            self._try(lambda: world.rules.confirm(self.random))
        if self.random.random() < 0.35 and len(world.acknowledged) < SLOTS_MAX:
            world.submit(self._spec())
        if self.random.random() < 0.06 and world.acknowledged:
            world.cancel(self.random.choice(sorted(world.acknowledged)))
        if self.random.random() < 0.05:
            elements = [job.id for job in world.store.live_jobs() if job.parent is not None]
            if elements:
                world.cancel(self.random.choice(elements))

    def _spec(self) -> jobs.JobSpec:
        pick = self.random.choice
        name = pick(("job",) * 6 + ("gang", "array", "poison", "oom"))
        run_s = pick((0.5, 3, 30, 200, 2000, *((LONG_S,) * (4 if self.nights else 0))))
        code = 137 if name == "oom" else pick((0, 0, 0, 1))
        return jobs.JobSpec(
            name=name,
            command=("true",),
            env=(("SIMULATE_RUN_TIME", str(run_s)), ("SIMULATE_EXIT_CODE", str(code)), ("TOKEN", worlds.SECRET)),
            data=jobs.DataClause(declared_none=True),
            nodes=2 if name == "gang" else 1,
            array=jobs.ArraySpec(pick((2, 5)), pick((None, 2))) if name == "array" else None,
            limits=jobs.Limits(deadline=pick((None, None, None, dt.timedelta(hours=2)))),
            retry=jobs.Retry(pick((1, 2, 4)), RETRY),
            on_unreachable=pick(tuple(jobs.OnUnreachable)),
            on_non_compliant=pick(tuple(jobs.OnNonCompliant)),
            model=pick((None, None, *(jobs.ModelClause(id=name) for name in rules.MODELS))),
        )

    # --- the end ------------------------------------------------------------------------------------------------------

    def _peace(self) -> None:
        """Faults stop; within some hours everything must have ended (I9), and nothing runs that nobody owns (I5)."""
        world = self.world
        world.crash_rate = world.busy_rate = world.between_rate = self.renewal = 0.0
        world.chaos.calm()
        world.old_loops.clear()
        world.rules.quiet()
        for name in worlds.COUNTRIES if world.strays else ():
            world.stands_in(name, None)
        for job in world.store.live_jobs():
            if job.parent is None and ("SIMULATE_RUN_TIME", str(LONG_S)) in job.spec.env:
                world.cancel(job.id)
        for name in worlds.COUNTRIES:
            world.cordon(name, {})
        world.replace(graceful=False)
        for number in range(400):
            self._step(5 if number < 40 else 120)
            if number > 45 and not self._open():
                break
        self.checker.finish()

    def _open(self) -> bool:
        return any(
            not any(c.status and c.type in ("Quarantined", "Unplaceable") for c in job.conditions)
            for job in self.world.store.live_jobs()
        )
