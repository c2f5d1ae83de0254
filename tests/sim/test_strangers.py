"""Backends that become another at any moment, over crashes and bad lines: nothing starts at one not confirmed."""

import contextlib
import json

import pytest

from orchestrator.domain import jobs, offers
from orchestrator.inventory import identities
from orchestrator.ports import stores
from orchestrator.testing import faults
from tests.sim import worlds

SEEDS = range(12)
TURNS = 120


class Masked(worlds.World):
    """A world whose backends have identities, which change now and then and are confirmed now and then."""

    arrival_rate = 0.3

    def __init__(self, seed):
        self.masks = dict.fromkeys(worlds.COUNTRIES, "first")
        super().__init__(seed)
        for name, adapter in self.adapters.items():
            adapter.identity = lambda name=name: offers.PinnedIdentity((("uid", f"{name}/{self.masks[name]}"),))
        self.starts = []
        self.wrong = []
        self.on_effect = self._started

    def _started(self, backend, sealed):
        status = self.status(backend)
        mine = identities.digest_of(self.adapters[backend].identity())
        self.starts.append(backend)
        # Noted, not raised: what an adapter raises is an answer to the loop, and would be taken for one.
        if status.get("identity", {}).get("digest") != mine:
            self.wrong.append(f"a start at a stranger: {backend}")
        if status.get("identityChanged"):
            self.wrong.append(f"a start at one that nobody confirmed: {backend}")

    def status(self, backend):
        return json.loads(self.store.document("Backend", backend).status)

    def confirm(self, backend):
        """Do what a person does, and what the use case then writes."""
        stored = self.status(backend)
        found = self.adapters[backend].identity()
        kept = {key: value for key, value in stored.items() if key != "identityChanged"}
        self.cordon(backend, kept | {"identity": identities.pin(found, at=self.clock.now(), by="t0")})


def _live(seed):
    world = Masked(seed)
    chance = world.random
    ids, changes = [], 0
    world.crash_rate, world.busy_rate = 0.01, 0.02
    world.chaos.rates = faults.Rates(failed_before=0.05, failed_after=0.05, late=0.02)
    for turn in range(TURNS):
        if turn % 6 == 0:
            env = (("SIMULATE_RUN_TIME", "5"),)
            spec = jobs.JobSpec(
                name="j",
                command=("x",),
                env=env,
                data=jobs.DataClause(declared_none=True),
                retry=jobs.Retry(attempts=5),
            )
            ids.append(world.submit(spec))
        name = chance.choice(sorted(world.masks))
        if chance.random() < 0.08:
            world.masks[name] = chance.choice(("first", "second", "third"))
            changes += 1
        if chance.random() < 0.05:
            _quietly(world, name)
        world.tick()
        world.chaos.arrive()
        world.clock.advance(1)
    world.crash_rate = world.busy_rate = 0.0
    world.chaos.calm()
    for name in world.masks:
        world.confirm(name)
    for _ in range(300):
        world.tick()
        world.clock.advance(1)
    found = [world.store.job(id) for id in ids if id is not None]
    assert {job.phase for job in found} <= jobs.TERMINAL, [(job.id, job.phase) for job in found]
    assert changes
    assert world.wrong == []
    return len(world.starts)


def _quietly(world, name):
    """Confirm as a person does, who tries again another day."""
    with contextlib.suppress(worlds.Crash, stores.StoreError):
        world.confirm(name)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_starts_at_a_stranger(seed):
    """No effect at a backend whose pinned identity is not the one it has, at any seed; all ends once confirmed."""
    assert _live(seed) > 0
