"""Verified jobs over crashes, bad lines, tightened rules and cancels, with one operator who lies.

The one that runs the control plane is trusted. Each machine has three pools of three operators; those of one machine
lie, each otherwise, from some moment on.
"""

import hashlib
import json
import types

import pytest

from orchestrator.domain import jobs
from orchestrator.ports import stores
from orchestrator.verification import receipts
from tests.sim import histories, worlds

SEEDS = 30
FIRST = 130_000
LIAR, LIARS = "sg", {"abroad", "sg-second", "sg-third"}
_ALL = stores.JobFilter(top_level_only=False)


class Verified(worlds.World):
    """Three machines of nine operators."""

    operators = types.MappingProxyType({"fr": "host", "de": "other", "sg": "abroad"})
    pools = types.MappingProxyType({"q": "second", "r": "third"})
    draw_key = bytes(range(32))

    def __init__(self, seed):
        super().__init__(seed)
        self.lying = False

    def lie(self):
        """Let one machine answer something else from now on."""
        machine = self.simulated[LIAR]
        machine._wanted = machine._wanted.model_copy(update={"answers": "wrong"})
        self.lying = True


class VerifiedHistory(histories.History):
    """A history most of whose jobs are verified."""

    def _users(self):
        if not self.world.lying and self.random.random() < 0.1:
            self.world.lie()
        super()._users()

    def _spec(self):
        spec = super()._spec()
        if spec.array is not None or spec.name != "job" or self.random.random() < 0.2:
            return spec
        replicas = self.random.choice((1, 2, 2, 2, 3))
        distinct = self.random.choice((frozenset(), frozenset({jobs.Distinct.OPERATOR}), frozenset(jobs.Distinct)))
        rate = self.random.choice((0.0, 0.0, 0.5, 1.0))
        wanted = jobs.Verification(replicas, replicas // 2 + 1, distinct, rate)
        made = {field: getattr(spec, field) for field in spec.__dataclass_fields__}
        return jobs.JobSpec(**made | {"outputs": (jobs.Output("a"),), "verification": wanted})


def _rows(world):
    found = {}
    for job in world.store.list_jobs(_ALL, limit=100_000).items:
        found.setdefault(job.parent or job.id, []).append(job)
    return found


def _entries(world, id, kind):
    every = world.store.entries(subject=f"job/{id}", limit=10_000)
    return [link.entry.body for link in every if link.entry.kind == kind]


def _answers(run):
    last = run.attempt
    return None if last is None else [one.sha256 for one in last.execution.outputs or ()]


def check(world):
    """Check every verified job of a history that is over; return by what each ended."""
    ends = []
    for id, family in _rows(world).items():
        parent = world.store.job(id)
        wanted, state = parent.spec.verification, parent.array_state
        if wanted is None:
            continue
        runs = {row.index: row for row in family if row.index is not None}
        counted = {phase: sum(row.phase is phase for row in runs.values()) for phase in jobs.Phase}
        assert dict(state.counts) == {phase: count for phase, count in counted.items() if count}, (id, state.counts)
        assert len(runs) <= wanted.replicas + 2
        had = {n: {attempt.site for attempt in row.attempts} for n, row in runs.items()}
        for number, mine in had.items():
            others = set().union(
                *(sites for other, sites in had.items() if other != number and other < wanted.replicas)
            )
            assert not mine & others, f"{id}: run {number} lies where a sibling ran: {had}"
            assert number < wanted.replicas or mine <= {"fr/p"}, f"{id}: the trusted run {number} lies at {mine}"
        told = _entries(world, id, "job.verified")
        assert len(told) <= 1
        if told and parent.phase is not jobs.Phase.CANCELLED:
            assert receipts.rejudge(told[0]["receipt"])
            ends.append(parent.reason)
        if state.accepted is not None:
            assert parent.phase is jobs.Phase.SUCCEEDED
            said = runs[state.accepted].attempt.site.partition("/")[0]
            lone = wanted.replicas == 1
            # One hand that nobody was asked to confirm is believed; else a liar that is alone with its lie never is.
            assert (lone and said == LIAR) or _answers(runs[state.accepted]) == [_right(parent)], f"{id}: {said} holds"
    return ends


def _right(parent):
    return f"sha256:{hashlib.sha256(f'pretended output a of {parent.spec_digest}{chr(10)}'.encode()).hexdigest()}"


def blamed(world):
    """Return the operators that answer for something."""
    found = set()
    for name in world.all_operators():
        stored = world.store.document("Operator", name)
        if stored is not None and json.loads(stored.status).get("blames"):
            found.add(name)
    return found


def test_histories_of_verified_jobs(size, request):
    """Each ends by its verdict; no hand has two runs; a lone liar is never believed, and nobody else is blamed."""
    asked = request.config.getoption("--seed", default=None)
    ends, guilty = [], set()
    for number in range(max(SEEDS, size // 3)) if asked is None else [asked - FIRST]:
        world = Verified(FIRST + number)
        try:
            VerifiedHistory(world.seed, world).run()
            ends += check(world)
            guilty |= blamed(world)
        except AssertionError as error:
            pytest.fail(f"seed {world.seed}: {type(error).__name__}: {error}")
    assert guilty <= LIARS
    if asked is None:
        assert {"Quorum", "Referee"} <= set(ends), ends
        assert guilty
