"""Where attempts are seen: kept, compared with the place that was decided on, and what follows where it differs."""

import json

import pytest

from orchestrator.control import whereabouts
from orchestrator.domain import executions, facts, jobs
from orchestrator.ports import stores
from tests.unit.control.test_loop import P, Quiet


def _world(country=None, **more):
    world = Quiet()
    world.deny(frozenset({"DE", "SG"}))  # only fr is possible
    if country is not None:
        world.stands_in("fr", country, **more)
    return world


def _status(world, name="fr"):
    return json.loads(world.store.document("Backend", name).status)


def _attempts(world, id):
    return world.store.job(id).attempts


def _kinds(world, subject):
    return [link.entry.kind for link in world.store.entries(subject=subject)]


def test_what_is_seen_is_kept_and_agrees():
    """Node, country and source stand with the attempt, no better assured than an adapter may say; nothing is marked."""
    world = _world("FR", assurance="attested")
    id = world.job(seconds=5)
    world.turns(20)
    (attempt,) = _attempts(world, id)
    assert attempt.execution.nodes == (
        executions.Whereabouts(0, "p-0", None, "FR", "settings of the pretended machine", facts.Assurance.DOCUMENTED),
    )
    assert (attempt.phase, _status(world).get("elsewhere")) == (P.SUCCEEDED, None)


def test_another_country_stops_it_and_nothing_goes_there_again():
    """Seen abroad: stopped at the first look, marked with both sources, refused from then on, and told."""
    world = _world("SG")
    id = world.job(seconds=500)
    world.turns(40)
    job = world.store.job(id)
    (attempt,) = job.attempts
    assert (job.phase, attempt.phase, attempt.reason) == (P.QUEUED, P.CANCELLED, "NonCompliant")
    told = job.condition("NonCompliant")
    assert told.reason == whereabouts.CODE
    assert "fr/p says that it lies in FR, and p-0 was seen in SG" in told.message
    assert "declared" in told.message
    mark = _status(world)["elsewhere"]["p"]
    assert (mark["expected"], mark["seen"], mark["attempt"]) == ("FR", "SG", attempt.key)
    assert _kinds(world, "backend/fr").count("backend.seen-elsewhere") == 1
    assert not world.machines["fr"].current()


def test_the_mark_is_durable_before_the_stop_also_where_it_could_not_be_written(monkeypatch):
    """A store that is busy for the mark loses neither; a job that arrives then commits the stop, behind the mark."""
    world = _world("SG")
    id = world.job(seconds=500)
    commit, refused = world.store.commit, []

    def busy(changes):
        if not refused and any(entry.kind == "backend.seen-elsewhere" for entry in changes.entries):
            refused.append(changes)
            raise stores.StoreBusyError("pretended")
        return commit(changes)

    monkeypatch.setattr(world.store, "commit", busy)
    world.loop.tick()
    while not refused:
        world.clock.advance(1)
        world.loop.tick()
    world.job(seconds=5)  # at once: nothing is observed again
    world.turns(3)
    told = [(link.entry.subject, link.entry.kind) for link in world.store.entries()]
    marked, stopped = ("backend/fr", "backend.seen-elsewhere"), (f"job/{id}", "job.stop-requested")
    assert told.count(marked) == 1
    assert told.index(marked) < told.index(stopped)


def test_after_a_person_has_looked_it_is_open_again():
    """The mark goes when somebody says so; then the same job is placed there again."""
    world = _world("SG")
    id = world.job(seconds=5)
    world.turns(20)
    world.stands_in("fr", "FR")
    world.turns(20)
    assert len(_attempts(world, id)) == 1
    status = _status(world)
    status.pop("elsewhere")
    world.cordon("fr", status)
    world.turns(20)
    assert world.phase(id) is P.SUCCEEDED
    assert len(_attempts(world, id)) == 2


