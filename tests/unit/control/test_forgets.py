"""What ended long ago is forgotten at its backend, and nothing else is."""

import datetime as dt
import math

import pytest

from orchestrator.control import lanes
from orchestrator.domain import errors, jobs
from orchestrator.settings import server as server_settings
from tests.unit.control import test_loop

WEEK_S = lanes.Pace().forget_after_s


def world():
    """Return a quiet world that forgets after five minutes, a few at a time."""
    return test_loop.Quiet(forget_after_s=300, forget_every_s=5, forget_page_every_s=0, forget_page=2, forget_max=1)


def has(made, attempt):
    return made.machines[attempt.site.partition("/")[0]].read(attempt.key)[0] is not None


def test_the_default_is_a_week():
    """As docs/operations.md says, and as the setting of the server says."""
    assert dt.timedelta(seconds=WEEK_S) == server_settings.FORGET_AFTER == dt.timedelta(days=7)


def test_ended_attempts_are_forgotten_after_the_retention_and_live_ones_are_not():
    """Every attempt of a job that ended goes, over several pages and calls; a job that runs on keeps its own."""
    made = world()
    ended = [made.job(seconds=2) for _ in range(5)]
    stays = made.job(seconds=50_000)
    made.turns(100)
    attempts = [made.store.job(id).attempts[-1] for id in ended]
    assert all(made.store.job(id).phase is jobs.Phase.SUCCEEDED for id in ended)
    assert all(has(made, one) for one in attempts)
    made.turns(320)
    assert not any(has(made, one) for one in attempts)
    assert has(made, made.store.job(stays).attempt)
    assert made.phase(stays) is jobs.Phase.RUNNING


def test_never_is_never():
    """A server that was told to forget nothing does not even look for what ended."""
    made = test_loop.Quiet(forget_after_s=math.inf, forget_every_s=5, forget_page_every_s=0)
    id = made.job(seconds=2)
    made.turns(500)
    assert has(made, made.store.job(id).attempts[-1])


def test_a_jump_of_the_clock_forgets_nothing():
    """A wall clock that is set a month ahead costs nobody's outputs."""
    made = world()
    id = made.job(seconds=2)
    made.turns(20)
    made.clock.jump(dt.timedelta(days=30))
    made.turns(60)
    assert has(made, made.store.job(id).attempts[-1])


@pytest.mark.parametrize("error", [errors.PermanentError("x.y", "no"), RuntimeError("a bug")])
def test_what_cannot_be_forgotten_is_tried_again_and_keeps_nobody(error):
    """An adapter that breaks on one attempt forgets the others, and is asked again by the next walk."""
    made = world()
    ids = [made.job(seconds=2) for _ in range(6)]
    made.turns(100)
    attempts = [made.store.job(id).attempts[-1] for id in ids]
    poison, asked = attempts[0], []
    for adapter in made.adapters.values():

        def forget(ref, real=adapter.forget):
            if ref.key == poison.key:
                asked.append(ref.key)
                raise error
            real(ref)

        adapter.forget = forget
    made.turns(400)
    assert [one.key for one in attempts if has(made, one)] == [poison.key]
    assert len(asked) > 1


def test_what_was_forgotten_is_not_asked_for_again():
    """A walk that told a backend everything saves the calls of the next one; what ended since is still told."""
    made = world()
    made.job(seconds=2)
    made.turns(340)
    asked = []
    for adapter in made.adapters.values():
        adapter.forget = lambda ref: asked.append(ref.key)
    made.turns(100)
    assert asked == []
    later = made.store.job(made.job(seconds=2)).id
    made.turns(400)
    assert asked == [made.store.job(later).attempts[-1].key]


def test_nothing_is_forgotten_under_an_old_term():
    """A controller that was replaced while its call waited forgets nothing."""
    made = world()
    id = made.job(seconds=2)
    made.turns(20)
    attempt = made.store.job(id).attempts[-1]
    parts = made.loop._forgets
    adapter = made.adapters[attempt.site.partition("/")[0]]
    ref = test_loop.worlds.backends.AttemptRef(attempt.key)
    assert parts._forget(adapter, [ref], made.store.current_term() - 1) is None
    assert has(made, attempt)
    assert parts._forget(adapter, [ref], made.store.current_term()) is None
    assert not has(made, attempt)
