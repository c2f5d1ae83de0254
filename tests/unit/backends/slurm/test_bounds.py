"""How many jobs may be in flight: counted from Slurm's list, and from what was sent and not answered."""

import pytest

from backends.slurm import bounds, settings, wire
from orchestrator.domain import errors

NONE = errors.SideEffects.NONE
MARK = "comity here b "


def wanted(jobs_max: int | None = None, **tenants: int | None) -> settings.SlurmSettings:
    """Return settings with these bounds."""
    return settings.SlurmSettings.read(
        {
            "url": "http://127.0.0.1:6820",
            "user": "u",
            "token": "t",
            "folder": "/shared",
            "tenants": {name: {"jobsMax": most} if most else {} for name, most in tenants.items()},
            **({"jobsMax": jobs_max} if jobs_max else {}),
        }
    )


def told(name: str, tenant: str | None, state: str = "PENDING") -> wire.Job:
    """Return a job of this backend as Slurm lists it."""
    comment = f"{MARK}sha256:0" + (f" {tenant}" if tenant else "")
    return wire.Job(7, name, comment, "u", "fr", frozenset([state]))


def code(made: bounds.Bounds, tenant: str, *own: wire.Job, key: str = "k-1") -> str:
    """Return the code with which one more is refused; "" where it is let through."""
    try:
        made.check(key, tenant, own)
    except errors.PermanentError as error:  # a transient one would speak against the backend
        return error.code if (error.retry, error.effects) == (errors.RetryWhere.ELSEWHERE, NONE) else "wrong kind"
    return ""


def test_the_backend_is_bounded_and_what_is_over_does_not_count() -> None:
    """Two may be there; a third waits until one is over."""
    made = bounds.Bounds(wanted(2), MARK)
    assert code(made, "a", told("x-1", "b")) == ""
    assert code(made, "a", told("x-1", "b"), told("x-2", "a", "RUNNING")) == "slurm.jobs-max"
    assert code(made, "a", told("x-1", "b"), told("x-2", "a", "COMPLETED")) == ""


def test_a_tenant_is_bounded_by_its_own_jobs() -> None:
    """Those of another do not count; those of which nobody is named do."""
    made = bounds.Bounds(wanted(a=1, b=None), MARK)
    assert code(made, "a", told("x-1", "b"), told("x-2", "b")) == ""
    assert code(made, "a", told("x-1", "a")) == "slurm.jobs-max"
    assert code(made, "a", told("x-1", None)) == "slurm.jobs-max"
    assert code(made, "b", told("x-1", "a"), told("x-2", "b")) == ""


def test_what_was_sent_counts_until_it_is_answered_or_too_old() -> None:
    """A reply was lost: the job may turn up; the same key may be sent again meanwhile."""
    now_s = [1000.0]
    made = bounds.Bounds(wanted(1), MARK, lambda: now_s[0])
    made.sent("x-1", "a")
    assert code(made, "a") == "slurm.jobs-max"
    assert code(made, "a", key="x-1") == ""
    assert made.left([]) == 0
    now_s[0] += bounds.UNSEEN_S + 1
    assert code(made, "a") == ""
    made.sent("x-2", "a")
    made.answered("x-2")
    assert (code(made, "a"), made.left([])) == ("", 1)


@pytest.mark.parametrize(("jobs_max", "bound"), [(None, False), (3, True)])
def test_where_nothing_is_bounded_nothing_is_asked(jobs_max: int | None, bound: bool) -> None:
    """No bound, no figure."""
    made = bounds.Bounds(wanted(jobs_max), MARK)
    assert (made.any, made.left([])) == (bound, jobs_max)


def test_the_tenant_stands_in_the_comment() -> None:
    """As it is read again; one of an earlier version names none."""
    made = bounds.Bounds(wanted(1), MARK)
    assert bounds.tenant_of(made.comment("sha256:0", "acme")) == "acme"
    assert bounds.tenant_of(f"{MARK}sha256:0") == ""
