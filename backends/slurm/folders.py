"""What attempts leave in the shared folder, read without ever following a link: jobs write there.

``KEY/`` is made by the script, which is its claim; ``KEY/job`` says which job of Slurm it is, ``KEY/log`` is the log,
``KEY/out`` are the files that it left, ``KEY/end`` is how it ended, in one line. ``KEY.stopped`` is made here: what
finds it does not begin.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from dataclasses import dataclass

from backends.slurm import errors

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_END = re.compile(
    r"(?P<word>exited|late|told|stopped|folder|unpack|begin|lacking|gang|lost) (?P<code>[0-9]{1,3})\n", re.ASCII
)
_JOB = re.compile(
    r"(?P<number>[0-9]{1,12}) (?P<limit>[0-9]{1,9}) (?P<grace>[0-9]{1,9})( (?P<nodes>[0-9]{1,5}))?\n", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Left:
    """What is to be seen of one attempt. Times in seconds since 1970, by the file system's clock."""

    claimed: bool = False
    stopped: bool = False
    stopped_s: float | None = None
    number: int | None = None
    """The job of Slurm that made the claim."""
    over_by_s: float | None = None
    """When its own limit has ended it, whatever Slurm says; None: it has none."""
    end: str = ""
    code: int = 0
    began_s: float | None = None
    ended_s: float | None = None
    nodes: int = 1
    said: str = ""
    """What srun said where a gang could not start, cut at 256 bytes."""
    lacking: str = ""
    """Names of declared outputs that it did not leave, cut at 256 bytes."""


class Folder:
    """The shared folder. Its errors are BackendErrors."""

    def __init__(self, root: str) -> None:
        self._root = root

    def look(self, key: str) -> Left:
        """Return what there is of an attempt."""
        root = self._open()
        try:
            stopped_s = _written_s(root, f"{key}.stopped")
            try:
                home = os.open(key, _FLAGS | os.O_DIRECTORY, dir_fd=root)
            except FileNotFoundError:
                return Left(stopped=stopped_s is not None, stopped_s=stopped_s)
            try:
                return _read(home, stopped_s)
            finally:
                os.close(home)
        except OSError as error:
            raise self._broken(error) from error
        finally:
            os.close(root)

    def mark_stopped(self, key: str, grace_s: int) -> None:
        """Note, durably, that an attempt must not begin any more, and how long it has if it did."""
        root = self._open()
        try:
            with contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                fd = os.open(f"{key}.stopped", flags, 0o644, dir_fd=root)
                try:
                    os.fchmod(fd, 0o644)  # whatever our umask: the script must see it
                    os.write(fd, b"%d\n" % grace_s)
                    os.fsync(fd)
                finally:
                    os.close(fd)
            os.fsync(root)
        except OSError as error:
            raise self._broken(error) from error
        finally:
            os.close(root)

    def log(self, key: str, place: int, limit: int, rank: int | None = None) -> bytes | None:
        """Return at most ``limit`` bytes of a log from ``place``; None where the attempt has no folder.

        :param rank: of a gang, whose nodes have a log each; None: of an attempt on one node.
        """
        root = self._open()
        try:
            try:
                home = os.open(key, _FLAGS | os.O_DIRECTORY, dir_fd=root)
            except FileNotFoundError:
                return None
            try:
                fd = _log(home, rank)
            except FileNotFoundError:
                return b""
            finally:
                os.close(home)
            try:
                return os.pread(fd, limit, place) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            finally:
                os.close(fd)
        except OSError as error:
            raise self._broken(error) from error
        finally:
            os.close(root)

    def remove(self, key: str) -> None:
        """Remove what is left of an attempt that is over; what is not there is fine."""
        shutil.rmtree(f"{self._root}/{key}", ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(f"{self._root}/{key}.stopped")

    def _open(self) -> int:
        try:
            return os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError) -> Exception:
        return errors.elsewhere(
            "folder", f"settings.folder {self._root} cannot be used by this server: {error.strerror or error}"
        )


def _log(home: int, rank: int | None) -> int:
    if rank is None:
        return os.open("log", _FLAGS, dir_fd=home)
    inner = os.open(str(rank), _FLAGS | os.O_DIRECTORY, dir_fd=home)
    try:
        return os.open("log", _FLAGS, dir_fd=inner)
    finally:
        os.close(inner)


def _written_s(root: int, name: str) -> float | None:
    try:
        return os.stat(name, dir_fd=root, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return None


def _read(home: int, stopped_s: float | None) -> Left:
    began, ended = _line(home, "job"), _line(home, "end")
    job = _JOB.fullmatch(began[0]) if began else None
    end = _END.fullmatch(ended[0]) if ended else None
    over_by_s = None
    if began and job and int(job["limit"]):
        over_by_s = began[1] + int(job["limit"]) + int(job["grace"])
    return Left(
        claimed=True,
        stopped=stopped_s is not None,
        stopped_s=stopped_s,
        number=int(job["number"]) if job else None,
        over_by_s=over_by_s,
        end=end["word"] if end else "",
        code=int(end["code"]) if end else 0,
        began_s=began[1] if began else None,
        ended_s=ended[1] if ended and end else None,
        nodes=int(job["nodes"] or 1) if job else 1,
        said=_said(home, "srun") if end and end["word"] in ("gang", "lost") else "",
        lacking=_said(home, "lacking") if end and end["word"] == "lacking" else "",
    )


def _said(home: int, name: str) -> str:
    found = _line(home, name)
    return errors.shown(found[0].replace("\n", ", ").removesuffix(", ")) if found else ""


def _line(home: int, name: str) -> tuple[str, float] | None:
    """Return a small file and when it was written; None where it is not there, or is no plain file."""
    try:
        fd = os.open(name, _FLAGS, dir_fd=home)
    except OSError:
        return None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            return None
        return os.read(fd, 256).decode("ascii", "replace"), info.st_mtime
    finally:
        os.close(fd)