def test_elsewhere_another_place_may_have_it():
    """The job goes on at another site that its rules allow."""
    world = Quiet()
    world.stands_in("fr", "SG")
    world.deny(frozenset({"SG"}))
    ids = [world.job(seconds=5) for _ in range(4)]
    world.turns(60)
    assert {world.phase(id) for id in ids} == {P.SUCCEEDED}
    assert {a.site for id in ids for a in _attempts(world, id) if a.phase is P.SUCCEEDED} == {"de/p"}


def test_one_that_is_seen_only_after_its_end_is_marked_too():
    """A job too short to be stopped succeeds, and its site takes nothing new."""
    world = _world("SG")
    id = world.job(seconds=0.1)
    world.turns(10, seconds=5)
    (attempt,) = _attempts(world, id)
    assert attempt.phase is P.SUCCEEDED
    assert _status(world)["elsewhere"]["p"]["seen"] == "SG"
    assert world.store.job(id).condition("NonCompliant").status


def test_one_node_of_several_is_enough():
    """A gang of which one node stands elsewhere is stopped whole."""
    world = _world("SG", rank=1)
    id = world.job(seconds=500, nodes=2)
    world.turns(20)
    assert world.store.job(id).condition("NonCompliant").message.startswith("fr/p says that it lies in FR, and p-1")


def test_a_machine_that_moves_leaves_both_countries():
    """What was seen first stays beside what was seen later."""
    world = _world("FR", later="SG", laterAfter=10)
    id = world.job(seconds=500)
    world.turns(40)
    (attempt,) = _attempts(world, id)
    assert [one.country for one in attempt.execution.nodes] == ["FR", "SG"]
    assert attempt.reason == "NonCompliant"


def test_who_wishes_to_be_held_is_held_until_somebody_looked():
    """``onNonCompliant: hold``: nothing is placed anywhere while the mark stands."""
    world = Quiet()
    world.stands_in("fr", "SG")
    world.deny(frozenset({"DE", "SG"}))
    id = world.job(seconds=500, on_non_compliant=jobs.OnNonCompliant.HOLD)
    world.turns(20)
    world.deny(frozenset())
    world.turns(20)
    assert (world.phase(id), len(_attempts(world, id))) == (P.QUEUED, 1)
    assert world.store.job(id).condition("Held").reason == whereabouts.CODE
    world.stands_in("fr", None)
    status = _status(world)
    status.pop("elsewhere")
    world.cordon("fr", status)
    world.turns(20)
    assert len(_attempts(world, id)) == 2


@pytest.mark.parametrize("damage", ["nonsense", {"p": "x"}, {"q": {}}, [1]])
def test_a_mark_that_cannot_be_read_still_marks(damage):
    """Nobody knows what it said, so every pool of the backend takes nothing."""
    world = _world()
    world.cordon("fr", {**_status(world), "elsewhere": damage})
    id = world.job(seconds=1)
    world.turns(10)
    assert world.phase(id) is P.QUEUED
    assert world.inventory.world().site("fr/p").elsewhere is not None


def test_a_mark_is_durable_before_the_stop():
    """The commit that marks comes first: whatever crashes after it, the job does not go back there."""
    world = _world("SG")
    order = []
    commit = world.store.commit

    def watched(changes):
        order.extend(entry.kind for entry in changes.entries)
        return commit(changes)

    world.store.commit = watched
    world.job(seconds=500)
    world.turns(10)
    assert order.index("backend.seen-elsewhere") < order.index("job.stop-requested")


def test_a_status_that_somebody_else_writes_at_once_is_read_again():
    """A conflict over the backend's document costs one more read, and no mark."""
    world = _world("SG")
    world.turns(3)
    commit, fails = world.store.commit, [2]

    def conflicting(changes):
        if fails[0] and any(entry.kind == "backend.seen-elsewhere" for entry in changes.entries):
            fails[0] -= 1
            raise stores.VersionConflictError("pretended")
        return commit(changes)

    world.store.commit = conflicting
    world.job(seconds=500)
    world.turns(10)
    assert (fails, "elsewhere" in _status(world)) == ([0], True)
