"""What a place says of an attempt that it does not start yet: told as a condition of the job, and taken back."""

import pytest

from orchestrator.control import observer
from orchestrator.domain import conditions, offers
from orchestrator.ports import backends
from tests.unit.control.test_loop import P, Quiet

WAITS = (offers.ObservedState.QUEUED, offers.ObservedState.STARTING)


class Held(Quiet):
    """A world whose places start nothing while ``held``, and say why; N in the words is the number of the look."""

    def __init__(self):
        self.held, self.looks = True, 0
        self.reason, self.detail = "", ""
        super().__init__()
        for adapter in self.adapters.values():
            self._wrap(adapter.inner)
        self.turns(2)

    def _wrap(self, adapter):
        ask = adapter.observe

        def observe(refs):
            self.looks += 1
            return [self._said(one) for one in ask(refs)]

        adapter.observe = observe

    def _said(self, one):
        if not self.held:
            return one
        detail = self.detail.replace("N", str(self.looks))
        return backends.Observation(
            one.key, WAITS[self.looks % 2], handle=one.handle, detail=detail, reason=self.reason
        )

    def speak(self, reason, detail):
        self.reason, self.detail = reason, detail

    def told(self, id):
        """Return what is said of a wait: reason and message; None where the condition is not true."""
        found = self.store.job(id).condition(conditions.SITE_WAITING)
        return (found.reason, found.message) if found is not None and found.status else None

    def kinds(self, id):
        return [link.entry.kind for link in self.store.entries(subject=f"job/{id}")]


@pytest.fixture
def world():
    """Give a world that is known, and starts nothing."""
    return Held()


def test_a_wait_is_told_in_the_words_of_its_place(world):
    """Reason and message stand as a condition while it waits; the journal is not written for words."""
    world.speak("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu")
    id = world.job(seconds=3)
    world.turns(5)
    assert world.phase(id) is P.STARTING
    assert world.told(id) == ("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu")
    assert world.kinds(id) == ["job.submitted", "job.placed", "job.accepted"]


def test_nothing_said_is_no_condition(world):
    """A place that gives no words makes no condition, and one that gives none any more ends it."""
    id = world.job(seconds=3)
    world.turns(5)
    assert world.store.job(id).condition(conditions.SITE_WAITING) is None
    world.speak("Unschedulable", "no room")
    world.turns(2)
    assert world.told(id) == ("Unschedulable", "no room")
    world.speak("", "")
    world.turns(2)
    assert world.told(id) is None


@pytest.mark.parametrize("end", ["start", "cancel"])
def test_it_is_over_with_the_wait(world, end):
    """Once it runs, or is stopped, nobody is told that it waits."""
    world.speak("Unschedulable", "no room")
    id = world.job(seconds=300)
    world.turns(3)
    assert world.told(id)
    world.held = False
    if end == "cancel":
        world.cancel(id)
    world.turns(6)
    assert world.phase(id) is (P.RUNNING if end == "start" else P.CANCELLED)
    assert world.told(id) is None


def test_one_that_runs_and_is_suspended_there_says_so(world):
    """An attempt that ran and waits again is RUNNING still, and is told to wait until it runs again."""
    world.held = False
    id = world.job(seconds=300)
    world.turns(6)
    assert world.phase(id) is P.RUNNING
    world.held = True
    world.speak("Suspended", "somebody has suspended it")
    world.turns(2)
    assert (world.phase(id), world.told(id)) == (P.RUNNING, ("Suspended", "somebody has suspended it"))
    world.held = False
    world.turns(4)
    assert (world.phase(id), world.told(id)) == (P.RUNNING, None)


def test_words_that_count_are_told_once_a_minute(world):
    """A message that changes at each look changes the row once a minute; another reason is told at once."""
    world.speak("Unschedulable", "0/N nodes are available")
    id = world.job(seconds=3)
    world.turns(4)
    first = world.store.job(id)
    world.turns(20)
    assert world.store.job(id).version == first.version
    world.turns(4, seconds=observer.WORDS_EVERY_S / 2)
    assert first.version < world.store.job(id).version <= first.version + 3
    assert world.told(id) != ("Unschedulable", first.condition(conditions.SITE_WAITING).message)
    world.speak("NodeLost", "0/N nodes are available")
    world.turns(2)
    assert world.told(id)[0] == "NodeLost"


def test_an_odd_word_is_not_passed_on(world):
    """What is no word becomes the state; a message is one printable line with an end."""
    world.speak("no word\n", "a\nb\x1b[31m" + "x" * 5000)
    id = world.job(seconds=3)
    world.turns(4)
    reason, message = world.told(id)
    assert reason == observer.NO_WORD
    assert message.startswith("a b [31mxxx")
    assert message.isprintable()
    assert len(message) <= 1000
