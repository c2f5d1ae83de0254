"""Part of a long journal in a SQLite file, checked by a process of its own: ``python -m MODULE FILE AFTER UNTIL``.

Prints the number of the first bad entry, or ``null``. Loads the driver and the chain, nothing else: SQLAlchemy and its
neighbours take longer to import than 100,000 entries to check, and the threads that they start make every lock of the
driver dearer. Who calls takes anything but a clean answer for none, and checks the part itself.
"""

from __future__ import annotations

import json
import pathlib
import sqlite3
import sys

from orchestrator.domain import journal
from orchestrator.evidence import chain

COLUMNS = "seq, kind, subject, tenant, at, actor, body, prev, hash"
"""Those of ``schema.journal``, in the order of ``chain.Record``."""


def first_bad(path: str, *, after: int, until: int) -> int | None:
    """Return the first bad entry of ``after`` (exclusive) to ``until``, or None. Raises sqlite3.Error, ValueError."""
    database = sqlite3.connect(f"{pathlib.Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        database.execute("BEGIN")
        link = "SELECT hash FROM journal WHERE seq = ?"
        before = database.execute(link, (after,)).fetchone() if after else (chain.GENESIS,)
        if before is None:
            return after
        last = database.execute(link, (until,)).fetchone() or (chain.GENESIS,)
        text = f"SELECT {COLUMNS} FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq"  # noqa: S608 -- our own words
        return chain.verify_records(
            database.execute(text, (after, until)),
            after=journal.ChainHead(after, chain.to_digest(before[0])),
            head=journal.ChainHead(until, chain.to_digest(last[0])),
        )
    finally:
        database.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(first_bad(sys.argv[1], after=int(sys.argv[2]), until=int(sys.argv[3]))))
