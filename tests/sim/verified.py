"""Verified jobs over crashes, bad lines, tightened rules and cancels, with operators who lie.

The one that runs the control plane is trusted. Each machine has three pools of three operators; those of one machine
lie, each otherwise, from some moment on. I14: each job ends by its verdict, which names what a lone liar never said; no
hand ever has two runs; nobody answers for what is right; nothing goes on of which nothing is needed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types

from backends.simulated import render
from orchestrator.domain import jobs
from orchestrator.ports import stores
from orchestrator.verification import receipts
from tests.sim import histories, worlds
from tests.sim.invariants import need

FIRST = 130_000
LIAR, LIARS = "sg", frozenset({"abroad", "sg-second", "sg-third"})
TRUSTED = "fr/p"
_ALL = stores.JobFilter(top_level_only=False)


class World(worlds.World):
    """Three machines of nine operators."""

    operators = types.MappingProxyType({"fr": "host", "de": "other", "sg": "abroad"})
    pools = types.MappingProxyType({"q": "second", "r": "third"})
    draw_key = bytes(range(32))
    lying = False

    def lie(self) -> None:
        """Let one machine answer something else from now on."""
        machine = self.simulated[LIAR]
        machine._wanted = machine._wanted.model_copy(update={"answers": "wrong"})
        self.lying = True


class History(histories.History):
    """A history most of whose jobs are verified."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, World(seed))

    def run(self, steps: int = 60) -> histories.Result:
        """Live it; raises ``invariants.Violation``."""
        result = super().run(steps)
        check(self.world)
        return result

    def ends(self) -> set[str]:
        """Return the words by which verified jobs ended."""
        rows = self.world.store.list_jobs(stores.JobFilter(), limit=100_000).items
        return {row.reason for row in rows if row.spec.verification is not None}

    def _users(self) -> None:
        if not self.world.lying and self.random.random() < 0.1:
            self.world.lie()
        super()._users()

    def _step(self, seconds: float) -> None:
        super()._step(seconds)
        for row in self.world.store.live_jobs():
            parent = self.world.store.job(row.parent) if row.parent is not None else None
            if parent is not None and row.spec.verification is not None and parent.phase.terminal:
                need(row.stop is not None, "I14", f"{row.id} goes on after the verdict")

    def _spec(self) -> jobs.JobSpec:
        spec = super()._spec()
        if spec.array is not None or spec.name != "job" or self.random.random() < 0.2:
            return spec
        replicas = self.random.choice((1, 2, 2, 2, 3))
        distinct = self.random.choice((frozenset(), frozenset({jobs.Distinct.OPERATOR}), frozenset(jobs.Distinct)))
        rate = self.random.choice((0.0, 0.0, 0.5, 1.0))
        near = self.random.choice((None, None, jobs.Tolerance(relative=1e-6)))
        wanted = jobs.Verification(replicas, replicas // 2 + 1, distinct, rate, near)
        return dataclasses.replace(spec, outputs=(jobs.Output("a.json" if near else "a"),), verification=wanted)


def check(world: worlds.World) -> None:
    """Check every verified job of a history that is over."""
    for parent in world.store.list_jobs(stores.JobFilter(), limit=100_000).items:
        if parent.spec.verification is not None:
            family = world.store.list_jobs(stores.JobFilter(parent=parent.id), limit=1000).items
            _check(world, parent, {row.index: row for row in family if row.index is not None})
    guilty = blamed(world)
    need(guilty <= LIARS, "I14", f"{guilty - LIARS} answer for what is right")


def _check(world: worlds.World, parent: jobs.Job, runs: dict[int, jobs.Job]) -> None:
    id, wanted, state = parent.id, parent.spec.verification, parent.array_state
    assert wanted is not None
    assert state is not None
    counted = {phase: sum(row.phase is phase for row in runs.values()) for phase in jobs.Phase}
    right = {phase: count for phase, count in counted.items() if count}
    need(dict(state.counts) == right, "I14", f"{id} counts {state.counts}, and there are {right}")
    need(len(runs) <= wanted.children_max, "I14", f"{id} has {len(runs)} runs")
    had = {number: {attempt.site for attempt in row.attempts} for number, row in runs.items()}
    for number, mine in had.items():
        others = set().union(*(had[other] for other in had if other != number and other < wanted.replicas))
        need(not mine & others, "I14", f"{id}: run {number} lies where a sibling ran: {had}")
        need(number < wanted.replicas or mine <= {TRUSTED}, "I14", f"{id}: the trusted run {number} lies at {mine}")
    told = [link.entry.body for link in world.store.entries(subject=f"job/{id}", limit=10_000)]
    told = [body for body in told if "receipt" in body and "accepted" in body]
    need(len(told) <= 1, "I14", f"{id} was judged {len(told)} times")
    for body in told:
        need(receipts.rejudge(body["receipt"]), "I14", f"the receipt of {id} does not hold")
    if parent.phase.terminal and parent.stop is None:
        need(bool(told), "I14", f"{id} ended {parent.phase} without a verdict")
        need((parent.phase is jobs.Phase.SUCCEEDED) is (state.accepted is not None), "I14", f"{id} is {parent.phase}")
    if state.accepted is not None:
        last = runs[state.accepted].attempt
        assert last is not None
        # One hand that nobody was asked to confirm is believed; else a liar that is alone with its lie never is.
        lone = wanted.replicas == 1 and last.site.startswith(LIAR)
        answer = [one.sha256 for one in last.execution.outputs or ()]
        need(lone or answer[0] in _right(parent), "I14", f"{id}: what holds is what {last.site} said")


def _right(parent: jobs.Job) -> set[str]:
    """Return the digests of what is right: of its bytes, or of numbers that differ in their last digits."""
    texts = [f"pretended output a of {parent.spec_digest}\n"]
    texts += [json.dumps({"answer": 1 + times * render.LAST_DIGIT}) for times in range(3)]
    return {f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for text in texts}


def blamed(world: worlds.World) -> set[str]:
    """Return the operators that answer for something."""
    found = set()
    for name in world.all_operators():
        stored = world.store.document("Operator", name)
        if stored is not None and json.loads(stored.status).get("blames"):
            found.add(name)
    return found
