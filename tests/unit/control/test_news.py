"""Attempts of which their backend has no news are not asked for; all others are, and now and then all."""

import pytest

from orchestrator.domain import errors, offers
from orchestrator.ports import backends
from tests.unit.control.test_loop import P, Quiet

ALL_EVERY_S = 40.0
WAITING = offers.ObservedState.QUEUED


class Informed(Quiet):
    """A world whose places tell news: what a test puts into ``said``, None for any; each read is noted by its keys."""

    def __init__(self, **pace):
        self.reads, self.said, self.cursors = [], frozenset(), []
        super().__init__(observe_all_every_s=ALL_EVERY_S, **pace)
        for adapter in self.adapters.values():
            adapter.observe = self._noted(adapter.observe)
            adapter.news = self.news
        self.turns(2)

    def _noted(self, ask):
        def observe(refs):
            self.reads += [ref.key for ref in refs]
            return ask(refs)

        return observe

    def news(self, cursor):
        self.cursors.append(cursor)
        if cursor is None:
            return backends.News("0")
        return backends.News(str(int(cursor) + 1), self.said)

    def running(self, **more):
        """Return a job that runs, and its key, after a turn in which it was not asked for any more."""
        id = self.job(seconds=3000, **more)
        self.turns(8)
        assert self.phase(id) is P.RUNNING
        return id, self.store.job(id).attempts[-1].key


@pytest.fixture
def world():
    """Give a world that is known."""
    return Informed()


def asked(world, turns, seconds=1.0):
    """Return the keys that are asked for in so many turns."""
    world.reads.clear()
    world.turns(turns, seconds)
    return list(world.reads)


def test_what_runs_rests_and_what_does_not_is_asked_for(world):
    """One that runs is asked for once and again when it is new; one that waits is asked for at each look."""
    _, key = world.running()
    assert asked(world, 5) == []
    for adapter in world.adapters.values():
        adapter.inner.observe = lambda refs: [backends.Observation(ref.key, WAITING) for ref in refs]
    other = world.job()
    world.turns(3)
    found = asked(world, 5)
    assert key not in found
    assert found == [world.store.job(other).attempts[-1].key] * 5


def test_news_wake_exactly_what_they_name(world):
    """What is named is asked for in the same turn, and rests again where nothing came of it."""
    keys = [world.running()[1] for _ in range(3)]
    world.said = frozenset({keys[1]})
    # Woken, then asked for once more, because a named one rests only after a read in which it was not.
    assert set(asked(world, 3)) == {keys[1]}
    world.said = frozenset()
    world.turns(2)
    assert asked(world, 3) == []


def test_an_end_is_taken_when_it_is_named(world):
    """An attempt that ended while it rested is seen as soon as there is news of it, not before."""
    id = world.job(seconds=10)
    world.turns(8)
    key = world.store.job(id).attempts[-1].key
    world.turns(10)
    assert world.phase(id) is P.RUNNING
    world.said = frozenset({key})
    world.turns(2)
    assert world.phase(id) is P.SUCCEEDED


def test_everything_is_asked_for_now_and_then(world):
    """News that were lost cost time, never truth; the read that asks for everything begins with no cursor."""
    id = world.job(seconds=10)
    world.turns(8)
    world.cursors.clear()
    world.turns(int(ALL_EVERY_S) + 4)
    assert world.phase(id) is P.SUCCEEDED
    assert None in world.cursors


def test_who_cannot_tell_is_asked_for_everything(world):
    """Where a cursor is not known any more nothing rests."""
    _, key = world.running()
    world.said = None
    assert set(asked(world, 4)) == {key}


def test_what_is_to_end_is_asked_for_until_it_has_ended(world):
    """A stop wakes an attempt, whether there is news of it or not."""
    id, _ = world.running()
    world.cancel(id)
    world.turns(4)
    assert world.phase(id) is P.CANCELLED


def test_news_that_fail_are_asked_for_again_from_the_same_place(world):
    """Nothing is skipped where a call for news, or the read after it, is lost."""
    id = world.job(seconds=10)
    world.turns(12)
    key = world.store.job(id).attempts[-1].key
    tell, failed = world.news, []

    def once(cursor):
        found = tell(cursor)
        if not failed:
            failed.append(cursor)
            raise RuntimeError("lost")
        return found

    for adapter in world.adapters.values():
        adapter.news = once
    world.said = frozenset({key})
    world.turns(6)
    assert failed
    assert world.phase(id) is P.SUCCEEDED


def test_a_new_adapter_is_asked_for_everything(world):
    """A cursor of one adapter object is never shown to another."""
    world.running()
    lane = world.loop._lanes.all()[0]
    assert lane.news._cursor is not None
    lane.news.of(object())
    assert lane.news._cursor is None
    assert not lane.news._resting


def test_what_was_named_is_asked_for_until_a_read_says_something(world):
    """News are told once; where the read after them knew nothing, the attempt does not rest."""
    id = world.job(seconds=10)
    world.turns(8)
    key = world.store.job(id).attempts[-1].key
    world.turns(5)
    unknown = offers.ObservedState.UNKNOWN
    kept = {name: adapter.inner.observe for name, adapter in world.adapters.items()}
    for adapter in world.adapters.values():
        adapter.inner.observe = lambda refs: [backends.Observation(ref.key, unknown) for ref in refs]
    world.said = frozenset({key})
    world.turns(1)
    world.said = frozenset()
    for name, adapter in world.adapters.items():
        adapter.inner.observe = kept[name]
    world.turns(3)
    assert world.phase(id) is P.SUCCEEDED


def test_what_a_look_at_everything_did_not_answer_does_not_rest():
    """Of a look in several reads one is lost: what it asked for is asked for again at once, though news came."""
    world = Informed(observe_max=1)
    keys = {world.running()[1] for _ in range(3)}
    reads, lost = [], []

    def failing(ask):
        def observe(refs):
            reads.append({ref.key for ref in refs})
            if len(reads) == len(keys):
                lost.append(reads[-1])
                raise errors.TransientError("test.lost", "no answer")
            return ask(refs)

        return observe

    for adapter in world.adapters.values():
        adapter.observe = failing(adapter.observe)
    while not lost:
        world.turns(1)
    assert set().union(*reads) == keys
    del reads[:]
    reads += [set()] * len(keys)
    world.turns(4)
    assert lost[0] in reads
