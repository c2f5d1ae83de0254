"""The control loop, one behaviour at a time, on a world without chance."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.control import lanes, ledger, loop, pacemaker, planners
from orchestrator.domain import errors, jobs, sites
from orchestrator.inventory import freezes
from orchestrator.placement import records
from orchestrator.ports import stores
from orchestrator.scheduler import answers
from orchestrator.testing import fakes
from tests.sim import worlds

P = jobs.Phase


class Quiet(worlds.World):
    """A world in which nothing goes wrong by itself, and whose loop can be given another executor."""

    arrival_rate = 0.0

    def __init__(self, executor=None, **pace):
        self.executor = executor
        self.pace = pace
        super().__init__(1)

    def new_loop(self):
        made = super().new_loop()
        parts = made._w
        executor = self.executor(self.clock) if self.executor else parts.executor
        self.calls = executor
        pace = lanes.Pace(settle_s=0, read_again_s=300, **self.pace)
        return loop.Loop(
            loop.World(
                parts.store, parts.clock, parts.ids, parts.fleet, executor, parts.inventory, parts.inbox,
                planners.SchedulerPlanner(), pace,
            ),
            holder=f"run-{self.lives}",
        )  # fmt: skip

    def job(self, **more):
        env = (("SIMULATE_RUN_TIME", str(more.pop("seconds", 30))), ("SIMULATE_EXIT_CODE", str(more.pop("code", 0))))
        spec = jobs.JobSpec(name="j", command=("x",), env=env, data=jobs.DataClause(declared_none=True), **more)
        return self.submit(spec)

    def turns(self, count, seconds=1.0):
        for _ in range(count):
            self.loop.tick()
            self.clock.advance(seconds)

    def phase(self, id):
        return self.store.job(id).phase


def check_record(world, id):
    """Assert that everything the decision on a job's newest placement names is stored."""
    placement = world.store.placement(world.store.job(id).attempts[-1].key)
    decision = world.store.decision(placement.decision)
    records.read(decision, answers.gather(decision, world.store.content))


@pytest.mark.parametrize("together", [1, 2, 3])
def test_placements_of_one_turn_in_several_commits(monkeypatch, together):
    """However many go into one commit, each placement has its decision, and that all that it names."""
    world = Quiet()
    world.turns(2)
    monkeypatch.setattr(ledger, "JOBS_MAX", together)
    made = [world.job(resources=jobs.Resources(cpu_milli=100 + number)) for number in range(4)]
    assert world.loop.tick().placed == 4
    for id in made:
        check_record(world, id)


def test_a_plan_of_which_nothing_was_left_has_stored_nothing():
    """A job cancelled under the loop's hands takes the plan with it; the next of its class brings the record."""
    world = Quiet()
    world.turns(2)
    resources = jobs.Resources(cpu_milli=123)
    cancelled = world.job(resources=resources)
    plan = planners.SchedulerPlanner.plan

    def slow(self, cycle):
        found = plan(self, cycle)
        if found.placements and world.phase(cancelled) is P.QUEUED:
            world.cancel(cancelled)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planners.SchedulerPlanner, "plan", slow)
        world.turns(2)
    assert world.phase(cancelled) is P.CANCELLED
    kept = world.job(resources=resources)
    world.turns(2)
    check_record(world, kept)


def test_a_job_goes_all_the_way():
    """Queued, placed, started, run, ended: each change has its entry, and the decision comes before the launch."""
    world = Quiet()
    id = world.job(seconds=3)
    world.turns(10)
    assert world.phase(id) is P.SUCCEEDED
    kinds = [link.entry.kind for link in world.store.entries(subject=f"job/{id}")]
    assert kinds == ["job.submitted", "job.placed", "job.accepted", "job.started", "job.ended"]


def test_an_array_runs_no_more_than_its_parallel():
    """Elements become rows when they are placed; at most ``parallel`` at once; the parent ends with them."""
    world = Quiet()
    id = world.job(seconds=2, array=jobs.ArraySpec(5, 2))
    most = 0
    for _ in range(30):
        world.turns(1)
        occupying = [j for j in world.store.live_jobs() if j.phase in jobs.OCCUPYING and j.parent == id]
        most = max(most, len(occupying))
    assert most == 2
    assert world.phase(id) is P.SUCCEEDED


