"""Writes by others, as the one writing connection sees them.

SQLite counts, for a connection, what any other connection has committed (``PRAGMA data_version``). Ours writes through
one connection, so every change of that number is somebody else's. What the file system does below SQLite (a byte
changed with an editor) is not seen here; holding the tables against the journal at the next start is for that.
"""

from __future__ import annotations

from sqlalchemy.engine.interfaces import DBAPICursor

from orchestrator.store.sql import dialects


class Outside:
    """Used within the writer's turn; the counts may be read from any thread."""

    def __init__(self, dialect: dialects.Dialect, *, alone: bool) -> None:
        self._dialect = dialect
        self._alone = alone
        self._version: int | None = None
        self._settled = 0
        self.count = 0
        """Times that somebody else was seen to have written."""

    @property
    def unsettled(self) -> bool:
        """Say whether others wrote since somebody looked into it; never where others may write."""
        return self._alone and self.count > self._settled

    def look(self, cursor: DBAPICursor) -> None:
        """Notice what others committed; right after a transaction has begun."""
        version = self._dialect.foreign_version(cursor)
        if self._version is not None and version != self._version:
            self.count += 1
        self._version = version

    def settle(self, count: int) -> None:
        """See ``Store.settle``."""
        self._settled = max(self._settled, count)
