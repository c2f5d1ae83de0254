"""Who answers under a name: pinned before anything is placed, compared at each contact, not believed blindly."""

import json

import pytest

from orchestrator.domain import offers
from orchestrator.inventory import identities
from orchestrator.store import failpoints
from tests.unit.control.test_loop import P, Quiet

NAMES = ("de", "fr", "sg")


class Masks:
    """What the backends prove themselves by; a name that is missing proves nothing."""

    def __init__(self, world):
        self.values = {name: name for name in NAMES}
        self.asked = 0
        for name, adapter in world.adapters.items():
            adapter.identity = lambda name=name: self.answer(name)

    def answer(self, name):
        self.asked += 1
        value = self.values.get(name)
        return offers.PinnedIdentity((("uid", value),) if value is not None else ())


def _status(world, name):
    return json.loads(world.store.document("Backend", name).status)


def _kinds(world, name):
    entries = [link.entry for link in world.store.entries() if link.entry.subject == f"backend/{name}"]
    return [entry.kind for entry in entries]


def _world(**masked):
    world = Quiet()
    masks = Masks(world)
    masks.values |= masked
    return world, masks


def _only(world, name):
    """Let one country be possible."""
    world.deny(frozenset({"FR", "DE", "SG"} - {{"fr": "FR", "de": "DE", "sg": "SG"}[name]}))


def _confirm(world, masks, name):
    """Do what the use case does, without HTTP."""
    found = offers.PinnedIdentity((("uid", masks.values[name]),))
    world.cordon(name, {"identity": identities.pin(found, at=world.clock.now(), by="t0")})


def test_it_is_pinned_once_and_before_anything_is_placed():
    """The first contact is durable with the journal's word before the first start, and no later one says it again."""
    world, _ = _world()
    world.loop.tick()
    assert all(world.inventory.sightings.of(name).offers for name in NAMES), "offers of a first contact are not lost"
    order = []
    world.on_effect = lambda backend, sealed: order.append(_kinds(world, backend))
    ids = [world.job(seconds=3) for _ in range(3)]
    world.turns(10)
    assert {world.phase(id) for id in ids} == {P.SUCCEEDED}
    assert order == [["backend.pinned"]] * 3
    assert {name: _status(world, name)["identity"]["values"] for name in NAMES} == {n: {"uid": n} for n in NAMES}
    assert {tuple(_kinds(world, name)) for name in NAMES} == {("backend.pinned",)}


@pytest.mark.parametrize("after", ["other", None])
def test_nothing_starts_at_a_stranger_until_it_is_confirmed(after):
    """Another identity, or none: no start there, what runs is left; after a confirmation it is as before."""
    world, masks = _world()
    _only(world, "fr")
    running = world.job(seconds=50)
    world.turns(5)
    assert world.phase(running) is P.RUNNING
    masks.values["fr"] = after
    if after is None:
        del masks.values["fr"]
    started = []
    world.on_effect = lambda backend, sealed: started.append(sealed.job)
    waiting = world.job(seconds=3)
    world.turns(120)
    assert (started, world.phase(waiting)) == ([], P.QUEUED)
    assert world.phase(running) is P.RUNNING, "it has ended, but a stranger says so"
    assert _kinds(world, "fr") == ["backend.pinned", "backend.identity-changed"]
    found = world.inventory.world().identities["fr"]
    assert found.pinned == identities.digest_of(offers.PinnedIdentity((("uid", "fr"),)))
    assert found.changed_to == (identities.digest_of(offers.PinnedIdentity((("uid", after),))) if after else "")
    masks.values["fr"] = after or "fr"
    _confirm(world, masks, "fr")
    world.turns(20)
    assert {world.phase(waiting), world.phase(running)} == {P.SUCCEEDED}


def test_one_that_comes_back_is_believed_and_still_refused():
    """The pinned one tells about its attempts again; new starts need a person all the same."""
    world, masks = _world()
    _only(world, "fr")
    running = world.job(seconds=20)
    world.turns(5)
    masks.values["fr"] = "other"
    world.turns(5)
    masks.values["fr"] = "fr"
    waiting = world.job()
    world.turns(30)
    assert (world.phase(running), world.phase(waiting)) == (P.SUCCEEDED, P.QUEUED)
    assert _kinds(world, "fr") == ["backend.pinned", "backend.identity-changed"]


