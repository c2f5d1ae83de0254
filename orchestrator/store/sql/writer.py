"""The one writer: a thread that drains a queue of commits into one transaction at a time (group commit).

Nothing waits for a timer. A commit that finds the writer idle is written at once; those that come while it syncs
make the next group. So one caller pays one sync each, and many callers share one. Steps of a group: begin (the
write lock), judge and write, sync, tell everybody. What the world does wrong is sorted in ``_survive``. Who waits for
its commit and finds the writer idle writes it in its own thread (``turns``): the connection has one user at a time.

A writer that is the only one of its file remembers the versions it committed last (``versions``), so that who polls
them asks no database. They are set after the sync and before anybody is told, and forgotten when anything fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.evidence import tables
from orchestrator.ports import environment, stores
from orchestrator.store import failpoints as points
from orchestrator.store.sql import batches, dialects, outsides, prepared, spaces, statements, turns

T = TypeVar("T")

QUEUE_MAX = 50_000
"""Commits that may wait; one more is refused as busy."""
GROUP_COMMITS_MAX = 1_000
GROUP_ROWS_MAX = 20_000
_SPECS_REMEMBERED = 20_000

_FULL = "the disk is full: free some space, or move the state folder; new jobs are refused until then"
_BUSY = "another process holds the database's write lock; try again"


class _Task:
    """Something else to be done in a write transaction of its own, such as renewing the lease."""

    def __init__(self, what: Callable[[sa.Connection], Any]) -> None:
        self.what = what
        self.future: Future[Any] = Future()


class Writer:
    """Owns the writing connection. ``commit``, ``submit`` and ``run`` may be called from any thread."""

    def __init__(
        self,
        engine: sa.Engine,
        dialect: dialects.Dialect,
        clock: environment.Clock,
        reserve: spaces.Reserve,
        failpoints: points.Failpoints,
        *,
        digests: tables.Digests,
        alone: bool = False,
    ) -> None:
        self._engine = engine
        self._digests = digests
        self._dialect = dialect
        self._clock = clock
        self._reserve = reserve
        self._failpoints = failpoints
        self._alone = alone
        self._versions: batches.Versions | None = None
        self._texts = statements.Statements(dialect)
        self._line: turns.Line[prepared.Prepared | _Task] = turns.Line(QUEUE_MAX)
        self._specs: set[str] = set()
        self._connection = engine.connect()
        self._outside = outsides.Outside(dialect, alone=alone)
        self._vouched = False
        self._dead: stores.StoreError | None = None
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def read_only_reason(self) -> str:
        """Return why nothing, or no new job, is written; empty while all is well."""
        if self._dead is not None:
            return str(self._dead)
        return _FULL if self._reserve.full else ""

    @property
    def versions(self) -> batches.Versions | None:
        """Return what stands committed, if this is the only writer of the file; None: ask the database."""
        return self._versions

    @property
    def outside(self) -> outsides.Outside:
        """Return what is known of writes by others."""
        return self._outside

    def vouch(self) -> None:
        """See ``Store.vouch``."""
        self._vouched = True

    @property
    def depth(self) -> int:
        """Return how many commits wait."""
        return len(self._line)

    def submit(self, changes: stores.Changes) -> Future[stores.Receipt]:
        """Queue a commit. Raises ValueError and TypeError for what cannot be stored, StoreError when not open."""
        ready = prepared.prepare(changes, self._specs, self._digests, self._clock.now)
        self._line.put(ready)
        return ready.future

    def commit(self, changes: stores.Changes) -> stores.Receipt:
        """Commit and wait: in this thread where nobody else writes. Raises as ``submit`` does, and StoreError."""
        ready = prepared.prepare(changes, self._specs, self._digests, self._clock.now)
        if not self._line.step_in():
            self._line.put(ready)
            return ready.future.result()
        try:
            self._commit([ready])
        finally:
            self._line.leave()
        return ready.future.result()

    def run(self, what: Callable[[sa.Connection], T]) -> T:
        """Do ``what`` in a write transaction and wait for it. Raises StoreError."""
        task = _Task(what)
        self._line.put(task)
        done: T = task.future.result()
        return done

    def close(self) -> None:
        """Write what is queued, then let go. Calling it twice is fine."""
        self._line.close()
        self._thread.join()

    def _work(self) -> None:
        """Serve until closed; whatever ends this thread, nobody is left waiting for it."""
        try:
            while group := self._line.take(_weigh, items_max=GROUP_COMMITS_MAX, weight_max=GROUP_ROWS_MAX):
                try:
                    self._write(group)
                finally:
                    self._line.leave()
        finally:
            ended = stores.StoreError("the store's writer has ended; restart")
            for left in self._line.close():
                left.future.set_exception(ended)
            try:
                self._connection.close()
            except exc.DBAPIError:  # the process, or the opener, lets go of it anyway
                pass

    def _write(self, group: list[prepared.Prepared | _Task]) -> None:
        """Write what was taken together: one task, or commits."""
        first = group[0]
        if isinstance(first, _Task):
            self._do(first)
        else:
            self._commit([ready for ready in group if isinstance(ready, prepared.Prepared)])

    def _commit(self, group: list[prepared.Prepared]) -> None:
        """Write a group and tell everybody."""
        if self._dead is not None:
            _answer(group, [self._dead] * len(group))
            return
        if self._reserve.full and self._reserve.look():
            _answer([ready for ready in group if ready.has_new_jobs], [stores.StoreFullError(_FULL)] * len(group))
            group = [ready for ready in group if not ready.has_new_jobs]
        if group:
            self._try(group, again=True)

    def _try(self, group: list[prepared.Prepared], *, again: bool) -> None:
        try:
            answers = self._transaction(group)
        except BaseException as error:  # noqa: BLE001  # this thread must outlive everything; somebody waits
            try:
                self._roll_back()
                self._survive(group, error, again=again)
            except BaseException as worse:  # noqa: BLE001  # as above
                _answer(group, [worse] * len(group))
            return
        try:
            self._failpoints(points.AFTER_COMMIT)
        except BaseException as error:  # noqa: BLE001  # a failpoint of a test: durable, but nobody is told
            _answer(group, [error] * len(group))
            return
        if len(self._specs) > _SPECS_REMEMBERED:
            self._specs.clear()
        for ready, answer in zip(group, answers, strict=True):
            if ready.specs and isinstance(answer, stores.Receipt):
                self._specs.update(row[0] for row in ready.specs)
        _answer(group, answers)

    def _transaction(self, group: list[prepared.Prepared]) -> list[batches.Answer]:
        driver = self._connection.connection
        cursor = driver.cursor()
        try:
            cursor.execute(self._dialect.begin)
            self._outside.look(cursor)
            batch = batches.Batch(cursor, self._texts, self._clock.now(), self._digests, self._vouched)
            answers = batch.run(group, touched=self._outside.unsettled)
            if batch.wrote:
                self._failpoints(points.BEFORE_COMMIT)
                driver.commit()
            else:
                driver.rollback()
        except self._dialect.driver_error as error:
            raise exc.DBAPIError.instance("", None, error, self._dialect.driver_error) from error
        self._remember(batch.versions)
        self._vouched = self._vouched and not batch.wrote
        return answers

    def _remember(self, versions: batches.Versions) -> None:
        """Keep what a transaction has left behind; it is over, and nobody has been told yet."""
        if self._alone:
            self._versions = versions

    def _survive(self, group: list[prepared.Prepared], error: BaseException, *, again: bool) -> None:
        """Sort what went wrong. Nothing of the group was acknowledged."""
        fault = self._dialect.fault(error) if isinstance(error, exc.DBAPIError) else dialects.Fault.OTHER
        if fault is dialects.Fault.FULL and again:
            self._make_room()
            full = [ready for ready in group if ready.has_new_jobs]
            _answer(full, [stores.StoreFullError(_FULL)] * len(full))
            rest = [ready for ready in group if not ready.has_new_jobs]
            if rest:
                self._try(rest, again=False)
        elif fault is dialects.Fault.OTHER and len(group) > 1:
            for ready in group:  # one of them is poisonous: let it fail alone
                self._try([ready], again=True)
        else:
            told = self._told(fault, error)
            _answer(group, [told] * len(group))

    def _told(self, fault: dialects.Fault, error: BaseException) -> BaseException:
        """Return what callers hear, and stop writing where the disk cannot be trusted any more."""
        match fault:
            case dialects.Fault.FULL:
                return stores.StoreFullError(_FULL)
            case dialects.Fault.BUSY:
                return stores.StoreBusyError(_BUSY)
            case dialects.Fault.IO:
                self._dead = stores.StoreReadOnlyError(
                    f"a write failed ({_cause(error)}): nothing more is written; check the disk, then restart"
                )
                return self._dead
            case dialects.Fault.CORRUPT:
                self._dead = stores.StoreCorruptError(
                    f"the database is damaged ({_cause(error)}): restore the newest backup, then restart"
                )
                return self._dead
            case dialects.Fault.OTHER:
                if isinstance(error, exc.StatementError):
                    return stores.StoreError(f"the database refused the rows: {_cause(error)}")
                return error

    def _do(self, task: _Task) -> None:
        try:
            if self._dead is not None:
                raise self._dead
            try:
                result = self._do_once(task)
            except exc.DBAPIError as error:
                if self._dialect.fault(error) is not dialects.Fault.FULL:
                    raise
                self._make_room()
                result = self._do_once(task)
        except exc.DBAPIError as error:
            told = self._told(self._dialect.fault(error), error)
            task.future.set_exception(told)
        except BaseException as error:  # noqa: BLE001  # as above
            task.future.set_exception(error)
        else:
            task.future.set_result(result)

    def _do_once(self, task: _Task) -> Any:
        try:
            self._dialect.begin_write(self._connection)
            self._look_outside()
            result = task.what(self._connection)
            versions = batches.read_versions(self._connection, self._texts)
            self._connection.commit()
            self._remember(versions)
        except BaseException:
            self._roll_back()
            raise
        return result

    def _look_outside(self) -> None:
        cursor = self._connection.connection.cursor()
        try:
            self._outside.look(cursor)
        finally:
            cursor.close()

    def _make_room(self) -> None:
        self._reserve.release()
        try:
            self._dialect.tidy(self._connection)
            self._connection.rollback()
        except exc.DBAPIError:
            self._roll_back()

    def _roll_back(self) -> None:
        """End a transaction that failed; what stands committed is not known before the next one that does not."""
        self._versions = None
        try:
            self._connection.rollback()
            self._connection.connection.rollback()
        except (exc.DBAPIError, self._dialect.driver_error):  # the statement's own error is the one to tell
            self._connection.invalidate()


def _weigh(item: prepared.Prepared | _Task) -> int:
    """Return what a commit adds to its group; 0 for what needs a transaction of its own."""
    return 0 if isinstance(item, _Task) else item.weight


def _cause(error: BaseException) -> str:
    return str(error.orig) if isinstance(error, exc.StatementError) else str(error)


def _answer(group: Sequence[prepared.Prepared], answers: Sequence[stores.Receipt | BaseException]) -> None:
    for ready, answer in zip(group, answers, strict=False):
        try:
            if isinstance(answer, BaseException):
                ready.future.set_exception(answer)
            else:
                ready.future.set_result(answer)
        except InvalidStateError:  # cancelled by who waited; the commit stands
            pass
