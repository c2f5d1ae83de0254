"""Asks backends what they have and what became of our attempts, and turns the answers into events.

The rule of trust stands here. A thing that a backend does not know is gone only where its reads are consistent, or
when the attempt is older than the lag, by the wall clock and by this loop's own, and two reads agree. A read that
began before we last touched the attempt proves nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.control import attestations, identities, index, lanes, ledger, news, retry, whereabouts
from orchestrator.domain import conditions, events, executions, ids, jobs, lifecycle, offers
from orchestrator.inventory import sightings
from orchestrator.ports import backends, environment

WORDS_EVERY_S = 60.0
"""A wait whose reason stays the same is told again after so long where its message changed: messages count things."""
NO_WORD = "NotStarted"
"""Reason of a wait for which its place has words, and no word."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
NO_CAPABILITIES = offers.Capabilities(frozenset())


@dataclass(slots=True)
class Touch:
    """What this loop did with an attempt, for judging reads of it."""

    since_s: float
    """Since when this loop knows it, or last submitted it."""
    serial: int = 0
    """Reads that began before are too old."""
    stopped: int = 0
    """Serial at which a stop was acknowledged; 0: not by this loop."""
    told_s: float = float("-inf")
    """When it was last said what the attempt waits for at its place."""


class Trust(enum.Enum):
    """What one GONE is worth."""

    NOTHING = "nothing"
    HALF = "half"
    FULL = "full"


@dataclass(slots=True)
class Touches:
    """Everything this loop did with live attempts."""

    clock: environment.Clock
    known: dict[ids.AttemptKey, Touch] = field(default_factory=dict)

    def of(self, key: ids.AttemptKey) -> Touch:
        """Return what was done with an attempt."""
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = Touch(self.clock.monotonic())
        return found

    def submitted(self, key: ids.AttemptKey, serial: int) -> None:
        """Note that a submit was answered, or not answered in time."""
        touch = self.of(key)
        touch.serial, touch.since_s = serial, self.clock.monotonic()

    def forget(self, key: ids.AttemptKey) -> None:
        """Drop an attempt that is over."""
        self.known.pop(key, None)


def trust(
    attempt: jobs.Attempt, lag: dt.timedelta, touch: Touch, read: int, *, now: dt.datetime, now_s: float
) -> Trust:
    """Return what a GONE of a read with serial ``read`` is worth."""
    if read <= touch.serial:
        return Trust.NOTHING
    if attempt.phase is jobs.Phase.STOPPING and not 0 < touch.stopped < read:
        return Trust.NOTHING
    if not lag:
        return Trust.FULL
    since = max(attempt.submitted_at or attempt.placed_at, attempt.placed_at)
    age_s = min((now - since).total_seconds(), now_s - touch.since_s)
    if age_s <= lag.total_seconds():
        return Trust.NOTHING
    return Trust.FULL if attempt.gone_reads >= 1 else Trust.HALF


