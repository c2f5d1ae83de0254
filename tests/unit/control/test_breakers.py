"""The circuit breaker bounds what a dead backend costs."""

from orchestrator.control import breakers
from orchestrator.inventory import sightings

C = sightings.Circuit


def test_it_opens_after_failures_in_a_row_and_one_probe_closes_it():
    """Three failures open it; after the pause one call goes through; an answer closes it."""
    one = breakers.Breaker(lambda: 0.5)
    for _ in range(breakers.FAILURES_MAX - 1):
        one.bad(0.0)
    assert one.closed
    one.bad(0.0)
    assert one.circuit is C.OPEN
    assert not one.may_probe(0.5)
    assert one.may_probe(5.0)
    one.probe()
    assert one.circuit is C.PROBING
    assert not one.may_probe(5.0)
    one.good()
    assert one.closed


def test_a_flapping_backend_is_asked_ever_less():
    """Each failed probe makes the next pause longer, up to the cap."""
    one, now_s, pauses = breakers.Breaker(lambda: 0.999), 0.0, []
    for _ in range(breakers.FAILURES_MAX):
        one.bad(now_s)
    for _ in range(8):
        began_s = now_s
        while not one.may_probe(now_s):
            now_s += 0.5
        pauses.append(now_s - began_s)
        one.probe()
        one.bad(now_s)
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 60


def test_success_in_between_keeps_it_closed():
    """Only failures in a row count."""
    one = breakers.Breaker(lambda: 0.5)
    for _ in range(10):
        one.bad(0.0)
        one.good()
    assert one.closed
