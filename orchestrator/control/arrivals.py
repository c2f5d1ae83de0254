"""New jobs that come while the loop has nothing to do: a submission and what the loop decides on it are one commit.

Anywhere else a job is durable before the loop hears of it. Here the loop is asked first: row, key, placement, decision
and entries become durable together, which saves a sync and the ways between threads. Nothing is acknowledged, and
nothing is launched, before that commit. Whatever comes in its way, the submission is committed alone, as any other.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from orchestrator.domain import jobs
from orchestrator.inventory import inboxes
from orchestrator.ports import environment, stores


@dataclass(slots=True, eq=False)
class Arrival:
    """One new job, no array, with its key and its entry; not durable yet."""

    changes: stores.Changes
    future: Future[stores.Receipt] = field(default_factory=Future)
    """What the use case waits for."""
    receipt: stores.Receipt | None = None
    """Of the commit that made it durable; the first of its jobs is this one."""

    @property
    def job(self) -> jobs.Job:
        """Return the job as submitted."""
        return self.changes.jobs[0]

    def tell(self) -> None:
        """Answer who waits, once it is durable."""
        if self.receipt is not None and not self.future.done():
            self.future.set_result(self.receipt)


class Arrivals:
    """The door at which the use cases hand in new jobs. It is open while the loop sleeps and nothing waits."""

    def __init__(self, store: stores.Store, inbox: inboxes.JobSink, wake: environment.Wake) -> None:
        self._store = store
        self._inbox = inbox
        self._wake = wake
        self._lock = threading.Lock()
        self._open = False
        self._here: Arrival | None = None

    def admit(self, changes: stores.Changes) -> Future[stores.Receipt]:
        """Commit a new job and see that the loop knows of it. Any thread, never blocks; the future is the store's."""
        if self._open and changes.jobs[0].array_state is None:
            arrival = Arrival(changes)
            if self._enter(arrival):
                self._wake.nudge()
                return arrival.future
        future = self._store.commit_async(changes)
        future.add_done_callback(self._pass_on)
        return future

    def open(self) -> None:
        """Let the next new job in. Called by the loop's thread before it sleeps."""
        with self._lock:
            self._open = True

    def take(self) -> Arrival | None:
        """Close the door and return who came in. Called by the loop's thread when it wakes."""
        with self._lock:
            self._open = False
            arrival, self._here = self._here, None
            return arrival

    def see_off(self, arrival: Arrival) -> None:
        """Leave nobody waiting: what the loop did not make durable is committed alone."""
        arrival.tell()
        if arrival.future.done():
            return

        def settle(done: Future[stores.Receipt]) -> None:
            try:
                receipt = self._found(arrival, done)
            except BaseException as error:  # noqa: BLE001 -- it belongs to who waits
                arrival.future.set_exception(error)
                return
            self._inbox.offer(receipt.jobs)
            arrival.future.set_result(receipt)

        self._store.commit_async(arrival.changes).add_done_callback(settle)

    def _enter(self, arrival: Arrival) -> bool:
        """Go through the door, alone."""
        with self._lock:
            entered, self._open = self._open, False
            if entered:
                self._here = arrival
            return entered

    def _found(self, arrival: Arrival, done: Future[stores.Receipt]) -> stores.Receipt:
        try:
            return done.result()
        except stores.VersionConflictError:
            # Nobody else makes this id: the commit whose end the loop did not learn has taken hold.
            stored = self._store.job(arrival.job.id)
            if stored is None:
                raise
            return stores.Receipt(self._store.head(), (stored,))

    def _pass_on(self, done: Future[stores.Receipt]) -> None:
        if done.exception() is None:
            self._inbox.offer(done.result().jobs)
