"""Fakes of the small ports: a clock that is set, ids from a seed, an executor without threads. Pure, no library."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.domain import errors, executions, ids, sites
from orchestrator.ports import backends, environment

T = TypeVar("T")

START = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class VirtualClock:
    """Time that stands still until somebody moves it. Wall time can jump; monotonic time cannot."""

    def __init__(self, start: dt.datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0
        self._jump = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """Return the wall time."""
        return self._start + dt.timedelta(seconds=self._passed_s) + self._jump

    def monotonic(self) -> float:
        """Return the seconds that passed."""
        return self._passed_s

    def true_now(self) -> dt.datetime:
        """Return the wall time as it were without jumps: the time of everybody else."""
        return self._start + dt.timedelta(seconds=self._passed_s)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time does not go back; jump instead")
        self._passed_s += seconds

    def jump(self, by: dt.timedelta) -> None:
        """Set the wall clock wrong, by so much more than it is."""
        self._jump += by


class SeededIds:
    """Ids and jitter from a seed. Ids look like ULIDs and sort by when they were made."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- a test's history, not a secret
        self._count = 0

    def job_id(self) -> ids.JobId:
        """Return a new id."""
        self._count += 1
        number, text = self._count, ""
        for _ in range(10):
            number, digit = divmod(number, 32)
            text = _CROCKFORD[digit] + text
        return ids.JobId(text + "".join(self._random.choices(_CROCKFORD, k=16)))

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        return self._random.random()


class NoWake:
    """A way to wake nobody: tests tick by themselves."""

    def __init__(self) -> None:
        self.nudges = 0

    def nudge(self) -> None:
        """Count."""
        self.nudges += 1

    def wait(self, timeout_s: float) -> bool:
        """Return at once."""
        found, self.nudges = self.nudges > 0, 0
        return found


class InlineExecutor:
    """Makes each call at once, on the caller's thread. ``before`` sees each call first and may raise in its place."""

    def __init__(self, before: Callable[[str], None] | None = None) -> None:
        self._before = before
        self.calls: dict[str, int] = {}

    def call(self, bulkhead: str, what: Callable[[], T], *, timeout_s: float) -> Future[T]:
        """See the port."""
        self.calls[bulkhead] = self.calls.get(bulkhead, 0) + 1
        future: Future[T] = Future()
        try:
            if self._before is not None:
                self._before(bulkhead)
            future.set_result(what())
        except Exception as error:  # noqa: BLE001 -- it belongs to the caller
            future.set_exception(error)
        return future

    def in_flight(self, bulkhead: str) -> int:
        """Return 0."""
        return 0


@dataclass(slots=True)
class HeldCall:
    """A call that an executor holds back."""

    bulkhead: str
    run: Callable[[], None]
    deadline_s: float
    future: Future[object]


@dataclass(slots=True)
class HoldingExecutor:
    """Holds calls back until ``release``: for late answers and for backends that never answer.

    ``slots`` bounds the calls of a bulkhead, those past their deadline included, as the real one does.
    """

    clock: VirtualClock
    slots: int = 16
    held: list[HeldCall] = field(default_factory=list)

    def call(self, bulkhead: str, what: Callable[[], T], *, timeout_s: float) -> Future[T]:
        """See the port."""
        future: Future[T] = Future()
        if self.in_flight(bulkhead) >= self.slots:
            future.set_exception(environment.BulkheadFullError(bulkhead))
            return future

        def run() -> None:
            try:
                result = what()
            except Exception as error:  # noqa: BLE001 -- it belongs to the caller
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.held.append(HeldCall(bulkhead, run, self.clock.monotonic() + timeout_s, future))  # type: ignore[arg-type]  # only its end matters
        return future

    def in_flight(self, bulkhead: str) -> int:
        """Return how many calls are held."""
        return sum(1 for held in self.held if held.bulkhead == bulkhead)

    def expire(self) -> None:
        """Fail the calls whose deadline has passed; they stay in flight."""
        for held in self.held:
            if self.clock.monotonic() >= held.deadline_s and not held.future.done():
                held.future.set_exception(TimeoutError("past its deadline"))

    def release(self, wanted: Callable[[HeldCall], bool] = lambda _: True) -> int:
        """Let the wanted calls happen now; return how many."""
        chosen = [held for held in self.held if wanted(held)]
        self.held = [held for held in self.held if not wanted(held)]
        for held in chosen:
            held.run()
        return len(chosen)


class FixedFleet:
    """Adapters given by hand."""

    def __init__(self, adapters: Mapping[str, backends.BackendAdapter]) -> None:
        self.adapters = dict(adapters)

    def refresh(self, declared: Mapping[str, sites.Backend]) -> None:
        """Do nothing."""

    def names(self) -> Sequence[str]:
        """Return the names, in order."""
        return sorted(self.adapters)

    def adapter(self, backend: str) -> backends.BackendAdapter:
        """Return one; raises ``backend.unknown``."""
        found = self.adapters.get(backend)
        if found is None:
            raise errors.PermanentError("backend.unknown", f"no backend {backend!r} is registered")
        return found

    def origin(self, backend: str) -> executions.Adapter | None:
        """Return None: these are no installed programs."""
        return None
