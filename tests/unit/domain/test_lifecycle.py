"""Single sentences of the lifecycle; its laws are in ``tests/property``."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import conditions, elements, errors, events, ids, jobs, lifecycle
from orchestrator.testing import fakes

AT = fakes.START
ID = ids.JobId("01HZZZZZZZZZZZZZZZZZZZZZZZ")
P = jobs.Phase


def job(**more):
    return jobs.Job(ID, "t", jobs.JobSpec(name="j", **more), ids.Digest("sha256:0"), AT, "u")


def say(one, *said):
    for event in said:
        one = lifecycle.apply(one, event)
    return one


def placed(number=1, site="b/p"):
    return events.Placed(AT, number, ids.SiteName(site), ids.Digest("sha256:d"))


def ended(number, code=0):
    return events.Ended(AT, number, jobs.Outcome(jobs.OutcomeKind.EXITED, code))


@pytest.mark.parametrize("cause", sorted(set(jobs.StopCause) - lifecycle.FINAL_CAUSES, key=lambda each: each.value))
def test_a_move_is_not_charged(cause):
    """A stop by policy, drain or fence takes a try from the user; it is not the job's own."""
    moved = say(job(), placed(), events.StopRequested(AT, cause, "c"), events.Vanished(AT, 1))
    assert (moved.phase, moved.stop, lifecycle.tries_charged(moved)) == (P.QUEUED, None, 0)


def test_a_cancel_overrides_a_move_and_never_the_other_way():
    """Who cancels means it; a later drain does not bring the job back."""
    drain, cancel = (
        events.StopRequested(AT, cause, "u") for cause in (jobs.StopCause.DRAINED, jobs.StopCause.CANCELLED)
    )
    assert say(job(), placed(), drain, cancel, events.Vanished(AT, 1)).phase is P.CANCELLED
    assert say(job(), placed(), cancel, drain, events.Vanished(AT, 1)).phase is P.CANCELLED


def test_a_success_that_meets_a_cancel_is_a_success():
    """What was done before the stop was heard is done."""
    cancel = events.StopRequested(AT, jobs.StopCause.CANCELLED, "u")
    assert say(job(), placed(), cancel, ended(1)).phase is P.SUCCEEDED


def test_waiting_in_vain_charges_no_try():
    """A backend that took an attempt and gave up waiting for room ran nothing: and queues again."""
    vain = events.Ended(AT, 1, jobs.Outcome(jobs.OutcomeKind.NO_ROOM, detail="no room"))
    one = say(job(), placed(), events.SubmitAccepted(AT, 1, "h"), vain)
    assert (one.phase, lifecycle.tries_charged(one), one.attempts[0].reason) == (P.QUEUED, 0, "NoRoom")
    assert one.condition("Refused").message == "no room"
    assert say(one, placed(2), ended(2)).phase is P.SUCCEEDED


def test_room_that_was_lost_after_a_start_is_a_try():
    """Nobody who saw it run believes that nothing ran."""
    vain = events.Ended(AT, 1, jobs.Outcome(jobs.OutcomeKind.NO_ROOM))
    one = say(job(), placed(), events.Started(AT, 1), vain)
    assert (one.phase, lifecycle.tries_charged(one), one.reason) == (P.FAILED, 1, "NoRoom")


def test_waiting_in_vain_ends_what_was_cancelled():
    """A wish to stop is kept."""
    cancel = events.StopRequested(AT, jobs.StopCause.CANCELLED, "u")
    vain = events.Ended(AT, 1, jobs.Outcome(jobs.OutcomeKind.NO_ROOM))
    assert say(job(), placed(), cancel, vain).phase is P.CANCELLED


def test_an_abandoned_attempt_says_nothing_any_more():
    """After ``duplicateOk`` moved a job, news of the old attempt change nothing."""
    one = say(job(), placed(), events.SubmitAccepted(AT, 1, "h"), events.Abandoned(AT, 1, "Unreachable"), placed(2))
    assert say(one, ended(1, code=1)) is one
    assert [attempt.phase for attempt in one.attempts] == [P.CANCELLED, P.PLACED]


def test_refused_attempts_do_not_grow_a_row_without_bound():
    """Old attempts that charged nobody are dropped; numbers go on; charged ones stay."""
    one = say(job(retry=jobs.Retry(3)), placed(), ended(1, code=1))
    for number in range(2, 60):
        refused = events.SubmitRefused(AT, number, "c", "m", errors.RetryWhere.ELSEWHERE)
        one = say(one, placed(number), refused)
    assert one.attempts[-1].number == 59
    assert len(one.attempts) <= lifecycle.MAX_UNCHARGED + 1
    assert one.attempts[0].outcome is not None


def test_back_off_survives_a_fence():
    """A job that is moved after a failed launch does not come back at once."""
    later = AT + dt.timedelta(minutes=1)
    drain = events.StopRequested(AT, jobs.StopCause.DRAINED, "c")
    assert say(job(), placed(), drain, events.Vanished(AT, 1, later)).not_before == later


