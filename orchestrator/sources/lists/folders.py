"""The folder that keeps lists: snapshots under their digests, and the pins that say which are in force.

    lists/pins.json              {"us-sdn": {"digest": ..., "previous": ..., "by": ..., "at": ...}}
    lists/us-sdn/<digest>.json   a snapshot

Every file is written whole beside its place and moved there. Reading never gives half a list: a snapshot that does
not match its pin is a problem that is named, and the last good copy counts instead (the one in memory, else the one
pinned before); without any the list is missing, and whoever needs it is refused.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain import ids, listings
from orchestrator.evidence import canonical
from orchestrator.sources.lists import base, catalogue, snapshots

FOLDER = "lists"
PINS = "pins.json"
SHRINK_MAX = 0.2
"""A copy that lost more than this part of its entries is not taken without being told to."""
FILE_MAX = 512 * 2**20
"""Largest stored snapshot; smaller than that of any file read."""
UNREADABLE = "pins"
"""Stands for all lists where the pins cannot be read: nobody knows which are in force."""


class FolderError(Exception):
    """The folder cannot be used as asked. The text says what and what to do."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Which snapshot of a list is in force, which was before, and who pinned it."""

    digest: ids.Digest
    previous: ids.Digest | None
    by: str
    at: dt.datetime


def take(
    state: Path,
    list_: str,
    raw: bytes,
    file: str,
    *,
    now: dt.datetime,
    by: str,
    as_of: dt.date | None = None,
    age_days_max: int = snapshots.AGE_DAYS,
    anyway: bool = False,
) -> listings.Snapshot:
    """Read a published file, keep it as a snapshot and pin it; returns the snapshot.

    ``as_of`` is a day on which somebody knows that the file was the current one; without it the day that the file
    states. ``anyway`` takes a copy that is older or much shorter than the one in force. Raises UnknownListError,
    ListError, FolderError.
    """
    source = catalogue.source(list_)
    form, parsed = catalogue.read(list_, raw, file)
    today = now.astimezone(dt.UTC).date()
    day = _as_of(parsed.published, as_of, today, file)
    if not 1 <= age_days_max <= snapshots.AGE_DAYS_MAX:
        raise FolderError(f"an age limit of {age_days_max} days; say 1 to {snapshots.AGE_DAYS_MAX}")
    made = snapshots.make(
        list_=list_,
        regime=source.regime,
        form=form,
        parsed=parsed,
        raw=raw,
        as_of=day,
        age_days_max=age_days_max,
    )
    digest, body = snapshots.encode(made)
    folder = state / FOLDER
    with _locked(folder):
        pins = read_pins(folder)
        old = pins.get(list_)
        if old is not None and not anyway:
            _compare(_kept(folder, list_, old), made, file)
        (folder / list_).mkdir(mode=0o700, exist_ok=True)
        _write(_path(folder, list_, digest), body)
        previous = old.previous if old and old.digest == digest else (old.digest if old else None)
        pins = {**pins, list_: Pin(digest, previous, by, now)}
        _write(folder / PINS, canonical.dumps({name: _pin_out(pin) for name, pin in pins.items()}))
        _sweep(folder, list_, pins[list_])
    return snapshots.decode(body, digest)


def load(state: Path, known: listings.Loaded | None = None) -> listings.Loaded:
    """Return the lists in force. ``known`` is what was in force until now: its good copies count where a newer fails.

    Never raises for what lies in the folder; what is wrong is in ``problems``.
    """
    folder = state / FOLDER
    before = {one.list: one for one in known.snapshots} if known else {}
    problems: list[listings.Problem] = []
    missing: list[str] = []
    found: list[listings.Snapshot] = []
    try:
        pins = read_pins(folder)
    except FolderError as error:
        kept = tuple(before.values())
        gone = () if kept else (UNREADABLE,)
        problem = listings.Problem(UNREADABLE, str(error), bool(kept))
        return listings.Loaded(kept, (problem,), gone)
    for name, pin in sorted(pins.items()):
        old = before.get(name)
        if old is not None and old.digest == pin.digest:
            found.append(old)
            continue
        try:
            found.append(read(folder, name, pin.digest))
            continue
        except FolderError as error:
            good = old or _earlier(folder, name, pin)
            problems.append(listings.Problem(name, str(error), good is not None))
        if good is None:
            missing.append(name)
        else:
            found.append(good)
    for name in sorted(set(before) - set(pins)):
        # A list never goes by itself: losing a file must not open a door.
        text = f"{folder / PINS}: {name} is not pinned any more; import it again, or start the server without it"
        problems.append(listings.Problem(name, text, True))
        found.append(before[name])
    found.sort(key=lambda one: one.list)
    return listings.Loaded(tuple(found), tuple(problems), tuple(missing))


