"""What an attempt is said to be: by its own end, else by Slurm, and never a success of Slurm's word."""

import datetime as dt

import pytest

from backends.slurm import folder, views
from orchestrator.domain import ids, jobs, offers

KEY = ids.AttemptKey("01k-1")
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def told(state: str, *, ago_s: int = 3600) -> views.Job:
    """Return a job in a state that ended so long ago."""
    return views.Job(7, KEY, "u", state, "None", "fr", "fr-1", int(NOW.timestamp()) - ago_s, 1, 0, 0)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("state", [*sorted(views.ENDS), "SHINY", ""])
def test_slurm_alone_makes_no_success(state: str, begun: bool, stopped: bool) -> None:
    """Without a marker no state is one, COMPLETED least of all; a state that nobody knows is unknown."""
    seen = views.observation(KEY, [told(state)], None, NOW, begun=begun, stopped=stopped)
    if state in views.ENDS:
        assert seen.outcome is not None
        assert not seen.outcome.succeeded
    else:
        assert seen.state is offers.ObservedState.UNKNOWN


def test_the_marker_counts_whatever_slurm_says() -> None:
    """The command's own end stands, also where Slurm forgot the job or says that it failed."""
    for mine in ([], [told("FAILED")], [told("RUNNING")]):
        seen = views.observation(KEY, mine, folder.End(0, 0.0, False), NOW, begun=True, stopped=False)
        assert seen.outcome is not None
        assert seen.outcome.succeeded


def test_what_began_and_is_not_known_may_still_run() -> None:
    """It is neither gone nor stopped, though its end was asked for."""
    for stopped in (False, True):
        seen = views.observation(KEY, [], None, NOW, begun=True, stopped=stopped)
        assert seen.state is offers.ObservedState.UNKNOWN
    assert views.observation(KEY, [], None, NOW, begun=False, stopped=False).state is offers.ObservedState.GONE


def test_a_marker_may_come_late() -> None:
    """For a minute after Slurm's end nothing is said of what began."""
    seen = views.observation(KEY, [told("COMPLETED", ago_s=5)], None, NOW, begun=True, stopped=False)
    assert seen.state is offers.ObservedState.UNKNOWN


def test_who_stopped_it_is_told_apart() -> None:
    """CANCELLED is ours where we asked, else the site's."""
    kinds = []
    for stopped in (True, False):
        outcome = views.observation(KEY, [told("CANCELLED")], None, NOW, begun=True, stopped=stopped).outcome
        kinds.append(outcome.kind if outcome else None)
    assert kinds == [jobs.OutcomeKind.STOPPED, jobs.OutcomeKind.PREEMPTED]
