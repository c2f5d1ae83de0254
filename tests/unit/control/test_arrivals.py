"""A new job that comes while the loop sleeps: one commit for all, or its own, and always an answer."""

import dataclasses
import threading

import pytest

from orchestrator.control import arrivals, loop, pacemaker
from orchestrator.domain import ids, jobs, journal
from orchestrator.ports import stores
from orchestrator.testing import fakes
from tests.sim import worlds
from tests.unit.control import test_loop

P = jobs.Phase


def submission(world, *, key="", **more):
    """Return the changes of a submission."""
    spec = jobs.JobSpec(name="j", command=("x",), data=jobs.DataClause(declared_none=True), **more)
    id = world.ids.job_id()
    job = jobs.Job(id, "default", spec, ids.Digest(f"sha256:{id}"), world.clock.now(), "user")
    keys = (stores.IdempotencyKey("default", key, job.spec_digest, id),) if key else ()
    entry = journal.Entry("job.submitted", f"job/{id}", job.submitted_at, "user", {}, "default")
    return stores.Changes(jobs=(job,), keys=keys, entries=(entry,))


def quiet():
    """Return a world whose loop has nothing to do."""
    world = test_loop.Quiet()
    world.turns(3)
    return world


def commits(world):
    """Return what is committed from now on, filled as it happens."""
    found, commit = [], world.store.commit

    def noted(changes):
        found.append(changes)
        return commit(changes)

    world.store.commit = noted
    return found


def test_a_submission_and_its_placement_are_one_commit():
    """Row, key, placement and both entries are durable together, under the term, and then it is launched."""
    world = quiet()
    seen = commits(world)
    arrival = arrivals.Arrival(submission(world, key="k"))
    report = world.loop.tick(arrival)
    first, id = seen[0], arrival.job.id
    assert (report.placed, report.launched) == (1, 1)
    assert [entry.kind for entry in first.entries] == ["job.submitted", "job.placed"]
    assert [len(first.jobs), len(first.placements), len(first.keys), first.term] == [1, 1, 1, 1]
    assert world.phase(id) is P.STARTING
    assert arrival.future.result(0).jobs[0].id == id
    assert world.store.verify_journal() is None


def test_it_is_told_after_the_commit_and_launched_after_it():
    """Neither the answer nor the effect comes before the row and the placement can be read."""
    world = quiet()
    arrival, order = arrivals.Arrival(submission(world)), []
    stored = world.store.job
    world.on_effect = lambda backend, sealed: order.append(("launched", world.store.placement(sealed.key) is not None))
    arrival.future.add_done_callback(lambda _: order.append(("told", stored(arrival.job.id) is not None)))
    world.loop.tick(arrival)
    assert sorted(order) == [("launched", True), ("told", True)]


def test_a_job_that_no_site_takes_is_durable_with_the_reason():
    """What cannot be placed is committed with its condition, and waits in its place of the queue."""
    world = quiet()
    arrival = arrivals.Arrival(submission(world, resources=jobs.Resources(cpu_milli=10**9)))
    world.loop.tick(arrival)
    stored = arrival.future.result(0).jobs[0]
    assert (stored.phase, stored.queue_seq > 0, stored.conditions != ()) == (P.QUEUED, True, True)
    assert world.loop.live.get(stored.id).queue_seq == stored.queue_seq


def test_a_key_that_exists_refuses_the_submission_and_nothing_else():
    """Who comes again with a key is told so; no job, no placement, no launch is left of it."""
    world = quiet()
    first = arrivals.Arrival(submission(world, key="k"))
    world.loop.tick(first)
    while not world.loop.tick().idle:
        world.clock.advance(1)
    again = arrivals.Arrival(submission(world, key="k"))
    assert world.loop.tick(again).error == ""
    assert world.loop.live.get(again.job.id) is None
    world.door.see_off(again)
    with pytest.raises(stores.DuplicateKeyError):
        again.future.result(0)


def test_what_a_refused_submission_was_judged_by_is_stored_with_the_next():
    """A plan that was not committed has stored nothing: the next placement of its class brings the whole record."""
    world = quiet()
    world.loop.tick(arrivals.Arrival(submission(world, key="k")))
    while not world.loop.tick().idle:
        world.clock.advance(1)
    rare = {"resources": jobs.Resources(cpu_milli=123)}
    world.loop.tick(arrivals.Arrival(submission(world, key="k", **rare)))
    kept = arrivals.Arrival(submission(world, **rare))
    while kept.receipt is None:
        world.loop.tick(kept)
    test_loop.check_record(world, kept.receipt.jobs[0].id)