def read(folder: Path, list_: str, digest: ids.Digest) -> listings.Snapshot:
    """Return one stored snapshot of a folder of lists. Raises FolderError."""
    path = _path(folder, list_, digest)
    try:
        snapshot = snapshots.decode(_read(path), digest)
    except snapshots.SnapshotError as error:
        raise FolderError(f"{path}: {error}; import the list again") from error
    if snapshot.list != list_:
        raise FolderError(f"{path}: it is a snapshot of {snapshot.list}; import the list again")
    return snapshot


def read_pins(folder: Path) -> Mapping[str, Pin]:
    """Return the pins of a folder of lists; none where there is none. Raises FolderError."""
    path = folder / PINS
    if not path.exists():
        return {}
    try:
        data = json.loads(_read(path))
        return {
            catalogue.source(name).id: Pin(
                _digest(pin["digest"]),
                None if pin["previous"] is None else _digest(pin["previous"]),
                str(pin["by"]),
                dt.datetime.fromisoformat(pin["at"]),
            )
            for name, pin in data.items()
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FolderError(f"{path}: the pins cannot be read: {error}; import the lists again") from error


def _as_of(published: dt.date | None, as_of: dt.date | None, today: dt.date, file: str) -> dt.date:
    day = as_of or published
    if day is None:
        remedy = "say with --as-of on which day you fetched it from the publisher"
        raise base.ListError(file, None, "the file does not state its day", remedy)
    if published is not None and day < published:
        raise base.ListError(file, None, f"it was published on {published}, after {day}", "correct --as-of")
    # Publishers east of us may be a day ahead; more is a wrong date, which would make a list fresh for too long.
    if day > today + dt.timedelta(days=1):
        raise base.ListError(file, None, f"it is dated {day}, and today is {today}", "check the clock and the file")
    return min(day, today)


def _compare(old: listings.Snapshot | None, new: listings.Snapshot, file: str) -> None:
    """Refuse a copy that is older or much shorter than the one in force."""
    if old is None:
        return
    remedy = "fetch it again, or say --anyway if it is right"
    if new.as_of < old.as_of:
        raise FolderError(f"{file}: of {new.as_of}, and the copy in force is of {old.as_of}; {remedy}")
    if len(new.entries) < (1 - SHRINK_MAX) * len(old.entries):
        counts = f"{len(new.entries)} entries, and the copy in force has {len(old.entries)}"
        raise FolderError(f"{file}: {counts}; {remedy}")


def _kept(folder: Path, list_: str, pin: Pin) -> listings.Snapshot | None:
    try:
        return read(folder, list_, pin.digest)
    except FolderError:
        return _earlier(folder, list_, pin)


def _earlier(folder: Path, list_: str, pin: Pin) -> listings.Snapshot | None:
    if pin.previous is None:
        return None
    try:
        return read(folder, list_, pin.previous)
    except FolderError:
        return None


def _sweep(folder: Path, list_: str, pin: Pin) -> None:
    """Remove snapshots that are neither in force nor the one before."""
    keep = {_path(folder, list_, digest).name for digest in (pin.digest, pin.previous) if digest}
    for path in (folder / list_).glob("*.json"):
        if path.name not in keep:
            path.unlink(missing_ok=True)


def _path(folder: Path, list_: str, digest: ids.Digest) -> Path:
    return folder / list_ / f"{digest.removeprefix('sha256:')}.json"


def _digest(text: str) -> ids.Digest:
    """Return a digest that may become a file's name. Raises ValueError."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError(f"{text[:80]!r} is no digest")
    return ids.Digest(text)


def _pin_out(pin: Pin) -> dict[str, Any]:
    return {"digest": pin.digest, "previous": pin.previous, "by": pin.by, "at": pin.at.isoformat()}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(FILE_MAX + 1)
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror or error}") from error
    if len(body) > FILE_MAX:
        raise FolderError(f"{path}: longer than {FILE_MAX} bytes")
    return body


def _write(path: Path, body: bytes) -> None:
    """Write a file for its owner only, whole or not at all. Raises FolderError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against another import or answer; makes it where there is none. Raises FolderError."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror or error}") from error