def test_a_cancel_of_an_array_reaches_its_elements():
    """Touched elements are stopped, untouched ones never start."""
    world = Quiet()
    id = world.job(seconds=500, array=jobs.ArraySpec(5, 2))
    world.turns(4)
    world.cancel(id)
    world.turns(6)
    assert world.phase(id) is P.CANCELLED
    assert not any(machine.current() for machine in world.machines.values())


def test_a_passed_deadline_fails_the_job():
    """The attempt is stopped, and the job is FAILED with ``DeadlineExceeded``."""
    world = Quiet()
    id = world.job(seconds=5000, limits=jobs.Limits(deadline=dt.timedelta(seconds=60)))
    world.turns(80)
    assert (world.phase(id), world.store.job(id).reason) == (P.FAILED, "DeadlineExceeded")


def test_a_jump_of_the_clock_ends_nothing():
    """The wall clock set an hour ahead passes nobody's deadline (fault 20)."""
    world = Quiet()
    id = world.job(seconds=300, limits=jobs.Limits(deadline=dt.timedelta(minutes=30)))
    world.turns(5)
    world.clock.jump(dt.timedelta(hours=1))
    world.turns(10)
    assert world.phase(id) is P.RUNNING


def test_a_job_that_did_not_start_in_time_fails():
    """``startWithin`` is a bound too."""
    world = Quiet()
    world.deny(frozenset({"FR", "DE", "SG"}))
    id = world.job(limits=jobs.Limits(start_within=dt.timedelta(seconds=20)))
    world.turns(30)
    assert world.phase(id) is P.FAILED


def test_tightened_rules_stop_a_running_job_and_move_it():
    """A job that may not stay gets ``NonCompliant``, is stopped, and runs where it may; no try is charged."""
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    id = world.job(seconds=500)
    world.turns(5)
    world.deny(frozenset({"FR"}))
    world.turns(8)
    job = world.store.job(id)
    assert job.attempts[0].site == "fr/p"
    assert job.attempt.site in ("de/p", "sg/p")
    assert job.attempts[0].outcome is None
    assert "NonCompliant" in {c.type for c in job.conditions}


def test_hold_keeps_a_stopped_job_until_its_site_may_have_it():
    """``onNonCompliant: hold`` stops the attempt and places no other before the rules allow its site again."""
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))
    id = world.job(seconds=500, on_non_compliant=jobs.OnNonCompliant.HOLD)
    world.turns(5)
    world.deny(frozenset({"FR"}))
    world.turns(8)
    assert world.phase(id) is P.QUEUED
    world.deny(frozenset())
    world.turns(8)
    assert world.phase(id) is P.RUNNING


def test_a_cordoned_backend_gets_nothing_new():
    """What runs there stays; what comes goes elsewhere or waits."""
    world = Quiet()
    for name in ("de", "sg"):
        world.cordon(name, {"cordoned": True})
    first = world.job(seconds=500)
    world.turns(4)
    world.cordon("fr", {"cordoned": True})
    second = world.job()
    world.turns(10)
    assert (world.phase(first), world.phase(second)) == (P.RUNNING, P.QUEUED)


def test_what_is_stopped_places_nothing_new_and_lets_run():
    """A stop of everything keeps what comes waiting, with the reason; it ends, and the job goes on."""
    world = Quiet()
    first = world.job(seconds=500)
    world.turns(4)
    stop = sites.Frozen(None, None, None, "an incident", "t1", world.clock.now())
    made = world.store.commit(stores.Changes(documents=[freezes.to_document(stop, None)])).documents[0]
    second = world.job()
    world.turns(10)
    assert (world.phase(first), world.phase(second)) == (P.RUNNING, P.QUEUED)
    said = world.store.job(second).condition("Unplaceable")
    assert said.status
    assert "site.frozen" in f"{said.reason} {said.message}"
    world.store.commit(stores.Changes(delete_documents=[(*made.key, made.version)]))
    world.turns(10)
    assert world.store.job(second).attempts


def test_a_backend_that_cannot_be_reached_has_not_lost_its_jobs():
    """The job keeps running, says ``Unreachable``, and says so no longer when the backend is back."""
    world = Quiet()
    id = world.job(seconds=2000)
    world.turns(4)
    backend = world.store.job(id).attempt.site.partition("/")[0]
    world.chaos.down.add(backend)
    world.turns(400)
    job = world.store.job(id)
    assert (job.phase, len(job.attempts), job.condition("Unreachable").status) == (P.RUNNING, 1, True)
    world.chaos.calm()
    world.turns(100)
    assert not world.store.job(id).condition("Unreachable").status