def test_a_loop_with_other_work_leaves_it_to_the_store():
    """Where something waits, or the world changed, or another leads, the submission is committed alone."""
    for spoil in (
        lambda world: world.submit(submission(world, resources=jobs.Resources(cpu_milli=10**9)).jobs[0].spec),
        lambda world: world.deny(frozenset({"SG"})),
        lambda world: (world.clock.advance(60), world.new_loop().tick()),
    ):
        world = quiet()
        spoil(world)
        world.inbox.offer(world.store.live_jobs())
        arrival = arrivals.Arrival(submission(world))
        world.loop.tick(arrival)
        assert arrival.receipt is None
        world.door.see_off(arrival)
        receipt = arrival.future.result(0)
        assert receipt.jobs[0].phase is P.QUEUED
        assert receipt.jobs[0] in world.inbox.drain()[0]


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_commit_whose_end_is_unknown(name):
    """A bug around the commit, before it or after it: the job is there once, and who sent it is told so."""
    world = quiet()
    commit, arrival = world.store.commit, arrivals.Arrival(submission(world))

    def breaks(changes):
        world.store.commit = commit
        if name == "after":
            commit(changes)
        raise RuntimeError("a bug")

    world.store.commit = breaks
    with pytest.raises(RuntimeError, match="a bug"):
        world.loop.tick(arrival)
    world.door.see_off(arrival)
    found = arrival.future.result(0).jobs[0]
    assert found == world.store.job(arrival.job.id)
    assert found.phase is (P.PLACED if name == "after" else P.QUEUED)


def test_the_door():
    """One at a time, only while it is open, and no arrays: all others go to the store and into the inbox."""
    world = quiet()
    array = submission(world)
    array = dataclasses.replace(
        array, jobs=(dataclasses.replace(array.jobs[0], array_state=jobs.ArrayState(((0, 2),))),)
    )
    closed = world.door.admit(submission(world))
    world.door.open()
    many = world.door.admit(array)
    first, second = submission(world), submission(world)
    waits, other = world.door.admit(first), world.door.admit(second)
    assert [closed.done(), many.done(), waits.done(), other.done()] == [True, True, False, True]
    assert len(world.inbox.drain()[0]) == 3
    arrival = world.door.take()
    assert arrival is not None
    assert arrival.changes is first
    assert world.door.take() is None
    assert world.door.admit(submission(world)).done()


class _Watcher:
    def ticked(self, report, seconds):
        pass

    def crashed(self, error):
        pass


@pytest.mark.parametrize("breaks", [False, True])
def test_the_pacemaker_leaves_nobody_waiting(breaks):
    """Who comes in is answered, by a turn that works, by one that breaks, and when the loop stops."""
    world = quiet()
    changes, answers = submission(world), []

    class Sleep:
        def nudge(self):
            pass

        def wait(self, timeout_s):
            if not answers:
                answers.append(world.door.admit(changes))
            else:
                maker.stop()
            return True

    class Broken:
        def tick(self, arrival):
            if arrival is not None:
                raise RuntimeError("a bug")
            return loop.Report(leads=True, idle=True)

        def close(self):
            pass

    made = Broken() if breaks else world.loop
    maker = pacemaker.Pacemaker(
        lambda: made, Sleep(), fakes.VirtualClock(), _Watcher(), lambda: 0.5, world.door
    )  # fmt: skip
    maker.run()
    assert answers[0].result(0).jobs[0].id == changes.jobs[0].id
    world.door.open()
    left = world.door.admit(submission(world))
    maker.run()
    assert left.result(0).jobs


def test_the_door_in_a_crowd():
    """Many threads at an open door: each is let in or passed on, none is lost."""
    world = quiet()
    found, lock = [], threading.Lock()

    def knock():
        for _ in range(50):
            future = world.door.admit(submission(world))
            with lock:
                found.append(future)

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        world.door.open()
        if (arrival := world.door.take()) is not None:
            world.door.see_off(arrival)
    if (arrival := world.door.take()) is not None:
        world.door.see_off(arrival)
    assert len({future.result(120).jobs[0].id for future in found}) == 400


def test_histories_come_in_at_the_door():
    """The simulation takes this way too."""
    world = worlds.World(1)
    world.loop.tick()
    world.loop.tick()
    world.arrival_rate = 1.0
    world.submit(submission(world).jobs[0].spec)
    assert world.together == 1
