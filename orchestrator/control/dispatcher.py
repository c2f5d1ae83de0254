"""Does what is due: launches and stops. Every effect follows a durable intent and is checked again just before.

An attempt that this loop placed itself and never tried is submitted directly. Any other is looked up by its key first:
the observer puts it into ``absent`` when the backend certainly does not have it, a ``SubmitTried`` is committed, and
only then is it submitted again. Nothing is ever submitted blind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.control import batches, identities, index, lanes, ledger, observer, planning, retry, seals
from orchestrator.domain import decisions, errors, events, ids, jobs
from orchestrator.inventory import worlds
from orchestrator.ports import backends, environment, stores

SUBMIT_TRIES_MAX = 5
"""Submits of one attempt after which it is given up, fenced, and placed anew."""
POISON_TRIES_MAX = 3
"""Submits on which the adapter may break before the job is quarantined."""
SAME_TRIES_MAX = 6
"""Certain failures in a row after which the site counts as refusing."""
STOP_AGAIN_S = 30.0
"""An acknowledged stop is said again when the attempt has not ended by then."""

FACTS_CHANGED = "FactsChanged"
"""Code of a launch that was dropped because facts are not those of the last judgement."""

CLOCK_WENT_BACK = "ClockWentBack"
"""Code of a launch that was dropped because the clock is behind a time that was seen."""

TABLES_DIFFER = "TablesDiffer"
"""Code of a launch that was dropped because the store's tables are not what the journal says."""

LATE_S = 5.0
"""A first submit later than this after the placement is made durable as tried before it is made."""

Guard: TypeAlias = Callable[[decisions.Placement, planning.Stamp, ids.Term], None]
"""Raises ``batches.DroppedError`` where a placement does not stand any more. Called in the executor's threads."""


@dataclass(slots=True)
class Ready:
    """An attempt whose submit may be made. ``fresh``: certainly never tried by anybody."""

    job: ids.JobId
    placement: decisions.Placement
    stamp: planning.Stamp
    """Under which it was judged last."""
    fresh: bool
    tries: int = 0
    not_before_s: float = 0.0
    tried_noted: bool = False


