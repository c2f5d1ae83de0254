"""When to try again, and what a failed submit means."""

import pytest

from orchestrator.control import retry
from orchestrator.domain import errors
from orchestrator.ports import environment

S, W, V = errors.SideEffects, errors.RetryWhere, retry.Verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (environment.BulkheadFullError("x"), V.NOT_MADE),
        (errors.TransientError("c", "m"), V.LOOK_UP),
        (TimeoutError(), V.LOOK_UP),
        (errors.TransientError("c", "m", effects=S.NONE), V.AGAIN),
        (errors.TransientError("c", "m", effects=S.NONE, retry=W.ELSEWHERE), V.REFUSED),
        (errors.PermanentError("c", "m"), V.REFUSED),
        (errors.PermanentError("c", "m", effects=S.UNKNOWN), V.LOOK_UP),
        (errors.TransientError("c", "m", effects=S.DONE), V.LOOK_UP),
        (ValueError("x"), V.POISON),
    ],
)
def test_a_failure_means_what_the_taxonomy_says(error, verdict):
    """The verdict follows from code, retry and effects, never from text."""
    assert retry.verdict(error) is verdict


def test_back_off_doubles_to_its_cap_with_full_jitter():
    """The pause is uniform between the floor and the doubled, capped base."""
    pause = retry.Backoff(base_s=1.0, cap_s=60.0, floor_s=0.2)
    assert [pause.pause_s(n, lambda: 0.5) for n in (1, 2, 3, 7, 500)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert pause.pause_s(9, lambda: 0.0) == 0.2


def test_a_full_bulkhead_says_nothing_about_the_backend():
    """Only failures of the transport speak against a backend."""
    assert not retry.is_transport(environment.BulkheadFullError("x"))
    assert not retry.is_transport(errors.PermanentError("c", "m"))
    assert retry.is_transport(TimeoutError())
