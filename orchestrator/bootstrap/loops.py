"""The control loop on a thread of its own: how it is made, started, watched and stopped with the server."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.control import arrivals, compliance, lanes, loop, pacemaker, planners
from orchestrator.inventory import inboxes, worlds
from orchestrator.placement import requirements
from orchestrator.ports import backends, environment, stores
from orchestrator.scheduler import snapshots

STOP_S = 10.0
"""How long the last turn may take when the server ends; jobs and rows are safe whenever it is cut off."""
SILENT_MAX_S = 60.0
"""A loop that has not finished a turn for so long is sick."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop is made of."""

    store: stores.Store
    clock: environment.Clock
    ids: environment.IdFactory
    wake: environment.Wake
    executor: environment.Executor
    fleet: environment.Fleet
    inventory: worlds.Inventory
    inbox: inboxes.Inbox
    door: arrivals.Arrivals
    accelerators: Callable[[str], tuple[str, ...]]
    tables: requirements.Tables
    pace: lanes.Pace = field(default_factory=lanes.Pace)
    stale_grace: dt.timedelta = compliance.STALE_GRACE
    halted: Callable[[], str] = lambda: ""
    draw_key: bytes = field(default=b"", repr=False)


class Heart:
    """The thread that ticks. Implements ``pacemaker.Watcher``."""

    def __init__(
        self, parts: Parts, *, ticked: Callable[[float], None], reviewed: Callable[[float], None], log: Any
    ) -> None:
        self._parts = parts
        self._ticked = ticked
        self._reviewed = reviewed
        self._log = log
        self._beat_s = parts.clock.monotonic()
        self._error = ""
        self._pacemaker = pacemaker.Pacemaker(
            make=self._make,
            wake=parts.wake,
            clock=parts.clock,
            watcher=self,
            jitter=parts.ids.jitter,
            door=parts.door,
        )
        self._thread = threading.Thread(target=self._pacemaker.run, name="control-loop", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._beat_s = self._parts.clock.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End after the current turn, or after a while without it."""
        self._pacemaker.stop()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def watch(self, backend: str, adapter: backends.BackendAdapter) -> None:
        """Let an adapter that can watch nudge the loop; a broken watch costs time, never truth."""
        try:
            if isinstance(adapter, backends.Watches):  # asks the adapter for its attributes: a stranger's code too
                adapter.watch(lambda: self._pacemaker.nudge(backend))
        except Exception as error:  # noqa: BLE001 -- a stranger's code
            self._log.warning("watch.failed", backend=backend, error=type(error).__name__)

    def sick(self) -> str:
        """Return why the loop does not work, or ""."""
        if self._parts.clock.monotonic() - self._beat_s > SILENT_MAX_S:
            return "the loop is stuck"
        return self._error

    def ticked(self, report: loop.Report, seconds: float) -> None:
        """Take the report of a turn."""
        self._beat_s = self._parts.clock.monotonic()
        if report.review_s is not None:
            self._reviewed(report.review_s)
        if report.error != self._error:
            self._error = report.error
            if report.error:
                self._log.error("loop.commit-failed", error=report.error)
            else:
                self._log.info("loop.well-again")
        for one in report.overdue:
            self._log.warning("obligation.overdue", job=str(one.job), tenant=one.tenant, code=one.duty.code)
        self._ticked(seconds)

    def crashed(self, error: Exception) -> None:
        """Take the failure of a turn: a bug, told with its trace."""
        self._error = f"the loop crashed: {type(error).__name__}"
        self._log.error("loop.crashed", error=type(error).__name__, exc_info=error)

    def _make(self) -> loop.Loop:
        parts = self._parts
        holder = loop.holder_name(socket.gethostname(), os.getpid(), parts.clock.now(), parts.ids.jitter())
        world = loop.World(
            store=parts.store,
            clock=parts.clock,
            ids=parts.ids,
            fleet=parts.fleet,
            executor=parts.executor,
            inventory=parts.inventory,
            inbox=parts.inbox,
            planner=planners.SchedulerPlanner(
                tables=parts.tables,
                accelerators=parts.accelerators,
                settings=snapshots.Settings(draw_key=parts.draw_key),
            ),
            pace=parts.pace,
            stale_grace=parts.stale_grace,
            halted=parts.halted,
            draw_key=parts.draw_key,
        )
        return loop.Loop(world, holder=holder)
