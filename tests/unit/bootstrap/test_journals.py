"""A long journal is checked in parts, and the parts find what the whole finds."""

import datetime as dt
import pathlib
import sqlite3

import pytest

from orchestrator.bootstrap import journals, states
from orchestrator.domain import journal
from orchestrator.ports import stores
from orchestrator.store import opening
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
