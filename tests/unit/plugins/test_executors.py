"""Bulkheads: bounded, with deadlines, each on its own."""

import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.plugins import executors
from orchestrator.ports import environment

WAIT_S = 10.0


@pytest.fixture
def executor() -> Iterator[executors.BulkheadExecutor]:
    """Return an executor with two slots a bulkhead."""
    made = executors.BulkheadExecutor(slots=2, idle_s=0.05)
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return an event that is set at the end, so that no thread stays."""
    made = threading.Event()
    yield made
    made.set()


def test_a_result_and_a_failure_reach_the_caller(executor: executors.BulkheadExecutor) -> None:
    """The future has what the call returned, or raised."""
    assert executor.call("a", lambda: 42, timeout_s=WAIT_S).result(WAIT_S) == 42
    with pytest.raises(ZeroDivisionError):
        executor.call("a", lambda: 1 // 0, timeout_s=WAIT_S).result(WAIT_S)
    assert executor.in_flight("a") == 0


def test_a_full_bulkhead_refuses_at_once(executor: executors.BulkheadExecutor, gate: threading.Event) -> None:
    """More calls than slots are not made, and the caller hears so immediately."""
    busy = [executor.call("a", gate.wait, timeout_s=WAIT_S) for _ in range(2)]
    made = []
    refused = executor.call("a", lambda: made.append(1), timeout_s=WAIT_S)
    with pytest.raises(environment.BulkheadFullError):
        refused.result(0)
    assert made == []
    gate.set()
    assert [one.result(WAIT_S) for one in busy] == [True, True]


def test_each_call_is_told_once_with_how_it_was_answered(gate: threading.Event) -> None:
    """What the metrics count: ok, error, timeout (once, also when it returns later), and full."""
    told: list[tuple[str, str]] = []
    made = executors.BulkheadExecutor(slots=1, called=lambda *words: told.append(words))

    def fail() -> None:
        raise ValueError("a fault")

    try:
        assert made.call("a", lambda: 1, timeout_s=WAIT_S).result(WAIT_S) == 1
        with pytest.raises(ValueError, match="a fault"):
            made.call("b", fail, timeout_s=WAIT_S).result(WAIT_S)
        late = made.call("c", gate.wait, timeout_s=0.05)
        full = made.call("c", gate.wait, timeout_s=WAIT_S)
        assert isinstance(full.exception(WAIT_S), environment.BulkheadFullError)
        assert isinstance(late.exception(WAIT_S), TimeoutError)
    finally:
        gate.set()
        made.close()
    wanted = {("a", "ok"), ("b", "error"), ("c", "timeout"), ("c", "full")}
    deadline = time.monotonic() + WAIT_S
    while len(told) < len(wanted) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert (set(told), len(told)) == (wanted, len(wanted))


def test_one_backend_never_starves_another(executor: executors.BulkheadExecutor, gate: threading.Event) -> None:
    """With every slot of one bulkhead hung, another answers."""
    for _ in range(5):
        executor.call("dead", gate.wait, timeout_s=WAIT_S)
    assert [executor.call(f"b{n}", lambda n=n: n, timeout_s=WAIT_S).result(WAIT_S) for n in range(20)] == list(
        range(20)
    )


def test_a_call_past_its_deadline_keeps_its_slot(executor: executors.BulkheadExecutor, gate: threading.Event) -> None:
    """The caller gets TimeoutError in time; the slot is free only when the call returns."""
    began = time.monotonic()
    late = executor.call("a", gate.wait, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        late.result(WAIT_S)
    assert time.monotonic() - began < WAIT_S / 2
    assert executor.in_flight("a") == 1
    gate.set()
    done = executor.call("a", lambda: "next", timeout_s=WAIT_S)
    assert done.result(WAIT_S) == "next"


def test_an_earlier_deadline_is_not_hidden_by_a_later_one(
    executor: executors.BulkheadExecutor, gate: threading.Event
) -> None:
    """A short deadline set after a long one still fires."""
    executor.call("a", gate.wait, timeout_s=60)
    with pytest.raises(TimeoutError):
        executor.call("b", gate.wait, timeout_s=0.02).result(WAIT_S)


def test_threads_end_when_there_is_nothing_to_do(executor: executors.BulkheadExecutor) -> None:
    """An idle bulkhead gives its threads back, and starts new ones when it is asked again."""
    executor.call("idle", lambda: None, timeout_s=WAIT_S).result(WAIT_S)
    until = time.monotonic() + WAIT_S
    while any(one.name == "adapter-idle" for one in threading.enumerate()):
        assert time.monotonic() < until
        threading.Event().wait(0.01)
    assert executor.call("idle", lambda: 1, timeout_s=WAIT_S).result(WAIT_S) == 1


def test_many_calls_leave_no_heap_of_deadlines(executor: executors.BulkheadExecutor) -> None:
    """Deadlines of calls that returned are swept, however far away they were."""
    for _ in range(3000):
        executor.call("a", int, timeout_s=3600).result(WAIT_S)
    assert len(executor._deadlines._heap) < 2000
