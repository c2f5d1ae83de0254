"""Group commit: commits that share a transaction are judged one by one, and failures stay with who caused them."""

import pathlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest
import store_samples as samples

from orchestrator.domain import jobs
from orchestrator.ports import stores
from orchestrator.store import failpoints, opening


class Gate:
    """A failpoint that holds the writer until it is opened, so that what comes meanwhile forms one group."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.groups = 0

    def __call__(self, name: str, /) -> None:
        """Hold the first group."""
        if name == failpoints.BEFORE_COMMIT:
            self.groups += 1
            self.reached.set()
            assert self.open.wait(120)


@pytest.fixture
def gate() -> Gate:
    """Return a closed gate."""
    return Gate()


@pytest.fixture
def gated(path: pathlib.Path, clock: samples.Clock, gate: Gate) -> Iterator[stores.Store]:
    """Return a store behind the gate."""
    made = opening.open_store(path, clock, failpoints=gate)
    yield made
    gate.open.set()
    made.close()


def grouped(store: stores.Store, gate: Gate, group: list[stores.Changes]) -> list[Future[stores.Receipt]]:
    """Return the futures of commits that were all in one transaction."""
    first = store.commit_async(samples.submission(90))
    assert gate.reached.wait(120)
    futures = [store.commit_async(changes) for changes in group]
    gate.open.set()
    first.result(120)
    for future in futures:
        future.exception(10)
    assert gate.groups == 2
    return futures


def test_a_conflict_refuses_only_itself(gated: stores.Store, gate: Gate) -> None:
    """In one group, a stale row, a stale term and a used key are refused; the others commit, in order."""
    wrong = stores.Changes(jobs=[samples.job(1, version=7)])
    second = samples.submission(1)
    group = [samples.submission(1), wrong, replace(second, jobs=[samples.job(2)]), replace(second, term=5),
             samples.submission(3)]  # fmt: skip
    answers = grouped(gated, gate, group)
    assert [type(answer.exception()) for answer in answers] == [
        type(None), stores.VersionConflictError, stores.DuplicateKeyError, stores.StaleTermError, type(None),
    ]  # fmt: skip
    assert [answers[0].result().head.seq, answers[4].result().head.seq] == [2, 3]
    assert [int(job.id) for job in gated.live_jobs()] == [90, 1, 3]
    assert gated.verify_journal() is None


def test_a_row_moved_twice_in_a_group(gated: stores.Store, gate: Gate) -> None:
    """A job made, moved and ended within one group is there once, as it was left."""
    new = samples.submission(1)
    moved = replace(new.jobs[0], version=1, phase=jobs.Phase.PLACED)
    ended = replace(new.jobs[0], version=2, phase=jobs.Phase.FAILED)
    stale = replace(new.jobs[0], version=2, phase=jobs.Phase.RUNNING)
    changes = [new, *(stores.Changes(jobs=[job]) for job in (moved, ended, stale))]
    answers = grouped(gated, gate, changes)
    assert isinstance(answers[3].exception(), stores.VersionConflictError)
    stored = gated.job(new.jobs[0].id)
    assert stored is not None
    assert (stored.version, stored.phase) == (3, jobs.Phase.FAILED)
    assert gated.count_jobs() == {jobs.Phase.QUEUED: 1, jobs.Phase.FAILED: 1}


def test_a_poisonous_value_fails_alone(gated: stores.Store, gate: Gate) -> None:
    """What the database cannot hold fails its own commit and no other of the group."""
    huge = stores.Changes(jobs=[samples.job(2, parent="x", index=2**80)])
    first, second, third = (gated.commit_async(c) for c in (samples.submission(1), huge, samples.submission(3)))
    gate.open.set()
    assert first.result(120).jobs
    assert isinstance(second.exception(10), Exception)
    assert third.result(120).jobs
    assert len(gated.live_jobs()) == 2


def test_lone_surrogates(sql: stores.Store) -> None:
    """Text that is not Unicode is refused before it reaches the writer, wherever a column would hold it."""
    for field in ("tenant", "submitted_by"):
        with pytest.raises(ValueError, match="surrogate"):
            sql.commit(stores.Changes(jobs=[samples.job(1, **{field: "\ud800"})]))


def test_readers_do_not_wait(gated: stores.Store, gate: Gate) -> None:
    """While a group is being written, readers see the state before it."""
    pending = gated.commit_async(samples.submission(1))
    assert gate.reached.wait(120)
    assert gated.live_jobs() == []
    assert gated.head().seq == 0
    gate.open.set()
    pending.result(120)
    assert len(gated.live_jobs()) == 1


@pytest.mark.parametrize("make", ["memory:", "sqlite"])
@pytest.mark.parametrize("name", [failpoints.BEFORE_COMMIT, failpoints.AFTER_COMMIT])
def test_failpoints(make: str, name: str, path: pathlib.Path, clock: samples.Clock) -> None:
    """A crash before the commit leaves nothing, one after it everything; the caller knows of neither."""

    def crash(passed: str, /) -> None:
        if passed == name:
            raise RuntimeError(name)

    store = opening.open_store(make if make == "memory:" else path, clock, failpoints=crash)
    with pytest.raises(RuntimeError, match=name):
        store.commit(samples.submission(1))
    assert len(store.live_jobs()) == store.head().seq == (name == failpoints.AFTER_COMMIT)
    store.close()


def test_many_callers(sql: stores.Store) -> None:
    """Sixteen threads commit at once: nothing is lost, and every place in the queue is given once."""

    def work(start: int) -> None:
        for number in range(start, start + 20):
            sql.commit(samples.submission(number))

    threads = [threading.Thread(target=work, args=(100 * index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.queue_seq for job in sql.live_jobs()) == list(range(1, 321))
    assert sql.head().seq == 320
    assert sql.verify_journal() is None


def test_one_of_many_racers_wins(sql: stores.Store) -> None:
    """Of many that move one row from the same version exactly one succeeds."""
    job = sql.commit(samples.submission(1)).jobs[0]
    futures = [sql.commit_async(stores.Changes(jobs=[replace(job, reason=str(n))])) for n in range(50)]
    assert sum(future.exception(10) is None for future in futures) == 1
