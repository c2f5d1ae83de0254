"""What a Workload of Kueue says is why a Job waits, or that it was taken back; what is malformed says nothing."""

from typing import Any

import pytest

from backends.kubernetes import names, observe, queues
from orchestrator.domain import jobs, offers
from tests.unit.backends.kubernetes import objects


def workload(*conditions: tuple[str, str, str, str], owner: Any = None) -> queues.Workload | None:
    """Return a Workload as it is kept; a condition is (type, status, reason, message)."""
    told = [dict(zip(("type", "status", "reason", "message"), one, strict=True)) for one in conditions]
    mine = {"kind": "Job", "name": objects.KEY, "uid": "u1", "controller": True}
    meta = {"name": "job-x", "resourceVersion": "7", "ownerReferences": [mine] if owner is None else owner}
    return queues.workload({"metadata": meta, "status": {"conditions": told}})


RESERVED = ("QuotaReserved", "True", "QuotaReserved", "")
ADMITTED = ("Admitted", "True", "Admitted", "")
TAKEN = ("Evicted", "True", "Preempted", "Preempted to accommodate a workload")
NO_LONGER = ("Admitted", "False", "NoReservation", "")


@pytest.mark.parametrize(
    ("conditions", "reason", "words"),
    [
        ((), "WaitsForQuota", "nothing is reserved"),
        ((("QuotaReserved", "False", "Pending", "insufficient quota"),), "WaitsForQuota", "Pending: insufficient"),
        ((("QuotaReserved", "False", "Inadmissible", "no such queue"),), "WaitsForQuota", "Inadmissible: no such"),
        ((RESERVED,), "WaitsForAdmission", "checks"),
        ((RESERVED, ADMITTED), "Admitted", "about to start"),
        ((RESERVED, TAKEN), "EvictedByQueue", "Preempted: Preempted to accommodate"),
    ],
)
def test_each_condition_is_a_reason(conditions: Any, reason: str, words: str) -> None:
    """A word of ours that stays, and Kueue's own words."""
    found = queues.waits("small", workload(*conditions))
    assert found[0] == reason
    assert found[1].startswith("queue small")
    assert words in found[1]


def test_nobody_has_looked_at_it() -> None:
    """Without a Workload the queue is not known to have taken the Job."""
    assert queues.waits("small", None)[0] == "WaitsForQueue"


def test_only_what_had_been_admitted_is_taken_back() -> None:
    """Evicted before it was admitted: queued again by Kueue, and no end of the attempt."""
    assert queues.evicted(None) is None
    assert queues.evicted(workload(RESERVED, TAKEN)) is None
    assert queues.evicted(workload(RESERVED, ADMITTED, ("Evicted", "False", "QuotaReserved", "Previously"))) is None
    found = queues.evicted(workload(TAKEN, NO_LONGER))
    assert found is not None
    assert queues.said(found, begun=True) == (True, f"its queue took it back: Preempted: {TAKEN[3]}")
    assert queues.said(found, begun=False)[0] is False


@pytest.mark.parametrize(
    "owner",
    [[], "no list", [{"kind": "RayJob", "uid": "u1", "controller": True}], [{"kind": "Job", "uid": "u1"}], [None]],
)
def test_one_that_is_of_no_job_is_none(owner: Any) -> None:
    """Kueue holds other kinds too; what is malformed is left out."""
    assert workload(RESERVED, owner=owner) is None


def test_what_is_malformed_says_nothing() -> None:
    """No status, or a status that is none, is a Workload of which nothing is known."""
    meta = {"name": "w", "ownerReferences": [{"kind": "Job", "name": "j", "uid": "u", "controller": True}]}
    malformed: tuple[object, ...] = (None, [], "x", {"conditions": 3})
    for status in malformed:
        found = queues.workload({"metadata": meta, "status": status})
        assert found is not None
        assert queues.waits("q", found)[0] == "WaitsForQuota"
    assert queues.workload({}) is None


def test_a_suspended_job_of_no_queue_was_suspended_by_somebody() -> None:
    """It waits with that reason; one that is ending says so."""
    seen = observe.observation(objects.job(suspend=True), [], {}, objects.wanted())
    assert (seen.state, seen.reason) == (offers.ObservedState.QUEUED, "Suspended")
    ending = objects.job(suspend=True, active=1, notes={names.STOPPED_ANNOTATION: "2026-11-22T12:00:00Z"})
    assert observe.observation(ending, [], {}, objects.wanted()).detail == "is ending"


@pytest.mark.parametrize(
    ("start", "kind"), [(names.TAKEN_BACK, jobs.OutcomeKind.PREEMPTED), (names.NO_ROOM, jobs.OutcomeKind.NO_ROOM)]
)
def test_one_that_was_taken_back_is_over_while_it_is_suspended(start: str, kind: jobs.OutcomeKind) -> None:
    """Nothing of it runs or will; the text stands without its mark."""
    job = objects.job(suspend=True, notes={names.GAVE_UP_ANNOTATION: f"{start}why"})
    seen = observe.observation(job, [], {}, objects.wanted())
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.detail) == (kind, "why")