@pytest.mark.parametrize("wish", list(jobs.OnUnreachable))
def test_only_the_job_s_own_wish_moves_it(wish):
    """``wait`` waits, ``fenceThenMove`` waits for the fence, ``duplicateOk`` runs elsewhere; the old one is stopped."""
    world = Quiet()
    id = world.job(seconds=5000, on_unreachable=wish)
    world.turns(4)
    old = world.store.job(id).attempt
    backend = old.site.partition("/")[0]
    world.chaos.down.add(backend)
    world.turns(300)
    job = world.store.job(id)
    moved = wish is jobs.OnUnreachable.DUPLICATE_OK
    assert (job.attempt.number > 1) == moved
    world.chaos.calm()
    world.turns(300)
    left = world.machines[backend].current()
    assert (old.key in left) == (wish is jobs.OnUnreachable.WAIT)


def test_a_poison_job_is_quarantined_and_the_others_go_on():
    """An adapter that breaks on one spec is asked three times; the job says ``Quarantined``, nobody else notices."""
    world = Quiet()
    poison = world.submit(jobs.JobSpec(name="poison", command=("x",), data=jobs.DataClause(declared_none=True)))
    others = [world.job(seconds=2) for _ in range(3)]
    world.turns(400)
    assert world.store.job(poison).condition("Quarantined").status
    assert {world.phase(id) for id in others} == {P.SUCCEEDED}


def test_an_oom_loop_backs_off_and_ends():
    """Exit 137 again and again uses the tries up, each later than the one before (fault 29)."""
    world = Quiet()
    id = world.job(seconds=1, code=137, retry=jobs.Retry(3))
    world.turns(300)
    job = world.store.job(id)
    assert (job.phase, len(job.attempts), job.reason) == (P.FAILED, 3, "OutOfMemory")


def test_a_black_hole_does_not_hold_up_the_others():
    """A backend that swallows every call costs its own slots only (fault 13)."""
    world = Quiet(fakes.HoldingExecutor, offers_every_s=0)
    world.deny(frozenset({"SG"}))
    ids = [world.job(seconds=5) for _ in range(3)]
    for _ in range(60):
        world.loop.tick()
        world.calls.release(lambda held: held.bulkhead != "de")
        world.calls.expire()
        world.clock.advance(1)
    assert {world.phase(id) for id in ids} == {P.SUCCEEDED}
    assert world.calls.in_flight("de") <= 16
    assert not world.inventory.sightings.of("de").reachable


def test_an_answer_that_comes_late_is_still_taken():
    """A submit whose answer takes three turns starts one attempt, and its answer counts."""
    world = Quiet(fakes.HoldingExecutor)
    id = world.job(seconds=500)
    for turn in range(30):
        world.loop.tick()
        if turn % 3 == 2:
            world.calls.release()
        world.clock.advance(1)
    assert world.phase(id) is P.RUNNING
    assert sum(len(machine.current()) for machine in world.machines.values()) == 1


def test_a_controller_without_the_lease_does_nothing():
    """Two loops, one lease: the second one waits, and takes over when the first is gone."""
    world = Quiet()
    id = world.job(seconds=500)
    world.loop.tick()
    second = world.new_loop()
    assert not second.tick().leads
    world.clock.advance(worlds.TTL_S + 1)
    assert second.tick().leads
    assert not world.loop.tick().leads
    assert world.phase(id) in (P.STARTING, P.RUNNING)


def test_an_orphan_is_stopped_after_the_grace_and_a_stranger_is_not():
    """What carries our mark and is over in the store is stopped; a fresh launch never is."""
    world = Quiet()
    id = world.job(seconds=5000)
    world.turns(4)
    machine = world.machines[world.store.job(id).attempt.site.partition("/")[0]]
    record = machine.read(world.store.job(id).attempt.key)[0]
    orphan = dataclasses.replace(record.order, key="01orphan-1")
    machine.create(orphan, term=1, room=lambda used: True)
    world.turns(30)
    assert "01orphan-1" in machine.current()
    world.turns(120)
    assert set(machine.current()) == {world.store.job(id).attempt.key}


