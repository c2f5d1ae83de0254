"""The tables of a state folder, held against its journal without a server; and taken as they are by a person."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

from orchestrator.bootstrap import journals, signing, states, tables
from orchestrator.evidence import tables as accounts
from orchestrator.ports import environment, stores
from orchestrator.store import opening
from orchestrator.telemetry import clocks

_BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Report:
    """What an auditor's look found. ``compared``: rows that the journal tells of; None: nothing could be compared,
    and ``problems`` says why, but for a journal from before rows were stated."""

    compared: int | None
    problems: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether nothing is wrong."""
        return not (self.problems or self.differences)


def verify(folder: str, *, database: str | None = None) -> Report:
    """Hold every row against the journal, from its first entry on. A server may run meanwhile.

    Raises StateError, StoreError.
    """
    path = pathlib.Path(folder)
    key = tables.known_key(path)
    store = opening.open_store(database or str(path / states.DATABASE), clocks.SystemClock(), key=key or b"")
    try:
        if not store.entries(subject=accounts.SUBJECT, limit=1):
            return Report(None)
        if key is None:
            needs = f"tables: not possible: needs {tables.KEY}, which belongs to the database, in the state folder"
            return Report(None, (needs,))
        finding = tables.look(store, None, whole=True)
        rows = len(finding.account) if finding.account is not None else None
        return Report(rows, finding.problems, tuple(map(str, finding.differences)))
    finally:
        store.close()


def accept(folder: str, *, database: str | None = None, by: str, reason: str) -> tuple[str, ...]:
    """Take the tables as they are, and return what was accepted; empty: nothing was wrong.

    What differs is stated in an entry with person and reason. A signed head that the journal does not go on from is
    put aside: those who keep later ones see a fork, rightly. For a server that does not run.
    Raises StateError, StoreError, ValueError for what cannot be accepted.
    """
    path = pathlib.Path(folder)
    if database is None and not (path / states.DATABASE).exists():
        raise states.StateError(f"{path / states.DATABASE} does not exist: no server has kept its state here")
    lock = states.ServerLock(path)
    lock.take()
    try:
        key, clock = tables.key_of(path), clocks.SystemClock()
        store = opening.open_store(database or str(path / states.DATABASE), clock, alone=True, key=key.raw)
        try:
            heads = _heads_gone(path, store)
            taken = _rows(store, clock, tables.Memo(path, key.raw), heads, by=by, reason=reason)
            if heads:
                _put_aside(path, store.head().seq)
            return taken
        finally:
            store.close()
    finally:
        lock.release()


def _heads_gone(folder: pathlib.Path, store: stores.Store) -> tuple[str, ...]:
    """Return why the head that was signed last is not one of this journal."""
    note = signing.Shelf(folder).note()
    return tuple(journals.compare(store, [note])[0]) if note else ()


def _rows(
    store: stores.Store,
    clock: environment.Clock,
    memo: tables.Memo,
    heads: tuple[str, ...],
    *,
    by: str,
    reason: str,
) -> tuple[str, ...]:
    finding = tables.look(store, memo.read())
    if finding.account is None:
        raise ValueError(f"{finding.problems[-1]}: a journal cannot be accepted; restore the newest backup")
    if not (heads or finding.problems or finding.differences):
        return ()
    finding = tables.Finding((*heads, *finding.problems), finding.differences)
    tables.accept(store, clock, finding, by=by, reason=reason)
    again = tables.look(store, None)
    if again.account is None or again.problems or again.differences:
        raise ValueError(f"{again.sentences[0]}: this cannot be accepted; restore the newest backup")
    memo.keep(again.account)
    return (*finding.problems, *map(str, finding.differences))


def _put_aside(folder: pathlib.Path, entries: int) -> None:
    for name in (signing.NOTE, signing.TILES):
        if (folder / name).exists():
            (folder / name).replace(folder / f"{name}.{_BEFORE}-{entries}")
