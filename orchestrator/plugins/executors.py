"""Calls adapters: one bounded bulkhead a backend, each call with a deadline.

A call that is past its deadline fails for its caller and keeps its slot until it returns, because a thread cannot be
killed and the call may still have an effect. A backend that swallows all its slots is refused further calls; the
others have their own threads and notice nothing. Threads are daemons: a hung call never holds up the end.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from orchestrator.ports import environment

T = TypeVar("T")

SLOTS = 16
"""Calls in flight a bulkhead, those past their deadline included."""
IDLE_S = 30.0
"""A thread without work ends after this long."""

_Call = tuple[Callable[[], Any], "Future[Any]"]


def outcome(done: Future[Any]) -> str:
    """Return how a call was answered: ``ok``, ``error``, ``timeout``, or ``full`` for one that was never made."""
    error = done.exception()
    if error is None:
        return "ok"
    if isinstance(error, environment.BulkheadFullError):
        return "full"
    return "timeout" if isinstance(error, TimeoutError) else "error"


class BulkheadExecutor:
    """Implements ``ports.environment.Executor``. Safe to call from any thread; never blocks the caller."""

    def __init__(
        self, *, slots: int = SLOTS, idle_s: float = IDLE_S, called: Callable[[str, str], None] | None = None
    ) -> None:
        """Make one; ``called`` is told of each call once it is answered: the bulkhead, and one word (``outcome``)."""
        self._called = called
        self._slots = slots
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._bulkheads: dict[str, _Bulkhead] = {}
        self._deadlines = _Deadlines()

    def call(self, bulkhead: str, what: Callable[[], T], *, timeout_s: float) -> Future[T]:
        """Start a call; see the port."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        if (called := self._called) is not None:
            future.add_done_callback(lambda done: called(bulkhead, outcome(done)))
        with self._lock:
            there = self._bulkheads.get(bulkhead)
            if there is None:
                there = self._bulkheads[bulkhead] = _Bulkhead(bulkhead, self._slots, self._idle_s)
        if not there.start(what, future):
            future.set_exception(environment.BulkheadFullError(f"{bulkhead}: {self._slots} calls are in flight"))
            return future
        self._deadlines.watch(future, timeout_s)
        return future

    def in_flight(self, bulkhead: str) -> int:
        """Return how many calls have not returned."""
        there = self._bulkheads.get(bulkhead)
        return there.in_flight if there else 0

    def close(self) -> None:
        """Take no notice of what is still in flight."""
        self._deadlines.close()


class _Bulkhead:
    """The threads of one backend: started when there is work and nobody idle, ended when idle for long."""

    def __init__(self, name: str, slots: int, idle_s: float) -> None:
        self._name = name
        self._slots = slots
        self._idle_s = idle_s
        self._work: deque[_Call] = deque()
        self._ready = threading.Condition(threading.Lock())
        self._idle = 0
        self.in_flight = 0

    def start(self, what: Callable[[], T], future: Future[T]) -> bool:
        with self._ready:
            if self.in_flight >= self._slots:
                return False
            self.in_flight += 1
            self._work.append((what, future))
            if self._idle >= len(self._work):
                self._ready.notify()
                return True
        threading.Thread(target=self._serve, name=f"adapter-{self._name}", daemon=True).start()
        return True

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            what, future = call
            try:
                result = what()
            except BaseException as error:  # noqa: BLE001 -- it belongs to the caller, whatever it is
                self._returned()
                _settle(future, error=error)
            else:
                self._returned()
                _settle(future, result=result)
            del what, future, call

    def _next(self) -> _Call | None:
        with self._ready:
            if not self._work:
                self._idle += 1
                self._ready.wait_for(lambda: bool(self._work), self._idle_s)
                self._idle -= 1
            return self._work.popleft() if self._work else None

    def _returned(self) -> None:
        with self._ready:
            self.in_flight -= 1


class _Deadlines:
    """One thread that fails the futures whose time is up; it sleeps until the earliest."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Future[Any]]] = []
        self._count = itertools.count()
        self._thread: threading.Thread | None = None
        self._wakes_at = float("inf")
        self._sweep_at = 512
        self._closed = False

    def watch(self, future: Future[Any], timeout_s: float) -> None:
        at = time.monotonic() + timeout_s
        with self._changed:
            heapq.heappush(self._heap, (at, next(self._count), future))
            if len(self._heap) > self._sweep_at:
                self._heap = [entry for entry in self._heap if not entry[2].done()]
                heapq.heapify(self._heap)
                self._sweep_at = 2 * len(self._heap) + 512
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="adapter-deadlines", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _serve(self) -> None:
        while True:
            late: list[Future[Any]] = []
            with self._changed:
                now = time.monotonic()
                while self._heap and (self._heap[0][0] <= now or self._heap[0][2].done()):
                    late.append(heapq.heappop(self._heap)[2])
                if not late:
                    if self._closed:
                        return
                    self._wakes_at = self._heap[0][0] if self._heap else float("inf")
                    self._changed.wait(self._wakes_at - now if self._heap else None)
                    self._wakes_at = float("-inf")
            for future in late:
                _settle(future, error=TimeoutError("the call is past its deadline and may still have an effect"))


def _settle(future: Future[Any], *, result: object = None, error: BaseException | None = None) -> None:
    """Answer the caller, unless the deadline was faster."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass
