"""Time, ids, waking, logs and metrics."""

import datetime as dt
import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from orchestrator.telemetry import clocks, id_factories, logs, metrics, wakes


class StillClock:
    """Time that a test sets."""

    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """Return it."""
        return self.at

    def monotonic(self) -> float:
        """Return nothing of use."""
        return 0.0


def test_ids_grow_also_within_a_moment_and_when_the_clock_goes_back() -> None:
    """Ten thousand ids of one millisecond, and some of an hour before, are in order and all different."""
    clock = StillClock()
    factory = id_factories.UlidFactory(clock)
    made = [factory.job_id() for _ in range(10_000)]
    clock.at -= dt.timedelta(hours=1)
    made += [factory.job_id() for _ in range(10)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(len(one) == 26 and set(one) <= set(id_factories.ALPHABET) for one in made)


def test_an_id_begins_with_its_time() -> None:
    """The first ten characters are the milliseconds, as the specification of ULID has them."""
    clock = StillClock()
    clock.at = dt.datetime.fromtimestamp(1469918176.385, dt.UTC)
    assert id_factories.UlidFactory(clock).job_id()[:10] == "01ARYZ6S41"


def test_jitter_is_a_fraction() -> None:
    """Randomness lies in [0, 1)."""
    factory = id_factories.UlidFactory(clocks.SystemClock())
    assert all(0 <= factory.jitter() < 1 for _ in range(100))


def test_the_clock_is_utc_and_monotonic() -> None:
    """Wall time carries its zone; monotonic seconds do not go back."""
    clock = clocks.SystemClock()
    assert clock.now().tzinfo is dt.UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_nudge_wakes_and_is_taken_once() -> None:
    """A nudge before or during the wait ends it; the next wait needs another."""
    wake = wakes.ConditionWake()
    wake.nudge()
    wake.nudge()
    assert wake.wait(0) is True
    assert wake.wait(0) is False
    threading.Timer(0.02, wake.nudge).start()
    assert wake.wait(120) is True


@pytest.fixture
def captured() -> Iterator[io.StringIO]:
    """Return where logs go; everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_logs_are_bounded_json_lines(captured: io.StringIO) -> None:
    """One object a line, long values cut, lines of libraries too, and nothing below the level."""
    logs.get("part").info("said", value="x" * 10_000, line="a\nb")
    logs.get("part").debug("unsaid")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    lines = [json.loads(line) for line in captured.getvalue().splitlines()]
    assert [one["event"] for one in lines] == ["said", "library"]
    assert len(lines[0]["value"]) < 3000
    assert lines[1]["part"] == "uvicorn.error"


def test_labels_are_bounded() -> None:
    """However many backends there were, the names counted are few; the others are one."""
    counted = metrics.Metrics()
    for number in range(2 * metrics.LABEL_VALUES_MAX):
        counted.backend_called(f"b{number}", "ok")
    text = counted.render().decode()
    assert text.count("comity_backend_calls_total{") == metrics.LABEL_VALUES_MAX + 1
    assert 'backend="other"' in text
