"""What the loop knows of live jobs is what the store has, with as few rows read as will do."""

import dataclasses
import random

import pytest

from orchestrator.control import index, lanes, planners, readings
from orchestrator.domain import events, ids, jobs
from orchestrator.ports import stores
from orchestrator.service import cancellations
from tests.unit.control.test_loop import Quiet

PACE = lanes.Pace(read_again_s=60, read_whole_s=600)


class Counted:
    """A world in which jobs come, run and end, and a reader beside it that no inbox tells anything."""

    def __init__(self, monkeypatch):
        self.world = Quiet()
        self.store, self.clock = self.world.store, self.world.clock
        self.live = index.JobIndex(planners.SchedulerPlanner())
        self.readings = readings.Readings(self.store, self.live, self.clock, PACE)
        self.whole, self.single = [], []
        every, one = self.store.live_jobs, self.store.job
        monkeypatch.setattr(self.store, "live_jobs", lambda: self.whole.append(1) or every())
        monkeypatch.setattr(self.store, "job", lambda job: self.single.append(job) or one(job))
        self.every = every

    def read(self, after_s=61.0, *, lost=False):
        """Return whether anything was read, after a while."""
        self.clock.advance(after_s)
        self.whole.clear()
        self.single.clear()
        return self.readings.read(lost=lost)

    def check(self):
        """Assert that the same is known as by whoever reads everything."""
        fresh = index.JobIndex(planners.SchedulerPlanner())
        fresh.replace_all(self.every())
        for name in ("jobs", "waiting", "occupying", "by_backend", "stopping", "elements"):
            assert getattr(self.live, name) == getattr(fresh, name), name


@pytest.fixture
def counted(monkeypatch):
    """Give a world of which everything was read once."""
    made = Counted(monkeypatch)
    assert made.read(lost=False)
    assert made.whole
    return made


def test_what_changed_is_found_and_nothing_else_is_read(counted):
    """Jobs that came, got on, were cancelled or ended since the last look, in every mixture."""
    chance = random.Random(5)
    for _ in range(7):
        made = [counted.world.job(seconds=chance.randrange(5, 400)) for _ in range(chance.randrange(6))]
        for id in made[:1]:
            counted.world.cancel(id)
        counted.world.turns(chance.randrange(1, 20))
        before = dict(counted.live.jobs)
        stored = {job.id: job for job in counted.every()}
        differ = {id for id in before.keys() | stored.keys() if before.get(id) != stored.get(id)}
        assert counted.read()
        assert not counted.whole
        counted.check()
        assert set(counted.single) <= differ
        same = before.keys() & stored.keys() - differ
        assert all(counted.live.jobs[id] is before[id] for id in same)


def test_nothing_is_read_before_it_is_time(counted):
    """The store is asked once a minute, not at each turn."""
    counted.world.job()
    assert not counted.read(after_s=30)
    assert not counted.live.jobs
    assert counted.read(after_s=31)
    counted.check()
    assert counted.live.jobs
    assert not counted.read(after_s=59)


def test_a_row_that_is_ahead_of_the_store_is_dropped_for_what_the_store_has(counted):
    """A version that nobody committed is known, of a job that lives and of one that the store never heard of."""
    id = counted.world.job(seconds=4000)
    counted.world.turns(5)
    assert counted.read()
    row = counted.live.get(id)
    counted.live.put(dataclasses.replace(row, version=row.version + 7, phase=jobs.Phase.QUEUED))
    counted.live.put(dataclasses.replace(row, id=f"{id}X"))
    assert counted.read()
    assert not counted.whole
    counted.check()


def test_where_much_is_not_as_known_all_is_read_at_once(counted):
    """A query a row is dearer than one for all of them."""
    for _ in range(readings.ROWS_MAX + 1):
        counted.world.job()
    assert counted.read()
    assert counted.whole
    assert not counted.single
    counted.check()


def test_everything_is_read_when_something_was_lost_or_is_not_trusted_and_now_and_then(counted):
    """Each of the three reasons alone; an hour has six."""
    counted.read(after_s=1, lost=True)
    assert counted.whole
    counted.readings.distrust()
    counted.read(after_s=1)
    assert counted.whole
    read = [bool(counted.read(after_s=61) and counted.whole) for _ in range(59)]
    assert sum(read) == 5


def test_a_store_that_fails_is_asked_again_at_the_next_turn(counted, monkeypatch):
    """Whether the versions, a row, or all rows could not be read."""
    counted.world.job()

    def fail(*_):
        raise stores.StoreBusyError("locked")

    for name in ("live_versions", "job"):
        with monkeypatch.context() as broken:
            broken.setattr(counted.store, name, fail)
            with pytest.raises(stores.StoreBusyError):
                counted.read()
        assert counted.read(after_s=0)
        counted.check()
        counted.world.job()
    with monkeypatch.context() as broken:
        broken.setattr(counted.store, "live_jobs", fail)
        with pytest.raises(stores.StoreBusyError):
            counted.read(lost=True)
    assert counted.read(after_s=61)
    counted.check()


def test_an_array_that_is_newer_than_one_of_its_elements_is_read_again_and_contradicts_nothing():
    """A cancel of one element is lost, the next one brings their parent: what is told of the first then is in time."""
    world = Quiet()
    parent = world.job(seconds=12, array=jobs.ArraySpec(2, 2))
    world.turns(5)
    first, second = (ids.element_id(parent, number) for number in range(2))
    for id in (first, second):
        stop = events.StopRequested(world.clock.now(), jobs.StopCause.CANCELLED, "user")
        changed = world.store.commit(cancellations.changes(world.store, world.store.job(id), stop)).jobs
    known = world.loop.live.get(first)
    world.loop._live.put(next(job for job in changed if job.id == parent))
    assert known.phase is jobs.Phase.RUNNING
    world.loop._book.stage(first, events.StopRequested(world.clock.now(), jobs.StopCause.NON_COMPLIANT, "controller"))
    report = world.loop.tick()
    assert not report.broken
    assert not report.error
    world.turns(12)
    assert {world.phase(id) for id in (first, second)} == {jobs.Phase.CANCELLED}
