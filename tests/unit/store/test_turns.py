"""The line before the writing connection: one writes at a time, in order, and the idle one is not waited for."""

import pathlib
import threading

import pytest
import store_samples as samples

from orchestrator.ports import stores
from orchestrator.store import failpoints, opening
from orchestrator.store.sql import turns


def weigh(item: int) -> int:
    """Let a number weigh what it says."""
    return item


def take(line: turns.Line[int]) -> list[int]:
    """Take a turn with at most three, of weight ten."""
    return line.take(weigh, items_max=3, weight_max=10)


def test_what_may_share_a_turn() -> None:
    """In order: up to the number, up to the weight, and what weighs nothing alone."""
    line: turns.Line[int] = turns.Line(100)
    for item in (1, 1, 1, 1, 0, 0, 9, 9, 9):
        line.put(item)
    found = []
    for _ in range(6):
        found.append(take(line))
        line.leave()
    assert found == [[1, 1, 1], [1], [0], [0], [9, 9], [9]]


def test_nobody_steps_in_before_who_waits() -> None:
    """The turn is free for a caller only while nobody writes and nobody waits."""
    line: turns.Line[int] = turns.Line(100)
    assert line.step_in()
    assert not line.step_in()
    line.leave()
    line.put(1)
    assert not line.step_in()
    assert take(line) == [1]
    assert not line.step_in()
    line.leave()
    assert line.step_in()


def test_a_line_that_is_full_or_closed() -> None:
    """One more than may wait is refused as busy; a closed line serves who waits and nobody else."""
    line: turns.Line[int] = turns.Line(1)
    line.put(1)
    with pytest.raises(stores.StoreBusyError):
        line.put(1)
    assert line.close() == [1]
    for join in (lambda: line.put(1), line.step_in):
        with pytest.raises(stores.StoreError, match="closed"):
            join()
    assert take(line) == [1]
    line.leave()
    assert take(line) == []


def test_an_idle_writer_is_not_waited_for(path: pathlib.Path, clock: samples.Clock) -> None:
    """Who commits and waits writes in its own thread; what comes meanwhile is written by the writer's, after it."""
    names: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def noted(name: str, /) -> None:
        if name == failpoints.BEFORE_COMMIT:
            names.append(threading.current_thread().name)
            inside.set()
            assert go_on.wait(120)

    store = opening.open_store(path, clock, failpoints=noted)
    first = threading.Thread(target=store.commit, args=(samples.submission(1),), name="caller")
    first.start()
    assert inside.wait(120)
    others = [store.commit_async(samples.submission(number)) for number in (2, 3)]
    go_on.set()
    assert [future.result(120).head.seq for future in others] == [2, 3]
    first.join()
    assert names == ["caller", "store-writer"]
    store.close()
    with pytest.raises(stores.StoreError, match="closed"):
        store.commit(samples.submission(4))


def test_callers_and_the_writer_take_turns(sql: stores.Store) -> None:
    """Threads that wait and threads that do not, at once: nothing is lost and the chain holds."""

    def waits(start: int) -> None:
        for number in range(start, start + 25):
            sql.commit(samples.submission(number))

    def goes_on(start: int) -> None:
        futures = [sql.commit_async(samples.submission(number)) for number in range(start, start + 25)]
        for future in futures:
            future.result(120)

    threads = [threading.Thread(target=(waits, goes_on)[number % 2], args=(100 * (number + 1),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.queue_seq for job in sql.live_jobs()) == list(range(1, 201))
    assert sql.verify_journal() is None