def test_what_changed_since_the_last_look_is_seen_at_the_door():
    """A change between offers and submit: the batch looks again, nothing is started, the job goes elsewhere."""
    world, masks = _world()
    _only(world, "fr")
    world.turns(3)
    started = []
    world.on_effect = lambda backend, sealed: started.append(backend)
    answer = masks.answer
    masks.answer = lambda name: (masks.values.update(fr="other"), answer(name))[1] if _placed(world) else answer(name)
    id = world.job()
    world.turns(1)
    assert started == []
    assert [entry.kind for entry in _job_entries(world, id)][:3] == ["job.submitted", "job.placed", "job.withdrawn"]
    world.turns(3)
    assert (world.phase(id), started) == (P.QUEUED, [])
    world.deny(frozenset())
    world.turns(10)
    assert "fr" not in started
    assert len(started) == 1


def _placed(world):
    return any(job.phase is P.PLACED for job in world.store.live_jobs())


def _job_entries(world, id):
    return [link.entry for link in world.store.entries(subject=f"job/{id}")]


@pytest.mark.parametrize("place", [failpoints.BEFORE_COMMIT, failpoints.AFTER_COMMIT])
def test_a_crash_around_the_pin_leaves_one_pin(place):
    """Killed before or after the pin is durable: the next run pins what was met, once, and places then."""
    world, _ = _world()
    id = world.job(seconds=3)

    def die(name):
        if name == place and world.store.document("Backend", "fr") is not None:
            raise KeyboardInterrupt

    world.store.failpoints = die
    with pytest.raises(KeyboardInterrupt):
        world.turns(3)
    world.store.failpoints = failpoints.nowhere
    assert world.phase(id) is P.QUEUED
    world.clock.advance(30)
    world.loop = world.new_loop()
    world.turns(20)
    assert world.phase(id) is P.SUCCEEDED
    assert {tuple(_kinds(world, name)) for name in NAMES} == {("backend.pinned",)}


def test_a_new_run_does_not_believe_a_stranger():
    """A control plane that starts while another answers compares with the pin of the last run."""
    world, masks = _world()
    _only(world, "fr")
    running = world.job(seconds=20)
    world.turns(5)
    world.clock.advance(30)
    masks.values["fr"] = "other"
    world.machines["fr"]._records.clear()  # the stranger knows nothing of it
    world.loop = world.new_loop()
    world.turns(60)
    assert world.phase(running) is P.RUNNING
    assert world.store.job(running).attempts[-1].number == 1


def test_adapters_that_cannot_tell_pin_nothing():
    """Without Identifies nothing is pinned, and jobs run as ever."""
    world = Quiet()
    id = world.job(seconds=3)
    world.turns(10)
    assert world.phase(id) is P.SUCCEEDED
    assert [_kinds(world, name) for name in NAMES] == [[], [], []]


def test_a_liar_with_many_faces_fills_no_journal():
    """One that is another at each look is told about once a minute."""
    world, masks = _world()
    world.turns(3)
    answer = masks.answer
    count = iter(range(10_000))
    masks.answer = lambda name: (masks.values.update(fr=f"face-{next(count)}"), answer(name))[1]
    world.turns(180)
    assert 2 <= _kinds(world, "fr").count("backend.identity-changed") <= 4


def test_two_that_are_one_take_nothing():
    """Two backends of one identity in different countries: no start at either; elsewhere goes on."""
    world, _ = _world(de="fr")
    started = []
    world.on_effect = lambda backend, sealed: started.append(backend)
    ids = [world.job(seconds=2) for _ in range(3)]
    world.turns(30)
    assert set(started) == {"sg"}
    assert {world.phase(id) for id in ids} == {P.SUCCEEDED}
    _only(world, "fr")
    id = world.job()
    world.turns(5)
    assert world.phase(id) is P.QUEUED