class Observer:
    """Starts reads and takes their answers. Not thread-safe: used by the loop only."""

    def __init__(
        self,
        *,
        live: index.JobIndex,
        book: ledger.Ledger,
        all_lanes: lanes.Lanes,
        seen: sightings.Sightings,
        clock: environment.Clock,
        jitter: Callable[[], float],
        touches: Touches,
        met: identities.Identities,
        where: whereabouts.Whereabouts,
        attest: attestations.Attestations,
    ) -> None:
        self._live = live
        self._book = book
        self._lanes = all_lanes
        self._seen = seen
        self._clock = clock
        self._jitter = jitter
        self._touches = touches
        self._met = met
        self._where = where
        self._attest = attest
        self.absent: dict[ids.AttemptKey, ids.JobId] = {}
        """PLACED attempts that the backend certainly does not have: their submit is due again."""

    def start(self, lane: lanes.Lane, skip: Callable[[ids.AttemptKey], bool]) -> None:
        """Start what is due on a lane: a probe where the circuit is open, else offers and observations."""
        adapter, now_s, pace = lane.adapter, self._clock.monotonic(), self._lanes.pace
        if adapter is None:
            return
        if not lane.breaker.closed:
            if lane.breaker.may_probe(now_s) and not lane.in_flight("offers"):
                lane.breaker.probe()
                self._lanes.start(lane, "offers", identities.asked(adapter, adapter.offers), pace.call_timeout_s)
            return
        if now_s - lane.offers_at_s >= pace.offers_every_s and not lane.in_flight("offers"):
            lane.offers_at_s = now_s
            self._lanes.start(lane, "offers", identities.asked(adapter, adapter.offers), pace.call_timeout_s)
        if not lane.round and (lane.nudged or now_s - lane.observed_at_s >= pace.observe_every_s):
            lane.nudged, lane.observed_at_s = False, now_s
            lane.round = lane.news.round(self._live.by_backend.get(lane.backend, {}), now_s, pace.observe_all_every_s)
            # Attempts of which nothing is known for sure come first.
            lane.round.sort(key=lambda each: self._live.jobs[each].phase is jobs.Phase.PLACED)
        while (lane.round or lane.news.due) and lane.in_flight("observe") < pace.observe_calls_max:
            self._observe(lane, adapter, skip)

    def _observe(
        self, lane: lanes.Lane, adapter: backends.BackendAdapter, skip: Callable[[ids.AttemptKey], bool]
    ) -> None:
        refs: list[backends.AttemptRef] = []
        owners: dict[ids.AttemptKey, ids.JobId] = {}
        while lane.round and len(refs) < lane.observe_batch:
            job = self._live.occupying.get(lane.round.pop())
            attempt = job.attempt if job is not None else None
            if job is None or attempt is None or skip(attempt.key):
                continue
            self._touches.of(attempt.key)
            owners[attempt.key] = job.id
            refs.append(backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at))
        timeout_s = self._lanes.pace.call_timeout_s
        if lane.news.due:
            ask = lane.news.ask(refs, self._lanes.pace.observe_max)
            self._lanes.start(lane, "observe", identities.asked(adapter, ask), timeout_s, owners)
        elif refs:
            what = identities.asked(adapter, lambda: adapter.observe(refs))
            self._lanes.start(lane, "observe", what, timeout_s, owners)

    def take_offers(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of ``offers()``."""
        error = call.future.exception()
        if error is not None:
            self._lanes.failed(lane, error)
            return
        self._lanes.answered(lane)
        answer: identities.Answer = call.future.result()
        found = [offer for offer in answer.found if isinstance(offer, offers.Offer)]
        at = self._clock.now()
        who = self._met.meet(
            lane.backend, answer.identity, lambda: self._seen.record_offers(lane.backend, found, at=at)
        )
        lane.stranger = who is identities.Who.STRANGER

    def take_observations(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of ``observe()``."""
        error = call.future.exception()
        if error is not None:
            if retry.verdict(error) is not retry.Verdict.POISON:
                self._lanes.failed(lane, error)
                return
            lane.news.distrust()
            if len(call.payload) > 1:
                # The adapter broke on the batch: smaller ones tell which attempt it breaks on.
                lane.observe_batch = max(1, lane.observe_batch // 4)
            return
        lane.observe_batch = min(self._lanes.pace.observe_max, lane.observe_batch * 2)
        self._lanes.answered(lane)
        answer: identities.Answer = call.future.result()
        if self._met.meet(lane.backend, answer.identity) is identities.Who.STRANGER:
            lane.stranger = True
            return  # what it says of attempts is about others: unreachable is not lost, and neither is this
        found, owners, quiet = answer.found, call.payload, call.serial > lane.news.taken
        if isinstance(found, news.Told):
            owners, found, quiet = {**owners, **found.owners}, lane.news.take(found, self._lanes.serial()), True
        same = self.apply(lane.backend, found, owners, call.serial)
        if quiet:
            lane.news.rest(same)

    def apply(
        self, backend: str, found: Iterable[object], owners: dict[ids.AttemptKey, ids.JobId], read: int
    ) -> list[tuple[jobs.Job, jobs.Attempt]]:
        """Turn observations into events. What is malformed, or was not asked for, is left out.

        Return what runs and of which nothing is to be told.
        """
        same: list[tuple[jobs.Job, jobs.Attempt]] = []
        capabilities = self._seen.of(backend).capabilities or NO_CAPABILITIES
        for observation in found:
            if not isinstance(observation, backends.Observation):
                continue
            job = self._live.get(owners.get(observation.key, ids.JobId("")))
            attempt = job.attempt if job is not None else None
            if job is None or attempt is None or attempt.key != observation.key:
                continue
            happened = self._events(job, attempt, observation, capabilities, read)
            for event in happened:
                self._book.stage(job.id, event)
            runs = observation.state is offers.ObservedState.RUNNING and attempt.phase is jobs.Phase.RUNNING
            if runs and not happened and not self._attest.demanded(job):
                same.append((job, attempt))
        return same

    def _events(
        self,
        job: jobs.Job,
        attempt: jobs.Attempt,
        seen: backends.Observation,
        capabilities: offers.Capabilities,
        read: int,
    ) -> Sequence[events.Event]:
        now = self._clock.now()
        state = offers.ObservedState
        if seen.state is not state.GONE:
            self.absent.pop(attempt.key, None)
        handle = seen.handle[:512] if seen.handle else None
        match seen.state:
            case state.QUEUED | state.STARTING:
                known = attempt.phase is not jobs.Phase.PLACED and handle in (None, attempt.handle)
                reason, message = self._words(job, attempt, seen)
                told = job.condition(conditions.SITE_WAITING)
                same = (told.reason, told.message) == (reason, message) if told and told.status else not reason
                if known and not attempt.gone_reads and same:
                    return ()
                return (events.SeenWaiting(now, attempt.number, handle, reason, message),)
            case state.RUNNING:
                nodes, adapter = self._where.seen(job, seen), self._adapter(attempt)
                started = events.Started(now, attempt.number, seen.started_at, handle, nodes, adapter)
                due = self._attest.due(job, attempt, capabilities)
                if not due and _is_known(job, attempt, started):
                    return self._violations(job, attempt, nodes)
                return (started, *self._violations(job, attempt, nodes), *due)
            case state.ENDED if seen.outcome is not None:
                nodes, adapter = self._where.seen(job, seen), self._adapter(attempt)
                left = executions.bounded_outputs(seen.outputs)
                pause = self._pause(job, now)
                over = events.Ended(now, attempt.number, seen.outcome, pause, nodes, left, adapter)
                return (*self._violations(job, attempt, nodes, over=True), over)
            case state.GONE:
                return self._gone(job, attempt, capabilities.visibility_lag, read, now)
            case _:
                return ()

    def _words(self, job: jobs.Job, attempt: jobs.Attempt, seen: backends.Observation) -> tuple[str, str]:
        """Return what is to be said of a wait: what was seen, unless only its words changed a moment ago.

        Asked of each attempt that waits at each look, so what was said already is compared first.
        """
        if not seen.reason and not seen.detail:
            return "", ""
        reason = seen.reason if _WORD.fullmatch(seen.reason) else NO_WORD
        told, now_s = job.condition(conditions.SITE_WAITING), self._clock.monotonic()
        touch = self._touches.of(attempt.key)
        known = told.message if told is not None and told.status and told.reason == reason else None
        if known is not None and (known == seen.detail or now_s - touch.told_s < WORDS_EVERY_S):
            return reason, known
        touch.told_s = now_s
        return reason, " ".join("".join(char if char.isprintable() else " " for char in seen.detail[:1000]).split())

    def _adapter(self, attempt: jobs.Attempt) -> executions.Adapter | None:
        """Return which program says so, where that is not known of the attempt yet."""
        if attempt.execution.adapter is not None:
            return None
        return self._lanes.fleet.origin(attempt.site.partition("/")[0])

    def _violations(
        self,
        job: jobs.Job,
        attempt: jobs.Attempt,
        nodes: tuple[executions.Whereabouts, ...],
        *,
        over: bool = False,
    ) -> Sequence[events.Event]:
        known = attempt.execution
        if nodes not in ((), known.nodes):
            known = dataclasses.replace(known, nodes=executions.merged(known.nodes, nodes))
        return self._where.violations(job, attempt, known, over=over)

    def _gone(
        self, job: jobs.Job, attempt: jobs.Attempt, lag: dt.timedelta, read: int, now: dt.datetime
    ) -> Sequence[events.Event]:
        touch = self._touches.of(attempt.key)
        worth = trust(attempt, lag, touch, read, now=now, now_s=self._clock.monotonic())
        if worth is Trust.NOTHING:
            return ()
        if worth is Trust.HALF:
            return (events.GoneRead(now, attempt.number),)
        if attempt.phase is jobs.Phase.PLACED:
            self.absent[attempt.key] = job.id
            return ()
        return (events.Vanished(now, attempt.number, self._pause(job, now)),)

    def _pause(self, job: jobs.Job, now: dt.datetime) -> dt.datetime:
        return retry.PLACEMENT.moment(now, lifecycle.tries_charged(job) + 1, self._jitter)


def _is_known(job: jobs.Job, attempt: jobs.Attempt, seen: events.Started) -> bool:
    """Say whether it would change nothing that an attempt is seen running."""
    waits = job.condition(conditions.SITE_WAITING)
    return (
        attempt.phase is jobs.Phase.RUNNING
        and not attempt.gone_reads
        and attempt.started_at is not None
        and attempt.submitted_at is not None
        and seen.handle in (None, attempt.handle)
        and seen.seen in ((), attempt.execution.nodes)
        and seen.adapter is None
        and not (waits is not None and waits.status)
    )
