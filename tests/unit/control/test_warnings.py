"""Everything of a backend that is about to end is journaled, each once for each threshold."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from orchestrator.control import warnings
from orchestrator.domain import claims, ids, sites
from orchestrator.store import memory
from orchestrator.telemetry import clocks
from tests.unit.inventory.test_claimants import made

START = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True)
class World:
    """What the warnings look at."""

    sites: tuple[sites.Site, ...]
    backends: frozenset[str] = frozenset({"gra"})


def ending(**days: int) -> World:
    """Return one site with a claim that ends so many days after the start, for each name."""
    found = (
        claims.Claim(name, ids.NO_DIGEST, valid_to=START.date() + dt.timedelta(days=each))
        for name, each in days.items()
    )
    return World((dataclasses.replace(made(), claims=tuple(found)),))


class Desk:
    """A store, and a loop that is made anew for every look."""

    def __init__(self) -> None:
        self.store = memory.MemoryStore(clocks.SystemClock())
        lease = self.store.acquire_lease("test", dt.timedelta(hours=1))
        assert lease is not None
        self.term = lease.term

    def told(self, world: World, day: int = 0) -> list[tuple[str, int]]:
        """Look on a day; return what was journaled then: the end and its threshold."""
        before = self.store.head().seq
        looker = warnings.Warnings(self.store)
        for _ in range(2):
            looker.run(world, START + dt.timedelta(days=day), self.term)  # type: ignore[arg-type]
        links = self.store.entries(after=before, subject="backend/gra", limit=100)
        found = [link.entry for link in links if link.entry.kind == "facts.expiring"]
        return sorted((one.body["what"], one.body["withinDays"]) for one in found)


@pytest.fixture
def desk() -> Desk:
    """Return an empty store."""
    return Desk()


def test_every_end_is_told_not_only_the_first(desk: Desk) -> None:
    """Two papers and a third that has time: both are named; nothing twice, whoever looks."""
    world = ending(hds=20, iso=5, far=60)
    assert desk.told(world) == [("claims[hds]", 30), ("claims[iso]", 7)]
    assert desk.told(world, 1) == []


def test_each_end_passes_its_own_thresholds(desk: Desk) -> None:
    """One that comes nearer does not hide another, and does not tell it again."""
    world = ending(hds=20, iso=5)
    days = {day: desk.told(world, day) for day in (0, 3, 5, 14, 20)}
    assert days == {
        0: [("claims[hds]", 30), ("claims[iso]", 7)],
        3: [],
        5: [("claims[iso]", 1)],
        14: [("claims[hds]", 7)],
        20: [("claims[hds]", 1)],
    }


def test_a_paper_that_was_renewed_is_told_by_its_new_end(desk: Desk) -> None:
    """The old end is forgotten with the paper; the new one is told when it comes near, and the neighbour is not."""
    assert desk.told(ending(hds=20, iso=25)) == [("claims[hds]", 30), ("claims[iso]", 30)]
    assert desk.told(ending(hds=200, iso=25), 1) == []
    assert desk.told(ending(hds=28, iso=25), 2) == [("claims[hds]", 30)]
