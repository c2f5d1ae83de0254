"""What may become of an obligation, one question a test."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import ids, obligations, reasons

AT = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
DUTY = obligations.Duty("a.b", reasons.Basis.LAW, "do it", "Art. 1", 14)
DONE = obligations.Fulfilment("no. 17", "", "Ada", "", "tok", AT)


def owed(duty: obligations.Duty = DUTY, old: obligations.Obligation | None = None) -> obligations.Obligation:
    """Return what a placement brings."""
    site = ids.SiteName("b/p")
    return obligations.recorded(old, duty, job=ids.JobId("J"), tenant="t", site=site, attempt=1, placed_at=AT)


def test_what_was_done_stays_done() -> None:
    """Neither an end, nor a withdrawal, nor another placement, nor its day changes it; it is not done twice."""
    done = obligations.fulfilled(owed(), DONE)
    assert obligations.withdrawn(done, "the job has ended", AT) is done
    assert obligations.overdue(done, AT + dt.timedelta(days=99)) is done
    assert owed(old=done) is done
    with pytest.raises(ValueError, match="fulfilled"):
        obligations.fulfilled(done, DONE)


def test_its_day_comes_once() -> None:
    """Open until the very moment, overdue from then on, noted at the first look; what lasts has no day."""
    one, day = owed(), dt.timedelta(days=14)
    assert obligations.overdue(one, AT + day - dt.timedelta(seconds=1)) is one
    late = obligations.overdue(one, AT + day)
    assert (late.state, late.overdue_at) == (obligations.State.OVERDUE, AT + day)
    assert obligations.overdue(late, AT + day + day) is late
    assert obligations.fulfilled(late, DONE).state is obligations.State.FULFILLED
    standing = owed(dataclasses.replace(DUTY, due_days=None))
    assert obligations.overdue(standing, AT + dt.timedelta(days=9_999)) is standing


@pytest.mark.parametrize("text", ["", "14", "d", "-1d", "14 d", "14D", "3651d", "none ", "\u0661d"])
def test_a_day_is_written_in_one_way(text: str) -> None:
    """Days with a d behind, or none; anything else is an error."""
    with pytest.raises(ValueError, match="days after the placement"):
        obligations.parse_due(text)
    for days in (0, 14, 3650, None):
        assert obligations.parse_due(obligations.due_text(days)) == days
