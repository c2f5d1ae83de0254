"""Time for deadlines does not jump."""

import datetime as dt

from orchestrator.control import steady
from orchestrator.testing import fakes


def test_an_hour_s_jump_is_taken_in_slowly():
    """After a jump of the wall clock the steady time goes on, at most a tenth faster."""
    clock = fakes.VirtualClock()
    one = steady.SteadyClock(clock)
    clock.jump(dt.timedelta(hours=1))
    clock.advance(60)
    assert one.now() == fakes.START + dt.timedelta(seconds=66)
    clock.advance(40_000)
    assert one.now() == clock.now()


def test_a_jump_back_never_turns_it_back():
    """The steady time never goes back."""
    clock = fakes.VirtualClock()
    one = steady.SteadyClock(clock)
    before = one.now()
    clock.jump(dt.timedelta(hours=-1))
    clock.advance(1)
    assert one.now() > before
