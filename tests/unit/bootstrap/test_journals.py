"""A long journal is checked in parts, and the parts find what the whole finds."""

import datetime as dt
import pathlib
import sqlite3

import pytest

from orchestrator.bootstrap import journals, states
from orchestrator.domain import journal
from orchestrator.ports import stores
from orchestrator.store import opening
from orchestrator.store.sql import parts, schema
from orchestrator.store.sql import stores as sql_stores
from orchestrator.telemetry import clocks

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
COUNT = 90


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Give a state folder with a journal."""
    store = opening.open_store(str(tmp_path / states.DATABASE), clocks.SystemClock())
    written = tuple(journal.Entry("job.accepted", f"job/{n}", AT, "controller", {"n": n}, "t") for n in range(COUNT))
    store.commit(stores.Changes(entries=written))
    store.close()
    return tmp_path


@pytest.mark.parametrize("bad", [None, 30, 61])
def test_parts_name_the_first_bad_entry(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bad: int | None) -> None:
    """Three processes, each with its part: a bad entry within, at, or after a seam is named as one reader names it."""
    if bad is not None:
        with sqlite3.connect(folder / states.DATABASE) as database:
            database.execute("update journal set actor = 'nobody' where seq >= ?", (bad,))
        database.close()
    whole = journals.verify(str(folder))
    monkeypatch.setattr(journals, "PART_MIN", COUNT // 3)
    monkeypatch.setattr(journals.os, "cpu_count", lambda: 3)
    parts = journals.verify(str(folder))
    assert (whole.first_bad, parts.first_bad, parts.entries) == (bad, bad, COUNT)


def test_a_lost_tail_is_seen_by_the_last_part(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head names an entry that is not there."""
    with sqlite3.connect(folder / states.DATABASE) as database:
        database.execute("delete from journal where seq > 80")
    database.close()
    monkeypatch.setattr(journals, "PART_MIN", COUNT // 2)
    monkeypatch.setattr(journals.os, "cpu_count", lambda: 2)
    assert journals.verify(str(folder)).first_bad == 81


@pytest.mark.parametrize("module", ["no.such.module", "this"])
def test_a_part_without_an_answer_is_checked_here(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """A process that cannot run, or says something else than a number, has not said that all is well."""
    with sqlite3.connect(folder / states.DATABASE) as database:
        database.execute("update journal set subject = 'job/x' where seq = 61")
    database.close()
    monkeypatch.setattr(journals, "PART_MIN", COUNT // 3)
    monkeypatch.setattr(journals.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(journals, "_PARTS", module)
    assert journals.verify(str(folder)).first_bad == 61


@pytest.mark.parametrize("seq", [1, 45, 46, 90])
@pytest.mark.parametrize("column", parts.COLUMNS.split(", "))
def test_parts_see_every_column(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, column: str, seq: int) -> None:
    """One value changed, of each column, in its type too: the processes themselves say so, at each side of a seam."""
    with sqlite3.connect(folder / states.DATABASE) as database:
        made = {"seq": "500", "prev": "zeroblob(32)", "hash": "zeroblob(32)"}.get(column, f"cast({column} as blob)")
        database.execute(f"update journal set {column} = {made} where seq = ?", (seq,))
    database.close()
    whole = journals.verify(str(folder)).first_bad
    found = [parts.first_bad(str(folder / states.DATABASE), after=at, until=at + 45) for at in (0, 45)]
    assert min(one for one in found if one is not None) == whole


def test_processes_answer_for_their_parts(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every process answers, only the head is left to this one."""
    asked: list[int] = []
    whole = sql_stores.SqlStore.verify_journal

    def counted(self: sql_stores.SqlStore, *, after: int = 0, until: int | None = None) -> int | None:
        asked.append(after)
        return whole(self, after=after, until=until)

    monkeypatch.setattr(sql_stores.SqlStore, "verify_journal", counted)
    monkeypatch.setattr(journals, "PART_MIN", COUNT // 2)
    monkeypatch.setattr(journals.os, "cpu_count", lambda: 2)
    assert (journals.verify(str(folder)).ok, asked) == (True, [COUNT - 1])


def test_parts_read_the_table_as_it_is() -> None:
    """The columns that a part's process names are those of the schema, in its order."""
    assert parts.COLUMNS.split(", ") == [column.name for column in schema.journal.columns]