class Dispatcher:
    """Not thread-safe: used by the loop only, but for the guards."""

    def __init__(
        self,
        *,
        store: stores.Store,
        live: index.JobIndex,
        book: ledger.Ledger,
        all_lanes: lanes.Lanes,
        clock: environment.Clock,
        jitter: Callable[[], float],
        touches: observer.Touches,
        guard: Guard,
    ) -> None:
        self._store = store
        self._live = live
        self._book = book
        self._lanes = all_lanes
        self._clock = clock
        self._jitter = jitter
        self._touches = touches
        self._guard = guard
        self._ready: dict[str, dict[ids.AttemptKey, Ready]] = {}
        self._busy: set[ids.AttemptKey] = set()
        self._stops_at_s: dict[ids.AttemptKey, tuple[float, int]] = {}

    def placed(self, placement: decisions.Placement, stamp: planning.Stamp) -> None:
        """Take a placement that this loop has just committed."""
        lane = self._ready.setdefault(index.backend_of(placement.site), {})
        lane[placement.key] = Ready(placement.job, placement, stamp, fresh=True)

    def again(self, key: ids.AttemptKey, job: ids.JobId, stamp: planning.Stamp) -> None:
        """Take an attempt that its backend does not have, and whose new try is durable."""
        placement = self._store.placement(key)
        if placement is not None:
            lane = self._ready.setdefault(index.backend_of(placement.site), {})
            lane[key] = Ready(job, placement, stamp, fresh=False, tried_noted=True)

    def knows(self, key: ids.AttemptKey) -> bool:
        """Say whether a read of this attempt would tell nothing now: its submit is due or in flight."""
        return key in self._busy or any(key in ready for ready in self._ready.values())

    def is_fresh(self, job: jobs.Job) -> bool:
        """Say whether the current attempt was certainly never tried."""
        attempt = job.attempt
        if attempt is None or attempt.key in self._busy:
            return False
        ready = self._ready.get(index.backend_of(attempt.site), {}).get(attempt.key)
        return ready is not None and ready.fresh

    def distrust(self) -> None:
        """Forget what is due: after a failed commit every attempt is looked up before it is submitted."""
        self._ready.clear()

    @property
    def due(self) -> int:
        """Return how many launches are due."""
        return sum(len(ready) for ready in self._ready.values())

    def forget(self, key: ids.AttemptKey) -> None:
        """Drop an attempt that is over."""
        self._stops_at_s.pop(key, None)
        self._touches.forget(key)

    # --- launches ---------------------------------------------------------------------------------------------------

    def start_launches(self, lane: lanes.Lane, term: ids.Term, world: worlds.World) -> int:
        """Start submits that are due on a lane, as many calls as its pace allows. Return how many attempts."""
        ready, pace, started = self._ready.get(lane.backend), self._lanes.pace, 0
        adapter = lane.adapter
        if not ready or adapter is None or not lane.breaker.closed:
            return 0
        while ready and lane.in_flight("submit") < pace.submit_calls_max:
            batch = self._next_batch(lane, ready, adapter, term, world)
            if not batch.items:
                break
            self._lanes.start(lane, "submit", batch.run, pace.submit_timeout_s, batch)
            started += len(batch.items)
        return started

    def _next_batch(
        self,
        lane: lanes.Lane,
        ready: dict[ids.AttemptKey, Ready],
        adapter: backends.BackendAdapter,
        term: ids.Term,
        world: worlds.World,
    ) -> batches.Batch[backends.Handle]:
        now, now_s = self._clock.now(), self._clock.monotonic()
        items: list[batches.Item[backends.Handle]] = []
        known = world.identities.get(lane.backend)
        door = identities.Door(adapter, known.pinned if known is not None else None)
        for key, one in list(ready.items()):
            if len(items) >= lane.submit_batch:
                break
            job = self._live.get(one.job)
            attempt = job.attempt if job is not None else None
            if job is None or attempt is None or attempt.key != key or attempt.phase is not jobs.Phase.PLACED:
                del ready[key]
                continue
            if key in self._busy or now_s < one.not_before_s:
                continue
            late = one.fresh and not one.tried_noted and (now - attempt.placed_at).total_seconds() > LATE_S
            if late and self._lags(adapter):
                # The lag is counted from the moment of the submit: it must be durable before it is made.
                self._book.stage(job.id, events.SubmitTried(now, attempt.number))
                one.tried_noted = True
                continue
            decision, read = one.placement.decision, self._store.blob
            sealed = seals.seal(job, attempt, term=term, world=world, read_blob=read, now=now, decision=decision)
            items.append(self._item(one, adapter, sealed, door))
            self._busy.add(key)
        return batches.Batch(items)

    def _item(
        self,
        one: Ready,
        adapter: backends.BackendAdapter,
        sealed: backends.SealedPlacement,
        door: identities.Door,
    ) -> batches.Item[backends.Handle]:
        placement, stamp, term = one.placement, one.stamp, sealed.fence.term

        def guard() -> None:
            self._guard(placement, stamp, term)
            door.check()

        return batches.Item(sealed.key, guard, lambda: adapter.submit(sealed))

    def _lags(self, adapter: backends.BackendAdapter) -> bool:
        try:
            return bool(adapter.capabilities().visibility_lag)
        except Exception:  # noqa: BLE001 -- a broken adapter is treated as the worst kind
            return True

    def take_launches(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of a batch of submits."""
        batch: batches.Batch[backends.Handle] = call.payload
        error = call.future.exception()
        results = batch.close()
        if error is not None and not isinstance(error, environment.BulkheadFullError):
            self._lanes.failed(lane, error)
        quick = error is None and len(results) == len(batch.items)
        lane.submit_batch = min(self._lanes.pace.submit_batch_max, lane.submit_batch * 2) if quick else 1
        ready = self._ready.get(lane.backend, {})
        answered = False
        for item in batch.items:
            self._busy.discard(item.key)
            result, one = results.get(item.key), ready.get(item.key)
            if result is not None and not isinstance(result, batches.DroppedError):
                self._touches.submitted(item.key, self._lanes.serial())
            if result is None or one is None:
                continue
            if isinstance(result, BaseException):
                self._failed(lane, ready, item.key, one, result)
            else:
                answered = True
                del ready[item.key]
                self._accepted(one, result)
        if answered:
            self._lanes.answered(lane)

    def _accepted(self, one: Ready, handle: backends.Handle) -> None:
        job = self._live.get(one.job)
        if job is not None and job.attempt is not None and job.attempt.key == one.placement.key:
            value = handle.value if isinstance(handle, backends.Handle) else ""
            adapter = self._lanes.fleet.origin(job.attempt.site.partition("/")[0])
            accepted = events.SubmitAccepted(self._clock.now(), job.attempt.number, value[:512], adapter)
            self._book.stage(job.id, accepted)

    def _failed(
        self,
        lane: lanes.Lane,
        ready: dict[ids.AttemptKey, Ready],
        key: ids.AttemptKey,
        one: Ready,
        error: BaseException,
    ) -> None:
        job = self._live.get(one.job)
        attempt = job.attempt if job is not None else None
        if job is None or attempt is None or attempt.key != key:
            del ready[key]
            return
        if isinstance(error, batches.DroppedError):
            if not error.stale:
                del ready[key]
                self._dropped(job, attempt, one, error)
            return
        if retry.is_transport(error) and retry.verdict(error) is not retry.Verdict.POISON:
            self._lanes.failed(lane, error)
        now, (code, message) = self._clock.now(), retry.code_of(error)
        one.tries += 1
        verdict = retry.verdict(error)
        if verdict is retry.Verdict.NOT_MADE:
            return
        if verdict is retry.Verdict.AGAIN and one.tries < SAME_TRIES_MAX:
            one.fresh, one.tried_noted = False, True
            one.not_before_s = self._clock.monotonic() + retry.LAUNCH.pause_s(one.tries, self._jitter)
            return
        del ready[key]
        if verdict in (retry.Verdict.AGAIN, retry.Verdict.REFUSED):
            where = error.retry if isinstance(error, errors.BackendError) else errors.RetryWhere.ELSEWHERE
            self._refused(job, attempt, one, code=code, message=message, where=where)
        elif attempt.submit_tries + 1 >= (POISON_TRIES_MAX if verdict is retry.Verdict.POISON else SUBMIT_TRIES_MAX):
            if verdict is retry.Verdict.POISON:
                self._book.stage(job.id, events.ConditionChanged(now, "Quarantined", True, code, message))
            self._give_up(job, f"{code}: {message}")

    def _dropped(self, job: jobs.Job, attempt: jobs.Attempt, one: Ready, error: batches.DroppedError) -> None:
        now = self._clock.now()
        if error.code in (FACTS_CHANGED, CLOCK_WENT_BACK, TABLES_DIFFER, identities.CHANGED) and not one.fresh:
            return  # tried before, so it cannot be withdrawn: the next review judges it, by facts and time as they are
        if one.fresh:
            self._book.stage(job.id, events.Withdrawn(now, attempt.number, error.code, error.message))
        else:
            self._book.stage(
                job.id, events.StopRequested(now, jobs.StopCause.NON_COMPLIANT, "controller", error.message)
            )

    def _refused(
        self,
        job: jobs.Job,
        attempt: jobs.Attempt,
        one: Ready,
        *,
        code: str,
        message: str,
        where: errors.RetryWhere,
    ) -> None:
        now = self._clock.now()
        if not one.fresh:
            # An earlier submit of this key may still arrive: fence the key before the job goes on.
            self._give_up(job, f"{code}: {message}")
            return
        again = errors.RetryWhere.NEVER if where is errors.RetryWhere.NEVER else errors.RetryWhere.ELSEWHERE
        tries = 1 + sum(1 for each in job.attempts if each.outcome is None)
        not_before = retry.PLACEMENT.moment(now, tries, self._jitter)
        self._book.stage(job.id, events.SubmitRefused(now, attempt.number, code, message, again, not_before))

    def _give_up(self, job: jobs.Job, message: str) -> None:
        now = self._clock.now()
        self._book.stage(job.id, events.StopRequested(now, jobs.StopCause.DRAINED, "controller", message))

    # --- stops ------------------------------------------------------------------------------------------------------

    def start_stops(self, lane: lanes.Lane, term: ids.Term, check_term: Callable[[], None]) -> int:
        """Start stops that are due on a lane. Return how many attempts."""
        adapter, pace, now_s = lane.adapter, self._lanes.pace, self._clock.monotonic()
        if adapter is None or not lane.breaker.closed or lane.in_flight("stop") >= pace.stop_calls_max:
            return 0
        items: list[batches.Item[None]] = []
        for job in self._live.stopping.get(lane.backend, {}).values():
            attempt = job.attempt
            if len(items) >= pace.stop_batch_max:
                break
            if attempt is None or attempt.key in self._busy:
                continue
            at_s, tries = self._stops_at_s.get(attempt.key, (float("-inf"), 0))
            if now_s < at_s:
                continue
            self._stops_at_s[attempt.key] = (now_s + retry.LOOKUP.pause_s(tries + 1, self._jitter), tries + 1)
            items.append(_stop_item(adapter, job, attempt, term, check_term))
            self._busy.add(attempt.key)
        if items:
            self._lanes.start(lane, "stop", (batch := batches.Batch(items)).run, pace.call_timeout_s, batch)
        return len(items)

    def take_stops(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of a batch of stops."""
        batch: batches.Batch[None] = call.payload
        error, results = call.future.exception(), batch.close()
        if error is not None and not isinstance(error, environment.BulkheadFullError):
            self._lanes.failed(lane, error)
        for item in batch.items:
            self._busy.discard(item.key)
            if item.key not in results:
                self._stops_at_s.pop(item.key, None)
                continue
            result = results[item.key]
            if result is None:
                touch = self._touches.of(item.key)
                touch.stopped = touch.stopped or self._lanes.serial()
                self._stops_at_s[item.key] = (self._clock.monotonic() + STOP_AGAIN_S, 1)
            elif not isinstance(result, batches.DroppedError):
                self._lanes.failed(lane, result)


def _stop_item(
    adapter: backends.BackendAdapter,
    job: jobs.Job,
    attempt: jobs.Attempt,
    term: ids.Term,
    check_term: Callable[[], None],
) -> batches.Item[None]:
    ref = backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at)
    fence, grace = backends.Fence(term, attempt.number), seals.grace_of(job)
    return batches.Item(attempt.key, check_term, lambda: adapter.stop(ref, fence, grace))
