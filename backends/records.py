"""What must outlive the process: what was about to be created, which id it got, and which attempts were stopped.

For networks whose API has no idempotency key. An intent is written down before a thing is created; while the answer is
missing, and a late request could still be taken, nothing is created again under that key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator

from orchestrator.domain import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """An attempt that was, or may have been, created. ``cost_micro``: what was reserved for it; ``kept``: for that
    alone is it still here; ``mark``: by what else than its id it is known at the network.
    """

    intended_at: dt.datetime
    id: str | None = None
    cost_micro: int = 0
    kept: bool = False
    mark: str = ""

    @property
    def month(self) -> tuple[int, int]:
        """Return year and month in which it was to be created, UTC."""
        began = self.intended_at.astimezone(dt.UTC)
        return began.year, began.month


class Records:
    """The state folder of one backend. Safe to call from any thread: each change is one rename."""

    def __init__(self, folder: str, settle: dt.timedelta, failure: Callable[[str, str], errors.BackendError]) -> None:
        """Read nothing yet.

        :param settle: so long after an intent its request may still be taken.
        :param failure: makes the error of a code and a sentence.
        """
        self._settle, self._failure = settle, failure
        self._folder = pathlib.Path(folder)
        self._records = pathlib.Path(folder) / "created"
        self._stops = pathlib.Path(folder) / "stopped"

    def read(self, key: str) -> Record | None:
        """Return what is known of an attempt; None: nothing. Raises BackendError for what cannot be read."""
        try:
            return _record(self._path(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = f"what was written down of {key} cannot be read ({type(error).__name__}): nobody knows what was made"
            raise self._failure("state", text) from error

    def write(self, key: str, record: Record) -> None:
        """Keep what is known of an attempt, on disk when this returns."""
        self._records.mkdir(parents=True, exist_ok=True)
        fields = {"intendedAt": record.intended_at.isoformat(), "id": record.id, "costMicro": record.cost_micro}
        text = json.dumps(fields | {"kept": record.kept, "mark": record.mark})
        part = self._records / f".{key}.part"
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path(key))
        _sync(self._records)

    def remove(self, key: str) -> None:
        """Forget that an attempt was about to be created: it certainly was not."""
        self._path(key).unlink(missing_ok=True)

    def unsettled(self, key: str, now: dt.datetime) -> bool:
        """Say whether what has this key may still come to be without anybody sending anything."""
        known = self.read(key)
        return known is not None and known.id is None and abs(now - known.intended_at) < self._settle

    def forget(self, key: str) -> None:
        """Remove what is known of an attempt that is over; what it costs is kept for its month."""
        known = self.read(key)
        if known is not None and known.cost_micro:
            self.write(key, dataclasses.replace(known, kept=True))
        else:
            self.remove(key)
        (self._stops / key).unlink(missing_ok=True)

    def reserved_micro(self, month: tuple[int, int]) -> int:
        """Return what was reserved for all attempts begun in (year, month), UTC. Others that are kept for it go."""
        total = 0
        for path in self._records.glob("[!.]*") if self._records.is_dir() else ():
            known = self.read(path.name)
            if known is not None and known.month == month:
                total += known.cost_micro
            elif known is not None and known.kept:
                self.remove(path.name)
        return total

    def all(self) -> dict[str, Record]:
        """Return what is known of every attempt that is not kept for its cost alone, by key."""
        names = sorted(path.name for path in self._records.glob("[!.]*")) if self._records.is_dir() else []
        found = {name: self.read(name) for name in names}
        return {name: one for name, one in found.items() if one is not None and not one.kept}

    @contextlib.contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold the folder: no other thread, object or process creates anything meanwhile. False: another holds it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def is_stopped(self, key: str) -> bool:
        """Say whether this attempt was told to stop."""
        return (self._stops / key).exists()

    def stop(self, key: str) -> None:
        """Remember that this attempt was told to stop."""
        self._stops.mkdir(parents=True, exist_ok=True)
        (self._stops / key).touch()
        _sync(self._stops)

    def _path(self, key: str) -> pathlib.Path:
        return self._records / key


def _record(text: str) -> Record:
    found = json.loads(text)
    id = found["id"]
    return Record(
        dt.datetime.fromisoformat(found["intendedAt"]),
        id if isinstance(id, str) else None,
        int(found["costMicro"]),
        bool(found["kept"]),
        str(found["mark"]),
    )


def _sync(folder: pathlib.Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
