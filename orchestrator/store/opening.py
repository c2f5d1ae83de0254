"""The door: a store from a URL or a path.

``memory:`` is the store that forgets; ``sqlite:///path`` or a plain path is a SQLite file with, beside it, its
blobs (``<name>.blobs/``), the reserve for a full disk (``<name>.reserve``) and, opened alone, a lock (``<name>.lock``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib

from orchestrator.evidence import tables
from orchestrator.ports import environment, stores
from orchestrator.store import blobs, failpoints, memory
from orchestrator.store.sql import dialects, openings, reads, spaces, writer
from orchestrator.store.sql import stores as sql_stores

BUSY_S = 3.0
"""How long a commit waits for another process to let go of the write lock."""
_MAGIC = b"SQLite format 3\x00"


def open_store(
    url_or_path: str | os.PathLike[str],
    clock: environment.Clock,
    *,
    alone: bool = False,
    key: bytes = b"",
    failpoints: failpoints.Failpoints = failpoints.nowhere,
    busy_s: float = BUSY_S,
    reserve_bytes: int = spaces.RESERVE_BYTES,
) -> stores.Store:
    """Open a store, making or migrating it where needed. Raises StoreError (corrupt, busy, full, unknown kind).

    ``alone``: lock other openers that say so out (StoreBusyError for the second), and free the lease that a killed
    predecessor left behind, so that a restart need not wait for it. Who opens the file without it meanwhile must only
    read: the versions that are polled come from this writer's memory. The lock goes when the store is closed or the
    process ends. ``key`` authenticates what is stated in the journal (``evidence.tables``): who writes with another
    one than before leaves rows that nobody believes.
    """
    digests = tables.Digests(key)
    where = os.fspath(url_or_path)
    if where in ("memory:", "memory://"):
        return memory.MemoryStore(clock, failpoints=failpoints, digests=digests)
    scheme, mark, rest = where.partition("://")
    if mark and scheme != "sqlite":
        raise stores.StoreError(f"{scheme} is not a kind of store known here: name a file, sqlite:///path or memory:")
    path = pathlib.Path(rest.removeprefix("/") if mark else where).absolute()
    with contextlib.ExitStack() as resources:
        folder = _beside(path, "blobs")
        _make_folder(path.parent)
        if alone:
            resources.callback(os.close, _lock(_beside(path, "lock")))
        _look_at(path)
        dialect = dialects.SqliteDialect(path, busy_s=busy_s)
        writing, reading = dialect.writer_engine(), dialect.reader_engine()
        resources.callback(writing.dispose)
        resources.callback(reading.dispose)
        openings.open_database(writing, dialect, str(path))
        if alone:
            blobs.BlobFolder(folder).sweep()
        reserve = spaces.Reserve(_beside(path, "reserve"), clock, size=reserve_bytes)
        reserve.prepare()
        store = sql_stores.SqlStore(
            writer=writer.Writer(writing, dialect, clock, reserve, failpoints, digests=digests, alone=alone),
            reader=reads.Reader(reading, dialect),
            blobs=blobs.BlobFolder(folder),
            clock=clock,
            digests=digests,
            resources=resources.pop_all(),
        )
    if alone:
        try:
            store.free_lease()
        except BaseException:
            store.close()
            raise
    return store


def _make_folder(path: pathlib.Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise stores.StoreError(f"{path} cannot be made: {error.strerror}") from error


def _look_at(path: pathlib.Path) -> None:
    """Make the file, for its owner only, or refuse one that is something else."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            start = os.read(descriptor, len(_MAGIC))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise stores.StoreError(f"{path} cannot be opened: {error.strerror}") from error
    if start and start != _MAGIC:
        raise stores.StoreCorruptError(
            f"{path} is no SQLite database, or its header is damaged: restore the newest backup, or name another file"
        )


def _lock(path: pathlib.Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise stores.StoreBusyError(f"another process has the store open ({path})") from error
    return descriptor


def _beside(path: pathlib.Path, what: str) -> pathlib.Path:
    return path.with_name(f"{path.name}.{what}")
