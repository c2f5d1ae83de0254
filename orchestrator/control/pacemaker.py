"""Calls ``Loop.tick`` on a nudge or a period. The only place where the loop's time passes for real.

``run`` is called in a thread by whoever composes the server. A tick that raises is a bug: it is reported, the loop is
made anew from the store, and the pace slows while that goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.control import arrivals, loop, retry
from orchestrator.ports import environment

PERIOD_S = 0.5
BUSY_S = 0.005
STANDBY_S = 2.0


class Watcher(Protocol):
    """Who is told how it goes (logs, metrics). Must not raise or block."""

    def ticked(self, report: loop.Report, seconds: float) -> None:
        """Take the report of a tick and how long it took."""

    def crashed(self, error: Exception) -> None:
        """Take the failure of a tick; a bug."""


@dataclass(slots=True)
class Pacemaker:
    """Runs one loop until it is stopped. ``make`` builds a loop that knows nothing."""

    make: Callable[[], loop.Loop]
    wake: environment.Wake
    clock: environment.Clock
    watcher: Watcher
    jitter: Callable[[], float]
    door: arrivals.Arrivals | None = None
    """Where new jobs come in while the loop sleeps; None: they come by the store only."""
    period_s: float = PERIOD_S
    _stopping: threading.Event = field(default_factory=threading.Event)
    _loop: loop.Loop | None = None

    def nudge(self, backend: str) -> None:
        """Ask for an early observation of a backend: what an adapter that watches is given."""
        current = self._loop
        if current is not None:
            current.nudge(backend)
        self.wake.nudge()

    def run(self) -> None:
        """Tick until ``stop``; returns after the last tick, with the lease released."""
        try:
            self._run()
        finally:
            self._see_off(self._let_in())
            if self._loop is not None:
                self._loop.close()

    def _run(self) -> None:
        crashes = 0
        while not self._stopping.is_set():
            if self._loop is None:
                self._loop = self.make()
            started_s = self.clock.monotonic()
            try:
                report = self._tick(self._loop)
            except Exception as error:  # noqa: BLE001 -- a bug must not end the control plane
                crashes += 1
                self.watcher.crashed(error)
                self._loop = None
                self.wake.wait(retry.CIRCUIT.pause_s(crashes, self.jitter))
                continue
            crashes = 0
            self.watcher.ticked(report, self.clock.monotonic() - started_s)
            if self.door is not None and report.idle:
                self.door.open()
            self.wake.wait(self._pause_s(report))

    def _tick(self, current: loop.Loop) -> loop.Report:
        arrival = self._let_in()
        try:
            return current.tick(arrival)
        finally:
            self._see_off(arrival)

    def _let_in(self) -> arrivals.Arrival | None:
        return self.door.take() if self.door is not None else None

    def _see_off(self, arrival: arrivals.Arrival | None) -> None:
        if self.door is not None and arrival is not None:
            self.door.see_off(arrival)

    def stop(self) -> None:
        """End soon; any thread."""
        self._stopping.set()
        self.wake.nudge()

    def _pause_s(self, report: loop.Report) -> float:
        if not report.leads:
            return STANDBY_S
        if report.error:
            return self.period_s
        busy = report.placed or report.launched or report.launches_due
        return BUSY_S if busy else self.period_s