def test_touching_an_element_twice_is_a_mistake_of_the_caller():
    """An element becomes a row once."""
    parent = dataclasses.replace(job(array=jobs.ArraySpec(2)), array_state=jobs.ArrayState(((0, 2),)))
    parent, element = elements.touch(parent, 1)
    assert element.id == f"{ID}[1]"
    with pytest.raises(ValueError, match="touched before"):
        elements.touch(parent, 1)


# --- verified jobs ----------------------------------------------------------------------------------------------------

HAND = jobs.Hand(0, ids.SiteName("b/p"), "alder", "FR")


def verified(**state):
    wanted = jobs.Verification(2, 2)
    state = {"untouched": ((0, 2),)} | state
    return dataclasses.replace(job(verification=wanted), array_state=jobs.ArrayState(**state))


def judged(accepted=0):
    return events.Judged(AT, accepted, "Quorum", "m", {})


def test_runs_that_end_do_not_end_their_job():
    """Neither well nor badly: the verdict does; an array would be over."""
    for end in (P.SUCCEEDED, P.FAILED):
        parent = verified(untouched=(), counts=((P.RUNNING, 1), (end, 1)))
        moved = elements.element_changed(parent, P.RUNNING, end, AT)
        assert (moved.phase, moved.array_state.counts) == (P.RUNNING, ((end, 2),))


def test_a_verdict_ends_the_job_and_nothing_is_placed_any_more():
    """It stands: what runs on is counted and changes nothing."""
    parent = verified(untouched=((1, 2),), counts=((P.RUNNING, 1),))
    held, open_ = say(parent, judged()), say(parent, judged(None))
    assert (held.phase, held.reason, held.array_state.accepted) == (P.SUCCEEDED, "Quorum", 0)
    assert (open_.phase, open_.condition(elements.UNSETTLED).status) == (P.FAILED, True)
    assert held.array_state.untouched == ()
    later = elements.element_changed(held, P.RUNNING, P.CANCELLED, AT)
    assert (later.phase, later.array_state.counts) == (P.SUCCEEDED, ((P.CANCELLED, 1),))
    assert say(held, judged(1)) is held


def test_a_trusted_run_is_asked_for_once_and_in_order():
    """Asked again, or one too far, nothing changes; a verdict clears the condition."""
    parent = verified(untouched=(), counts=((P.SUCCEEDED, 2),))
    first = say(parent, events.RefereeAsked(AT, 2, "m"))
    assert (first.array_state.untouched, first.array_state.referees) == (((2, 3),), 1)
    assert first.condition(elements.REFEREE_ASKED).status
    for number in (2, 4, 1):
        assert say(first, events.RefereeAsked(AT, number, "m")) is first
    second = say(first, events.RefereeAsked(AT, 3, "m"))
    assert say(second, events.RefereeAsked(AT, 4, "m")) is second
    assert elements.has_element(second, 3)
    assert not elements.has_element(first, 3)
    assert not say(second, judged()).condition(elements.REFEREE_ASKED).status


def test_a_cancelled_verified_job_is_judged_by_nobody():
    """Nor asks it for anybody; it ends as an array does."""
    stop = events.StopRequested(AT, jobs.StopCause.CANCELLED, "u")
    stopped = say(verified(untouched=(), counts=((P.RUNNING, 1),)), stop)
    assert stopped.phase is P.STOPPING
    assert say(stopped, judged(), events.RefereeAsked(AT, 2, "m")) is stopped
    assert elements.element_changed(stopped, P.RUNNING, P.CANCELLED, AT).phase is P.CANCELLED


def test_a_run_that_is_not_needed_any_more_is_cancelled_wherever_it_is():
    """At once while it waits; else once its place has ended it. What it had finished stands."""
    stop = events.StopRequested(AT, jobs.StopCause.SETTLED, "c")
    assert (say(job(), stop).phase, say(job(), stop).reason) == (P.CANCELLED, "Settled")
    running = say(job(), placed(), events.Started(AT, 1), stop)
    assert running.phase is P.STOPPING
    gone = say(running, events.Ended(AT, 1, jobs.Outcome(jobs.OutcomeKind.STOPPED)))
    assert (gone.phase, gone.reason) == (P.CANCELLED, "Settled")
    assert say(running, ended(1)).phase is P.SUCCEEDED


def test_a_place_is_kept_once_and_ends_the_waiting():
    """Each that a run ever had, in order."""
    parent = conditions.changed(verified(), events.ConditionChanged(AT, "Waiting", True, "Verification", "m"))
    once = elements.given(parent, HAND, AT)
    assert once.array_state.held == (HAND,)
    assert not once.condition("Waiting").status
    assert elements.given(once, HAND, AT).array_state.held == (HAND,)
    other = dataclasses.replace(HAND, number=1)
    assert elements.given(once, other, AT).array_state.held == (HAND, other)
