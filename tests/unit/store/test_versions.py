"""What is polled (the documents' version, the lease's term) is never older than what somebody was told."""

import datetime as dt
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import sqlalchemy as sa
import store_samples as samples

from orchestrator.ports import stores
from orchestrator.store import failpoints, opening
from orchestrator.store.sql import batches
from orchestrator.store.sql import stores as sql_stores

TTL = dt.timedelta(seconds=10)


class Failing:
    """A failpoint that raises once when told."""

    def __init__(self) -> None:
        self.at = ""
        self.error: BaseException = RuntimeError("boom")

    def __call__(self, name: str, /) -> None:
        """Fail where told."""
        if name == self.at:
            self.at = ""
            raise self.error


@pytest.fixture
def failing() -> Failing:
    """Return a failpoint that does nothing yet."""
    return Failing()


@pytest.fixture
def alone(path: pathlib.Path, clock: samples.Clock, failing: Failing) -> Iterator[sql_stores.SqlStore]:
    """Return a store that is the only one of its file."""
    made = opening.open_store(path, clock, alone=True, failpoints=failing)
    assert isinstance(made, sql_stores.SqlStore)
    yield made
    made.close()


def queue(name: str) -> stores.Changes:
    """Return the making of a document."""
    return stores.Changes(documents=[stores.Document("Queue", name, "acme", "{}")])


def stored(path: pathlib.Path) -> tuple[int, int]:
    """Return the documents' version and the term as they stand in the file."""
    connection = sqlite3.connect(path)
    try:
        versions = connection.execute("SELECT documents_version FROM state").fetchone()
        return versions[0], connection.execute("SELECT term FROM lease").fetchone()[0]
    finally:
        connection.close()


def polled(store: stores.Store) -> tuple[int, int]:
    """Return both as the store tells them."""
    return store.documents_version(), store.current_term()


def test_known_from_the_start(alone: sql_stores.SqlStore, path: pathlib.Path, clock: samples.Clock) -> None:
    """A store opened alone knows what its predecessor left, and asks no database for it."""
    version = alone.commit(queue("a")).documents[0].version
    lease = alone.acquire_lease("me", TTL)
    assert lease is not None
    alone.close()
    again = opening.open_store(path, clock, alone=True)
    assert isinstance(again, sql_stores.SqlStore)
    assert again._writer.versions == batches.Versions(version, lease.term)
    assert polled(again) == (version, lease.term) == stored(path)
    again.close()


def test_documents_at_once(alone: sql_stores.SqlStore, path: pathlib.Path) -> None:
    """Whoever sees a commit of documents done, in a callback of its future even, sees the new version."""
    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def told(future: Future[stores.Receipt]) -> None:
        documents = future.result().documents
        seen.append((documents[0].version, alone.documents_version(), len(alone.documents())))
        if len(seen) == 50:
            done.set()

    for number in range(50):
        alone.commit_async(queue(f"q{number}")).add_done_callback(told)
    assert done.wait(120)
    assert all(made <= version and version <= found for made, version, found in seen)
    last = alone.documents()[-1]
    alone.commit(stores.Changes(delete_documents=[(*last.key, last.version)]))
    assert alone.documents_version() == 51 == stored(path)[0]


def test_never_ahead_and_never_behind(alone: sql_stores.SqlStore) -> None:
    """With many writers and readers: a version that is told stands in the file, and none goes back."""
    wrong: list[str] = []
    over = threading.Event()

    def write(name: str) -> None:
        for number in range(20):
            made = alone.commit(queue(f"{name}-{number}")).documents[0].version
            if alone.documents_version() < made:
                wrong.append(f"{name}: committed {made}, told less")

    def watch() -> None:
        last = 0
        while not over.is_set():
            version = alone.documents_version()
            if version < last or alone._reader.documents_version() < version:
                wrong.append(f"told {version} after {last}, or before it stood")
            last = version

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    watcher = threading.Thread(target=watch)
    for thread in (*writers, watcher):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    watcher.join()
    assert not wrong
    assert alone.documents_version() == 80


def test_lease_at_once(alone: sql_stores.SqlStore, path: pathlib.Path, clock: samples.Clock) -> None:
    """A new term is told as soon as it is taken, and what the old one commits is refused."""
    first = alone.acquire_lease("a", TTL)
    assert first is not None
    assert alone.current_term() == first.term
    assert alone.acquire_lease("a", TTL) is not None
    assert alone.current_term() == first.term
    assert alone.acquire_lease("b", TTL) is None
    assert alone.current_term() == first.term
    clock.advance(11)
    second = alone.acquire_lease("b", TTL)
    assert second is not None
    assert alone.current_term() == second.term == first.term + 1
    with pytest.raises(stores.StaleTermError):
        alone.commit(stores.Changes(entries=[samples.entry()], term=first.term))
    alone.release_lease(second)
    assert alone.current_term() == second.term
    third = alone.acquire_lease("a", TTL)
    assert third is not None
    assert polled(alone) == (0, third.term) == stored(path)


@pytest.mark.parametrize("point", [failpoints.BEFORE_COMMIT, failpoints.AFTER_COMMIT])
def test_a_commit_that_failed(alone: sql_stores.SqlStore, path: pathlib.Path, failing: Failing, point: str) -> None:
    """Whether it stands or not: the file decides, also when nobody could be told."""
    alone.commit(queue("a"))
    failing.at = point
    with pytest.raises(RuntimeError):
        alone.commit(queue("b"))
    assert polled(alone) == stored(path)
    assert alone.documents_version() == (2 if point == failpoints.AFTER_COMMIT else 1)
    alone.commit(queue("c"))
    assert polled(alone) == stored(path)
    assert alone._writer.versions is not None


def test_a_disk_that_failed(alone: sql_stores.SqlStore, path: pathlib.Path, failing: Failing) -> None:
    """After an error of the disk nothing is remembered: what can be read is read."""
    alone.commit(queue("a"))
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    failing.at, failing.error = failpoints.BEFORE_COMMIT, sa.exc.OperationalError("COMMIT", (), broken)
    with pytest.raises(stores.StoreReadOnlyError):
        alone.commit(queue("b"))
    assert alone._writer.versions is None
    assert polled(alone) == stored(path) == (1, 0)


def test_a_refused_commit(alone: sql_stores.SqlStore, path: pathlib.Path) -> None:
    """What is refused moves nothing."""
    alone.commit(queue("a"))
    with pytest.raises(stores.VersionConflictError):
        alone.commit(queue("a"))
    assert polled(alone) == stored(path) == (1, 0)


def test_two_stores_of_one_file(path: pathlib.Path, clock: samples.Clock) -> None:
    """Opened without ``alone`` nothing is remembered, and each sees what the other does."""
    first, second = opening.open_store(path, clock), opening.open_store(path, clock)
    assert isinstance(first, sql_stores.SqlStore)
    first.commit(queue("a"))
    assert second.documents_version() == 1
    second.commit(queue("b"))
    assert first.documents_version() == 2
    lease = second.acquire_lease("b", TTL)
    assert lease is not None
    assert first.current_term() == lease.term == second.current_term()
    assert first._writer.versions is None
    first.close()
    second.close()
