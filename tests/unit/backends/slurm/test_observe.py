"""What an attempt is said to be: by its own last word, else by Slurm, and never a success of Slurm's word."""

import dataclasses

import pytest

from backends.slurm import folders, observe, wire
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

REF = backends.AttemptRef(ids.AttemptKey("01k-1"), "slurm:7:01k-1")
State, Kind = offers.ObservedState, jobs.OutcomeKind


def told(*states: str, reason: str = "None", nodes: str = "fr-1") -> wire.Job:
    """Return a job as Slurm has it."""
    return wire.Job(7, "01k-1", "comity here b sha256:0", "u", "fr", frozenset(states), reason, nodes=nodes)


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("state", sorted(observe.ENDS))
def test_slurm_alone_makes_no_success(state: str, claimed: bool, stopped: bool) -> None:
    """Without a last word no state is one, COMPLETED least of all."""
    seen = observe.without_word(REF, folders.Left(claimed=claimed, stopped=stopped), told(state))
    assert seen.state is State.ENDED
    assert seen.outcome is not None
    assert not seen.outcome.succeeded


@pytest.mark.parametrize("state", ["SHINY", ""])
def test_a_state_that_nobody_knows_is_unknown(state: str) -> None:
    """It is neither alive nor over."""
    assert not observe.is_over(told(state))
    assert observe.live(REF, folders.Left(claimed=True), told(state)).state is State.UNKNOWN


@pytest.mark.parametrize("job", [None, told("FAILED"), told("RUNNING"), told("NODE_FAIL")])
def test_the_last_word_counts_whatever_slurm_says(job: wire.Job | None) -> None:
    """Also where Slurm forgot the job, or says that it failed."""
    seen = observe.ended(REF, folders.Left(claimed=True, number=7, end="exited", code=0), job)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code) == (Kind.EXITED, 0)


@pytest.mark.parametrize(
    ("word", "states", "stopped", "kind"),
    [
        ("late", ("RUNNING",), False, Kind.TIMED_OUT),
        ("told", ("CANCELLED",), True, Kind.STOPPED),
        ("told", ("CANCELLED",), False, Kind.PREEMPTED),
        ("told", ("PREEMPTED",), False, Kind.PREEMPTED),
        ("told", ("TIMEOUT",), False, Kind.TIMED_OUT),
        ("told", ("OUT_OF_MEMORY",), False, Kind.OUT_OF_MEMORY),
        ("stopped", (), True, Kind.STOPPED),
        ("unpack", (), False, Kind.START_FAILED),
        ("begin", (), False, Kind.START_FAILED),
    ],
)
def test_who_ended_it_is_told_apart(word: str, states: tuple[str, ...], stopped: bool, kind: Kind) -> None:
    """A stop of ours, the site's, a limit, and what never began."""
    left = folders.Left(claimed=True, stopped=stopped, number=7, end=word, code=143)
    outcome = observe.ended(REF, left, told(*states)).outcome
    assert outcome is not None
    assert outcome.kind is kind


def test_what_began_and_is_not_known_may_still_run() -> None:
    """It is neither gone nor stopped, though its end was asked for; until its own limit has ended it."""
    for stopped in (False, True):
        left = folders.Left(claimed=True, stopped=stopped, number=7, over_by_s=1000.0)
        assert observe.unknown_to_slurm(REF, left, 1000.0).state is State.UNKNOWN
        assert observe.unknown_to_slurm(REF, left, 5000.0).state is State.ENDED
    assert observe.unknown_to_slurm(REF, folders.Left(), 0.0).state is State.GONE
    assert observe.unknown_to_slurm(REF, folders.Left(stopped=True), 0.0).state is State.ENDED


def test_what_is_held_after_its_start_failed_is_not_launched() -> None:
    """By Slurm's own words, in either spelling; one that began, that is held by a person or that runs is not."""
    for said in ("launch failed requeued held", "launch_failed_requeued_held"):
        held = dataclasses.replace(told("PENDING", reason="JobHeldUser"), said=said)
        assert observe.is_not_launched(folders.Left(), held)
        assert not observe.is_not_launched(folders.Left(claimed=True), held)
        seen = observe.not_launched(REF, held)
        assert seen.outcome is not None
        assert (seen.state, seen.outcome.kind) == (State.ENDED, Kind.START_FAILED)
        assert said in seen.detail
        assert not observe.is_not_launched(folders.Left(), dataclasses.replace(held, states=frozenset({"RUNNING"})))
    person = dataclasses.replace(told("PENDING", reason="JobHeldUser"), said="look at this one")
    assert not observe.is_not_launched(folders.Left(), person)
    assert observe.live(REF, folders.Left(), person).detail == "Slurm: JobHeldUser (look at this one)"


def test_what_is_queued_again_does_not_begin_again() -> None:
    """Its claim is taken; one that never began waits."""
    assert observe.is_again(folders.Left(claimed=True), told("PENDING"))
    assert not observe.is_again(folders.Left(), told("PENDING"))
    waits = observe.live(REF, folders.Left(), told("PENDING", reason="Resources"))
    assert (waits.state, waits.reason, waits.detail) == (State.QUEUED, "Resources", "Slurm: Resources")


def test_a_job_that_cannot_make_its_folder_says_where_to_look() -> None:
    """It never began, and the remedy is the folder."""
    seen = observe.without_word(REF, folders.Left(), told("FAILED", reason="NonZeroExitCode"))
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.START_FAILED
    assert "settings.folder" in seen.outcome.detail
