"""Lies of who brings sanctions lists: files taken into folders, as `comity policy lists import` does."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Callable
from typing import Any

from orchestrator.sources.lists import base, folders
from tests.attack import lies, stage

WHO = lies.Attacker.LISTS
SDN, CSV = "us-sdn.xml", "uk-sl.csv"


@lies.caught(WHO, "a list cut off in the middle", by="a list is taken as a whole or not at all")
def torn(found: stage.Stage) -> lies.Seen:
    """Take half of a file."""
    raw = (stage.LISTS / SDN).read_bytes()
    return _taken(lambda: stage.listed(_folder(found), SDN, raw[: len(raw) // 2]))


@lies.caught(WHO, "an entry taken out of a list that states its count", by="the publisher's own count")
def counted(found: stage.Stage) -> lies.Seen:
    """Take the last entry out and leave the count."""
    raw = (stage.LISTS / SDN).read_bytes()
    first, last = raw.rindex(b"<sdnEntry>"), raw.rindex(b"</sdnEntry>") + len(b"</sdnEntry>")
    return _taken(lambda: stage.listed(_folder(found), SDN, raw[:first] + raw[last:]))


@lies.caught(
    WHO, "a list cut off at the end of a row, much shorter than the one in force", by="not taken unsaid (--anyway)"
)
def shorter(found: stage.Stage) -> lies.Seen:
    """Take the whole list, then its first entry alone."""
    folder = _folder(found)
    stage.listed(folder, CSV)
    raw = b"".join((stage.LISTS / CSV).read_bytes().splitlines(keepends=True)[:4])
    return _taken(lambda: stage.listed(folder, CSV, raw))


@lies.caught(WHO, "an older list, from before somebody was listed", by="not taken unsaid (--anyway)")
def older(found: stage.Stage) -> lies.Seen:
    """Take yesterday's list after today's."""
    folder = _folder(found)
    stage.listed(folder, SDN)
    yesterday = stage.today() - dt.timedelta(days=1)
    raw = (stage.LISTS / SDN).read_bytes().replace(b"NORDKAP COMPUTE", b"SUNNY MEADOW")
    return _taken(lambda: stage.listed(folder, SDN, raw, as_of=yesterday))


@lies.caught(WHO, "another list's file under this list's name", by="the reader knows each publisher's format")
def swapped(found: stage.Stage) -> lies.Seen:
    """Bring a British list as the American one."""
    raw = (stage.LISTS / "uk-sl.xml").read_bytes()
    return _taken(lambda: stage.listed(_folder(found), SDN, raw))


@lies.caught(
    WHO,
    "a name changed in the copy that is kept in the state folder",
    by="the pin's digest; the last good copy stays in force",
)
def spoilt(found: stage.Stage) -> lies.Seen:
    """Change the file below its pin."""
    folder = _folder(found)
    made = stage.listed(folder, SDN)
    (path,) = (folder / "lists" / "us-sdn").glob("*.json")
    path.write_bytes(path.read_bytes().replace(b"NORDKAP", b"NORDKIP"))
    loaded = folders.load(folder)
    missing = made not in loaded.snapshots
    return lies.Seen(bool(loaded.problems) and missing, "the copy is not taken; the list is missing, which refuses")


@lies.missed(
    WHO,
    "a doctored file that looks whole: one name replaced by another",
    why="publishers do not sign their files",
    would="the digest of the file (`raw`) compared with somebody else's download",
)
def doctored(found: stage.Stage) -> lies.Seen:
    """Replace a name, keep the count and the dates."""
    raw = (stage.LISTS / SDN).read_bytes().replace(b"NORDKAP COMPUTE", b"SUNNY MEADOW")
    return _taken(lambda: stage.listed(_folder(found), SDN, raw))


@lies.missed(
    WHO,
    "vouches that a list of last month is still the current one (`--as-of`)",
    why="whoever imports says so, by name; it is in the pin and in every answer",
    would="importing from the publisher by two people",
)
def vouched(found: stage.Stage) -> lies.Seen:
    """Say that the old file was the current one today."""
    raw = (stage.LISTS / SDN).read_bytes().replace(b"11/20/2026", b"10/20/2026")
    return _taken(lambda: stage.listed(_folder(found), SDN, raw))


@lies.caught(WHO, "vouches for a day that has not come", by="days in the future are refused")
def future(found: stage.Stage) -> lies.Seen:
    """Say that it will be the current one in a year."""
    day = stage.today() + dt.timedelta(days=300)
    return _taken(lambda: stage.listed(_folder(found), SDN, as_of=day))


@lies.caught(WHO, "lets the lists in force grow old", by="sanctions.list-stale refuses new placements")
def aged(found: stage.Stage) -> lies.Seen:
    """Ask a server whose only list is of ten days ago."""
    name = found.strict.backend("old", "FR")
    return found.strict.judged(name).denied("sanctions.list-stale")


def _folder(found: stage.Stage) -> pathlib.Path:
    made = found.folder / found.new("lists")
    made.mkdir()
    return made


def _taken(take: Callable[[], Any]) -> lies.Seen:
    try:
        take()
    except (base.ListError, folders.FolderError) as error:
        return lies.Seen(True, f"not taken ({type(error).__name__})")
    return lies.Seen(False, "taken")
