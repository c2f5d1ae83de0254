"""What one GONE is worth."""

import datetime as dt

import pytest

from orchestrator.control import observer
from orchestrator.domain import ids, jobs
from orchestrator.testing import fakes

LAG = dt.timedelta(seconds=60)
T = observer.Trust


def attempt(phase=jobs.Phase.RUNNING, gone_reads=0):
    return jobs.Attempt(
        1, ids.AttemptKey("k-1"), ids.SiteName("b/p"), phase, ids.Digest("d"), fakes.START, gone_reads=gone_reads
    )


def worth(one, lag, *, age_s=1000.0, known_s=1000.0, read=5, touch=None):
    touch = touch or observer.Touch(since_s=0.0)
    now = fakes.START + dt.timedelta(seconds=age_s)
    return observer.trust(one, lag, touch, read, now=now, now_s=touch.since_s + known_s)


def test_consistent_reads_are_believed_at_once():
    """Without a lag one GONE is enough."""
    assert worth(attempt(), dt.timedelta(0), age_s=0, known_s=0) is T.FULL


def test_two_reads_after_the_lag_are_needed():
    """With a lag the first old enough read is half, the second is believed."""
    assert worth(attempt(), LAG) is T.HALF
    assert worth(attempt(gone_reads=1), LAG) is T.FULL


@pytest.mark.parametrize(("age_s", "known_s"), [(30, 30), (3630, 30), (30, 3630), (60, 60)])
def test_younger_than_the_lag_is_worth_nothing_even_after_a_clock_jump(age_s, known_s):
    """Both the wall clock and this loop's own time must be past the lag."""
    assert worth(attempt(gone_reads=1), LAG, age_s=age_s, known_s=known_s) is T.NOTHING


def test_a_read_from_before_the_last_submit_is_worth_nothing():
    """A late answer says nothing of what came after its question."""
    assert worth(attempt(), dt.timedelta(0), touch=observer.Touch(0.0, serial=5), read=5) is T.NOTHING


def test_while_stopping_only_a_read_after_the_acknowledged_stop_counts():
    """Until the backend has heard the stop, a submit under way could still arrive."""
    stopping = attempt(jobs.Phase.STOPPING)
    assert worth(stopping, dt.timedelta(0)) is T.NOTHING
    assert worth(stopping, dt.timedelta(0), touch=observer.Touch(0.0, stopped=6), read=5) is T.NOTHING
    assert worth(stopping, dt.timedelta(0), touch=observer.Touch(0.0, stopped=4), read=5) is T.FULL
