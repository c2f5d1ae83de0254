"""What lies in the shared folder: one folder an attempt, made by its script as a claim, and notes of this server.

``KEY/`` exists: a script took the claim, or this server did so that none will. ``KEY/work``: a script goes on.
``KEY/end``: how it ended.
``KEY.stopped``: we asked for its end. Jobs write here: nothing is read through a link, and only plain files.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from backends.slurm import errors

_END = re.compile(rb"ended ([0-9]{1,3})\n", re.ASCII)


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended. ``after_stop``: we had asked for it by then, by the file system's own clock."""

    code: int
    at_s: float
    after_stop: bool


class Folder:
    """The shared folder. Every call raises TransientError ``slurm.folder`` where it cannot be used."""

    def __init__(self, path: str) -> None:
        self._path = path

    def begun(self, key: str) -> bool:
        """Say whether a script has taken the claim and gone on: after a noted stop none goes on any more."""
        return self._look(f"{key}/work") is not None

    def stopped(self, key: str) -> bool:
        """Say whether we asked for its end."""
        return self._look(f"{key}.stopped") is not None

    def note_stop(self, key: str) -> None:
        """Keep that its end was asked for; again is fine."""
        with self._usable(), contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(f"{self._path}/{key}.stopped", flags, 0o644))

    def claim(self, key: str) -> bool:
        """Take the claim so that no script begins; False where it is taken."""
        with self._usable():
            try:
                os.mkdir(f"{self._path}/{key}", 0o755)
            except FileExistsError:
                return False
            return True

    def end(self, key: str) -> End | None:
        """Return how an attempt ended; None where no end is written, or what stands there is none."""
        found = self._read(key, "end", 0, 64)
        told = _END.fullmatch(found[0]) if found else None
        if found is None or told is None or int(told[1]) > 255:
            return None
        note = self._look(f"{key}.stopped")
        made = found[1]
        return End(int(told[1]), made.st_mtime, note is not None and note.st_mtime_ns <= made.st_mtime_ns)

    def log(self, key: str, place: int, limit: int) -> bytes:
        """Return what stands in the log from ``place``."""
        found = self._read(key, "log", place, limit)
        return found[0] if found else b""

    def remove(self, key: str) -> None:
        """Remove what is left of an attempt."""
        with self._usable():
            shutil.rmtree(f"{self._path}/{key}", ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}/{key}.stopped")

    def check(self) -> None:
        """Raise where the folder is not there."""
        with self._usable():
            os.stat(f"{self._path}/.")

    def _look(self, name: str) -> os.stat_result | None:
        self.check()  # a file system that is not mounted must not look like an attempt that never began
        with self._usable():
            try:
                return os.lstat(f"{self._path}/{name}")
            except FileNotFoundError:
                return None

    def _read(self, key: str, name: str, place: int, limit: int) -> tuple[bytes, os.stat_result] | None:
        self.check()
        try:
            root = os.open(f"{self._path}/{key}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
        except OSError:
            return None
        finally:
            os.close(root)
        try:
            about = os.fstat(file)
            return (os.pread(file, limit, place), about) if stat.S_ISREG(about.st_mode) else None
        except OSError:
            return None
        finally:
            os.close(file)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise errors.elsewhere("folder", f"the shared folder cannot be used: {error.strerror}") from error
