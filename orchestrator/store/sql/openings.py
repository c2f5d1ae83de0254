"""Opening a database: is it one of ours, of which version, and is it whole? A fresh one is made here.

A fresh database is written from ``schema`` and stamped; Alembic is loaded only when a migration has to run.
All of it happens under the write lock in one transaction, so two processes that open at once, or one that is killed
half-way, leave no half-made schema.
"""

from __future__ import annotations

import importlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.evidence import chain
from orchestrator.ports import stores
from orchestrator.store.sql import dialects, schema


def open_database(engine: sa.Engine, dialect: dialects.Dialect, name: str) -> None:
    """Make the database at ``engine`` ready. Raises StoreCorruptError, StoreBusyError, StoreFullError, StoreError.

    One that is refused because it is somebody else's, or newer, has not been touched: it is looked at before.
    """
    try:
        _peek(dialect, name)
        with engine.connect() as connection:
            dialect.check(connection)
            connection.rollback()
            try:
                dialect.begin_write(connection)
                _bring_up(connection, name)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
    except exc.DBAPIError as error:
        match dialect.fault(error):
            case dialects.Fault.BUSY:
                raise stores.StoreBusyError(f"{name} is locked by another process; try again") from error
            case dialects.Fault.FULL:
                raise stores.StoreFullError(f"the disk of {name} is full: free some space") from error
            case dialects.Fault.CORRUPT:
                raise stores.StoreCorruptError(
                    f"{name} is damaged or no database of Comity ({error.orig}): restore the newest backup"
                ) from error
            case _:
                raise stores.StoreError(f"{name} cannot be opened: {error.orig}") from error


def _peek(dialect: dialects.Dialect, name: str) -> None:
    engine = dialect.peek_engine()
    if engine is None:
        return
    with engine.connect() as connection:
        _revision(connection, name)


def _bring_up(connection: sa.Connection, name: str) -> None:
    found = _revision(connection, name)
    if found is None:
        create(connection)
    elif found != schema.HEAD:
        migrations: Any = importlib.import_module("orchestrator.store.migrations.runner")  # 11 MB, only when needed
        migrations.upgrade(connection, schema.HEAD)


def _revision(connection: sa.Connection, name: str) -> str | None:
    """Return the revision of a database of ours; None: an empty one. Raises StoreCorruptError for any other."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    if schema.versions.name not in tables:
        raise stores.StoreCorruptError(
            f"{name} holds tables of something else ({', '.join(sorted(tables)[:3])}): name another file"
        )
    found = connection.execute(sa.select(schema.versions.c.version_num)).scalar()
    if found not in schema.KNOWN:
        raise stores.StoreCorruptError(
            f"{name} is of schema revision {found!r}; this version of Comity knows up to {schema.HEAD!r}: "
            "install the newer version, or restore a backup made before the upgrade"
        )
    return str(found)


def create(connection: sa.Connection) -> None:
    """Make all tables and their first rows, within the caller's transaction."""
    schema.metadata.create_all(connection)
    connection.execute(sa.insert(schema.versions).values(version_num=schema.HEAD))
    connection.execute(
        sa.insert(schema.state).values(id=1, head_seq=0, head_hash=chain.GENESIS, queue_seq=0, documents_version=0)
    )
    connection.execute(sa.insert(schema.lease).values(id=1, holder="", term=0, expires_at=0, ttl=0, renewals=0))