def test_what_is_known_to_live_is_not_read_again_to_learn_that_it_is_no_orphan(monkeypatch):
    """Of thousands that run a listing would cost thousands of reads; one is made of what the loop does not know."""
    world = Quiet()
    ids_ = [world.job(seconds=5000) for _ in range(5)]
    world.turns(30)
    assert {world.phase(id) for id in ids_} == {P.RUNNING}
    machine = world.machines[world.store.job(ids_[0]).attempt.site.partition("/")[0]]
    record = machine.read(world.store.job(ids_[0]).attempt.key)[0]
    machine.create(dataclasses.replace(record.order, key="01orphan-1"), term=1, room=lambda used: True)
    asked, read = [], world.store.job
    monkeypatch.setattr(world.store, "job", lambda job: asked.append(job) or read(job))
    world.turns(100)
    assert set(asked) == {"01ORPHAN"}


def test_the_pacemaker_outlives_a_crash_of_the_loop():
    """A tick that raises is reported, and the loop is made anew."""
    told = []

    class Broken:
        def tick(self, arrival):
            raise RuntimeError("a bug")

    class Fine:
        def tick(self, arrival):
            maker.stop()
            return loop.Report(leads=True)

        def close(self):
            told.append("closed")

    class Watcher:
        def ticked(self, report, seconds):
            told.append("ticked")

        def crashed(self, error):
            told.append(str(error))

    loops = iter([Broken(), Fine()])
    maker = pacemaker.Pacemaker(lambda: next(loops), fakes.NoWake(), fakes.VirtualClock(), Watcher(), lambda: 0.5)
    maker.run()
    assert told == ["a bug", "ticked", "closed"]


def test_a_broken_adapter_is_a_condition_of_its_backend_only():
    """A backend whose adapter cannot be built is not reachable; the others work."""
    world = Quiet()
    del world.adapters["de"]
    world.loop = world.new_loop()
    id = world.job(seconds=2)
    world.turns(25)
    assert world.phase(id) is P.SUCCEEDED
    assert world.inventory.sightings.of("de").error_code == "backend.unknown"
    with pytest.raises(errors.PermanentError):
        world.loop._w.fleet.adapter("de")


def test_a_new_job_is_launched_before_anything_is_observed():
    """Where no other job waits and the world stands as it was, a new job's submit is the first call of the turn."""
    world = Quiet()
    world.turns(3)
    calls = []
    executor = world.calls
    call = executor.call

    def noted(bulkhead, what, *, timeout_s):
        calls.append(timeout_s)
        return call(bulkhead, what, timeout_s=timeout_s)

    executor.call = noted
    id = world.job()
    while world.inbox._waiting == {}:  # one message in ten is lost on purpose
        id = world.job()
    report = world.loop.tick()
    assert (report.placed, report.launched, world.phase(id)) == (1, 1, P.STARTING)
    assert calls[0] == lanes.Pace().submit_timeout_s
    assert len(calls) > 1


def test_a_new_job_waits_for_the_review_where_the_world_changed():
    """Rules, sites or adapters that are not those of the last turn are looked at before anything is launched."""
    world = Quiet()
    world.turns(3)
    order = []
    reviews, act = world.loop._reviews, world.loop._act
    run = type(reviews).run

    def reviewed(self, seen, term):
        order.append("review")
        return run(self, seen, term)

    def acted(term, arrival=None):
        order.append("act")
        return act(term, arrival)

    world.loop._act = acted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(reviews), "run", reviewed)
        world.deny(frozenset({"SG"}))
        while world.inbox._waiting == {}:
            world.job()
        world.loop.tick()
        assert order == ["review", "act"]
        world.loop.tick()  # what running jobs were judged by was written down, and that is a change of the store too
        order.clear()
        world.inbox._waiting.clear()
        while world.inbox._waiting == {}:
            world.job()
        world.loop.tick()
        assert order == ["act", "review", "act"]


def test_a_turn_in_which_nothing_happens_is_cheap():
    """Nothing waits and nothing changed: no plan is made, no adapter's statement is recorded again."""
    world = Quiet()
    world.turns(3)
    planned, recorded = [], []
    parts = world.loop._w
    plan = planners.SchedulerPlanner.plan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planners.SchedulerPlanner, "plan", lambda self, cycle: planned.append(1) or plan(self, cycle))
        patch.setattr(
            type(parts.inventory.sightings), "record_capabilities", lambda self, *found: recorded.append(found)
        )
        world.turns(5)
    assert (planned, recorded) == ([], [])
