"""One lane a backend: its calls in flight, its breaker, its pace. Keeps a slow or dead backend from costing others.

A call is started and forgotten until its future is done; the tick that finds it done takes the result, however late.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchestrator.control import breakers, news, retry
from orchestrator.domain import errors, ids
from orchestrator.inventory import sightings
from orchestrator.ports import backends, environment

T = TypeVar("T")

_ASIDE = "/control"
"""Bulkhead of what is no backend's; no backend can have this name."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, how much, how long. Seconds are monotonic; counts are per backend unless said otherwise."""

    fit_every_s: float = 10.0
    """Adapters are held against what they are built from, files of secrets among it, although no document changed."""
    offers_every_s: float = 1.0
    observe_every_s: float = 0.5
    observe_all_every_s: float = 120.0
    """Attempts of which their backend has no news are observed all the same, in case it lost some."""
    list_every_s: float = 30.0
    read_again_s: float = 60.0
    """Versions of all live jobs are compared with the store's, in case the inbox lost one."""
    read_whole_s: float = 600.0
    """All live jobs are read from the store again, in case a row is another under the same version."""
    call_timeout_s: float = 10.0
    submit_timeout_s: float = 30.0
    settle_s: float = 0.02
    """So long, at most, a tick waits for calls it has just started; a slow backend costs no more than this."""
    head_start_s: float = 0.002
    """So long, at most, the launch of a job that came alone is ahead of the answer to its submission."""
    observe_max: int = 500
    observe_calls_max: int = 2
    submit_calls_max: int = 6
    submit_batch_max: int = 64
    stop_calls_max: int = 3
    stop_batch_max: int = 64
    move_after_s: float = 120.0
    """A backend that cannot be reached for so long is treated by ``onUnreachable``."""
    orphan_grace_s: float = 60.0
    forget_after_s: float = 7 * 86_400.0
    """Attempts of jobs that ended longer ago are forgotten by their backends, with logs and outputs; inf: never."""
    forget_every_s: float = 3_600.0
    """From the end of one walk over the finished jobs to the next."""
    forget_page_every_s: float = 1.0
    forget_page: int = 50
    """Finished jobs read at once."""
    forget_max: int = 10
    """Attempts forgotten in one call."""
    reviews_max: int = 2_000
    """Jobs, of all backends, whose conditions one review may change in a tick."""


@dataclass(slots=True)
class Call:
    """A call in flight. ``serial`` orders it among everything that this loop did."""

    kind: str
    future: Future[Any]
    serial: int
    payload: Any = None


@dataclass(slots=True)
class Lane:
    """What the loop remembers of one backend; nothing of it is needed after a restart."""

    backend: str
    breaker: breakers.Breaker
    calls: list[Call] = field(default_factory=list)
    offers_at_s: float = float("-inf")
    observed_at_s: float = float("-inf")
    listed_at_s: float = float("-inf")
    down_since_s: float | None = None
    observe_batch: int = 500
    submit_batch: int = 1
    nudged: bool = False
    stranger: bool = False
    """Another answers in the backend's place."""
    round: list[ids.JobId] = field(default_factory=list)
    """Jobs still to be observed in this round."""
    adapter: backends.BackendAdapter | None = None
    news: news.News = field(default_factory=news.News)

    def in_flight(self, kind: str) -> int:
        """Return how many calls of a kind have not been answered."""
        return sum(1 for call in self.calls if call.kind == kind)


class Lanes:
    """All lanes, and the one way to call a backend. Not thread-safe: used by the loop only."""

    def __init__(
        self,
        fleet: environment.Fleet,
        executor: environment.Executor,
        seen: sightings.Sightings,
        clock: environment.Clock,
        jitter: Callable[[], float],
        pace: Pace,
    ) -> None:
        self.fleet = fleet
        self.pace = pace
        self._executor = executor
        self._seen = seen
        self._clock = clock
        self._jitter = jitter
        self._lanes: dict[str, Lane] = {}
        self._serials = itertools.count(1)

    def serial(self) -> int:
        """Return the next number in the order of what this loop does."""
        return next(self._serials)

    def lane(self, backend: str) -> Lane:
        """Return the lane of a backend."""
        found = self._lanes.get(backend)
        if found is None:
            found = self._lanes[backend] = Lane(backend, breakers.Breaker(self._jitter))
            found.observe_batch = self.pace.observe_max
        return found

    def nudge(self, backend: str) -> None:
        """Ask for an early observation; from any thread, so no lane is made here."""
        found = self._lanes.get(backend)
        if found is not None:
            found.nudged = True

    def all(self) -> list[Lane]:
        """Return the lanes in order of name."""
        return [self._lanes[name] for name in sorted(self._lanes)]

    def keep_only(self, names: set[str]) -> None:
        """Drop the lanes of backends that were withdrawn."""
        for name in [name for name in self._lanes if name not in names]:
            del self._lanes[name]
            self._seen.forget(name)

    def equip(self, lane: Lane) -> None:
        """Give a lane its adapter of now, or note why there is none."""
        seen = self._seen
        try:
            lane.adapter = self.fleet.adapter(lane.backend)
            lane.news.of(lane.adapter)
            stated = lane.adapter.capabilities()
            known = seen.of(lane.backend).capabilities
            if known is not stated and known != stated:
                seen.record_capabilities(lane.backend, stated)
        except errors.BackendError as error:
            lane.adapter = None
            seen.record_failure(
                lane.backend, at=self._clock.now(), code=error.code, message=error.message, unreachable=True
            )
        except Exception as error:  # noqa: BLE001 -- a stranger's code: a condition on its backend, never a crash
            lane.adapter = None
            text = f"capabilities raised {type(error).__name__}"
            seen.record_failure(
                lane.backend, at=self._clock.now(), code="adapter.failed", message=text, unreachable=True
            )

    def start(self, lane: Lane, kind: str, what: Callable[[], Any], timeout_s: float, payload: Any = None) -> Call:
        """Start a call through the backend's bulkhead."""
        serial = self.serial()
        call = Call(kind, self._executor.call(lane.backend, what, timeout_s=timeout_s), serial, payload)
        lane.calls.append(call)
        return call

    def aside(self, what: Callable[[], T], timeout_s: float) -> Future[T]:
        """Start work that is no backend's and that a tick should not wait for, such as a long read of the store."""
        return self._executor.call(_ASIDE, what, timeout_s=timeout_s)

    def done(self, lane: Lane) -> Iterator[Call]:
        """Take and yield the calls that were answered, in the order in which they were started."""
        finished: list[Call] = []
        going: list[Call] = []
        for call in lane.calls:
            (finished if call.future.done() else going).append(call)
        lane.calls = going
        yield from finished

    def answered(self, lane: Lane) -> None:
        """Note that the backend answered."""
        lane.breaker.good()
        lane.down_since_s = None
        self._seen.record_circuit(lane.backend, lane.breaker.circuit)
        self._seen.record_answer(lane.backend, at=self._clock.now())

    def failed(self, lane: Lane, error: BaseException) -> None:
        """Note a failed call; only failures of the transport speak against the backend."""
        now_s = self._clock.monotonic()
        code, message = retry.code_of(error)
        if retry.is_transport(error):
            lane.breaker.bad(now_s)
            if lane.down_since_s is None:
                lane.down_since_s = now_s
        down = not lane.breaker.closed
        self._seen.record_failure(lane.backend, at=self._clock.now(), code=code, message=message, unreachable=down)
        self._seen.record_circuit(lane.backend, lane.breaker.circuit)
