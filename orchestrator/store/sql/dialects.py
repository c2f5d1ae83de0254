"""What differs from database to database, and nowhere else: connecting, locking, upserts, and what errors mean.

SQLite is the one that exists. PostgreSQL would be a second class here (``BEGIN``, a row lock on ``state`` in
``begin_write``, ``REPEATABLE READ`` in ``begin_snapshot``, the same upserts, its own SQLSTATEs).
"""

from __future__ import annotations

import abc
import enum
import pathlib
import sqlite3
import urllib.parse

import sqlalchemy as sa
from sqlalchemy import event, exc, pool
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

from orchestrator.ports import stores

READERS_MAX = 8
READER_WAIT_S = 10.0
CHECKED_BYTES_MAX = 32 * 1024 * 1024
"""Larger databases are not read through when they are opened (about 0.1 s at this size)."""
_WRITER_CACHE_KIB = 8 * 1024
_READER_CACHE_KIB = 2 * 1024
_CHECKPOINT_PAGES = 4_000


class Fault(enum.Enum):
    """What a database error means to the writer."""

    FULL = "full"
    """No space; nothing of the transaction is there."""
    BUSY = "busy"
    """Somebody outside holds the lock; nothing was written."""
    IO = "io"
    """The disk failed: what it has is unknown until it is read again."""
    CORRUPT = "corrupt"
    """The database is damaged."""
    OTHER = "other"
    """A refusal of these rows: a bug, or a poisonous value."""


class Dialect(abc.ABC):
    """One kind of database. ``paramstyle`` must be positional."""

    engine_dialect: sa.Dialect
    begin: str
    """Starts a transaction that holds the write lock from its start."""
    driver_error: type[Exception]
    """What the driver raises, before SQLAlchemy makes it its own."""

    @abc.abstractmethod
    def peek_engine(self) -> sa.Engine | None:
        """Return an engine that cannot change a byte of the database; None where there is none yet."""

    @abc.abstractmethod
    def writer_engine(self) -> sa.Engine:
        """Return the engine of the one writing connection."""

    @abc.abstractmethod
    def reader_engine(self) -> sa.Engine:
        """Return the engine of the reading connections."""

    @abc.abstractmethod
    def begin_write(self, connection: sa.Connection) -> None:
        """Start a transaction that holds the write lock from its start."""

    @abc.abstractmethod
    def foreign_version(self, cursor: DBAPICursor) -> int:
        """Return a number that changes when another connection has committed, and never for this one's commits."""

    @abc.abstractmethod
    def begin_snapshot(self, connection: sa.Connection) -> None:
        """Start a transaction whose reads all see one moment."""

    @abc.abstractmethod
    def check(self, connection: sa.Connection) -> None:
        """Raise StoreCorruptError when a cheap look says that the database is damaged. Called when it is opened."""

    @abc.abstractmethod
    def tidy(self, connection: sa.Connection) -> None:
        """Give back space that is only waiting to be reused. Outside a transaction; may do nothing."""

    @abc.abstractmethod
    def insert_or_ignore(self, table: sa.Table) -> sa.Insert:
        """Return an insert that leaves an existing row alone."""

    @abc.abstractmethod
    def insert_or_add(self, table: sa.Table, counter: sa.Column[int]) -> sa.Insert:
        """Return an insert that adds to ``counter`` of an existing row."""

    @abc.abstractmethod
    def fault(self, error: exc.DBAPIError) -> Fault:
        """Return what an error means."""


class SqliteDialect(Dialect):
    """SQLite 3.35 or newer: WAL, synchronous FULL (a commit is on disk), foreign keys on."""

    begin = "BEGIN IMMEDIATE"
    driver_error = sqlite3.Error

    def __init__(self, path: pathlib.Path, *, busy_s: float) -> None:
        self._path = path
        self._busy_ms = int(busy_s * 1000)
        self.engine_dialect = sqlite.dialect(paramstyle="qmark")

    def peek_engine(self) -> sa.Engine | None:
        """See the base class. Immutable, so that no log is made beside it, unless a log there holds the newest."""
        if not self._path.exists() or not self._path.stat().st_size:
            return None
        log = self._path.with_name(f"{self._path.name}-wal")
        newest_in_log = log.exists() and log.stat().st_size > 0
        uri = f"file:{urllib.parse.quote(str(self._path))}?mode=ro{'' if newest_in_log else '&immutable=1'}"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, timeout=self._busy_ms / 1000, check_same_thread=False)

        return sa.create_engine("sqlite://", creator=connect, poolclass=pool.NullPool, paramstyle="qmark")

    def writer_engine(self) -> sa.Engine:
        """See the base class."""
        engine = self._engine(pool.StaticPool)

        @event.listens_for(engine, "connect")
        def connected(connection: sqlite3.Connection, _record: object) -> None:
            for pragma in (
                f"busy_timeout = {self._busy_ms}",
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                f"cache_size = -{_WRITER_CACHE_KIB}",
                f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

        return engine

    def reader_engine(self) -> sa.Engine:
        """See the base class."""
        engine = self._engine(pool.QueuePool, pool_size=2, max_overflow=READERS_MAX - 2, pool_timeout=READER_WAIT_S)

        @event.listens_for(engine, "connect")
        def connected(connection: sqlite3.Connection, _record: object) -> None:
            for pragma in (
                f"busy_timeout = {self._busy_ms}",
                "query_only = ON",
                f"cache_size = -{_READER_CACHE_KIB}",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

        return engine

    def _engine(self, kind: type[pool.Pool], **options: object) -> sa.Engine:
        url = sa.URL.create("sqlite", database=str(self._path))
        connect = {"check_same_thread": False, "isolation_level": None}
        return sa.create_engine(url, poolclass=kind, paramstyle="qmark", connect_args=connect, **options)

    def begin_write(self, connection: sa.Connection) -> None:
        """See the base class."""
        connection.exec_driver_sql(self.begin)

    def foreign_version(self, cursor: DBAPICursor) -> int:
        """See the base class. https://www.sqlite.org/pragma.html#pragma_data_version."""
        cursor.execute("PRAGMA data_version")
        found = cursor.fetchone()
        return int(found[0]) if found is not None else 0

    def begin_snapshot(self, connection: sa.Connection) -> None:
        """See the base class."""
        connection.exec_driver_sql("BEGIN")

    def check(self, connection: sa.Connection) -> None:
        """See the base class. A full check reads the whole file, so only small ones get it; SQLite checks every page
        of a larger one when it is read."""
        if self._path.stat().st_size <= CHECKED_BYTES_MAX:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if found != "ok":
                raise stores.StoreCorruptError(f"{self._path} is damaged ({found}): restore the newest backup")

    def tidy(self, connection: sa.Connection) -> None:
        """See the base class."""
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()

    def insert_or_ignore(self, table: sa.Table) -> sa.Insert:
        """See the base class."""
        return sqlite.insert(table).on_conflict_do_nothing()

    def insert_or_add(self, table: sa.Table, counter: sa.Column[int]) -> sa.Insert:
        """See the base class."""
        insert = sqlite.insert(table)
        added = {counter.name: counter + insert.excluded[counter.name]}
        return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=added)

    def fault(self, error: exc.DBAPIError) -> Fault:
        """See the base class. Codes: https://www.sqlite.org/rescode.html."""
        code = getattr(error.orig, "sqlite_errorcode", 0) or 0
        if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the shared memory file could not grow: no space
            return Fault.FULL
        match code & 0xFF:
            case sqlite3.SQLITE_FULL:
                return Fault.FULL
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Fault.BUSY
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
                return Fault.IO
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return Fault.CORRUPT
            case _:
                return Fault.OTHER
