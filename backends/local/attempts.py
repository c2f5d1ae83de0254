"""Attempt folders: ``attempts/<key>`` holds one attempt, with a folder a rank for the runner (runner/PROTOCOL.md).

    attempts/<key>/attempt.json    what must outlive the process that submitted it (:class:`Attempt`)
                  /stopped         the fence of the whole attempt
                  /gang            whether the ranks of a gang go, decided once for all of them
                  /0/ 1/ ...       one a rank: spec, lock, started, log, stopped, exit
                  /w/              the workspace, unless it lies elsewhere: out/, 0/ 0.tmp/ 1/ 1.tmp/ ...

A folder gets its name in one step, complete. Everything here only reads and writes files; it starts nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import fcntl
import itertools
import json
import os
import re
import shutil
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import ids

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""
_ASK = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
SPARE = "spare"
"""Stands for the key in the name of a folder that is nobody's yet (:mod:`backends.local.spares`)."""
_KEY = re.compile(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?", re.ASCII)
_SPARE = re.compile(rf"\.new-{SPARE}-([0-9]+)-", re.ASCII)
_RECORD_BYTES_MAX = 64 * 1024
_META_BYTES_MAX = 4 * 2**20
_serial = itertools.count()


class RankState(enum.Enum):
    """What the files of one rank say."""

    FRESH = "fresh"
    """Never started; may be."""
    LIVE = "live"
    """A runner holds the lock."""
    ENDED = "ended"
    """``exit`` says how."""
    LOST = "lost"
    """Started, nobody holds the lock, and no record of an end."""
    FENCED = "fenced"
    """Stopped before it began, for good."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank as its files are now. ``pid`` is that of a live runner, 0 where it cannot be seen from here."""

    state: RankState
    pid: int = 0
    started: Mapping[str, str] = field(default_factory=dict)
    exit: Mapping[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Say whether nothing of it runs, nor ever will."""
        return self.state in (RankState.ENDED, RankState.LOST, RankState.FENCED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is remembered of an attempt besides what its runners write. Amounts are of all ranks together."""

    key: str
    job: str = ""
    pool: str = ""
    nodes: int = 1
    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: int = 0
    devices: tuple[str, ...] = ()
    """Ids of the devices that it holds, in the order of the ranks."""
    outputs: tuple[str, ...] = ()
    workspace: str = ""
    port: int = 0
    uid: int | None = None
    cgroups: tuple[str, ...] = ()
    """The control groups of each rank, equally many, rank by rank; none where nothing is enforced by them."""
    path: str = ""
    """The job's ``PATH``, for saying where its command was looked for."""
    command: str = ""

    def groups(self, rank: int) -> tuple[str, ...]:
        """Return the control groups of one rank."""
        each = len(self.cgroups) // max(self.nodes, 1)
        return self.cgroups[rank * each : (rank + 1) * each]


_FIELDS = tuple(each.name for each in dataclasses.fields(Attempt))
_encoder = json.JSONEncoder(separators=(",", ":"))


class Attempts:
    """The attempts below one folder. Holds no state: whoever comes next reads the same."""

    def __init__(self, root: str) -> None:
        self.root = root

    def folder(self, key: str) -> str:
        """Return where an attempt lies. Raises ValueError for what cannot be a key."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key[:140]!r} is not the key of an attempt")
        return f"{self.root}/{key}"

    def keys(self) -> list[ids.AttemptKey]:
        """Return all attempts that have their name."""
        try:
            return [ids.AttemptKey(name) for name in os.listdir(self.root) if _KEY.fullmatch(name)]
        except FileNotFoundError:
            return []

    def temporary(self, key: str) -> str:
        """Make a folder in which an attempt is prepared."""
        path = f"{self.root}/.new-{key}-{os.getpid()}-{threading.get_ident()}-{next(_serial)}"
        os.mkdir(path, 0o700)
        return path

    def name(self, temporary: str, key: str) -> bool:
        """Give a prepared folder its name; False where there is one of that name already."""
        try:
            os.rename(temporary, self.folder(key))
        except OSError:
            if os.path.lexists(self.folder(key)):
                return False
            raise
        return True

    def read(self, key: str) -> Attempt | None:
        """Return what is remembered of an attempt; None where there is none.

        One that lost its record in a power cut, or was stopped before it came, is remembered by its key alone.
        """
        folder = self.folder(key)
        text = _read(f"{folder}/attempt.json", _META_BYTES_MAX)
        if not text:
            return self._bare(key) if os.path.isdir(folder) else None
        try:
            found = json.loads(text)
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
            return Attempt(**values)  # type: ignore[arg-type]  # JSON of our own; a TypeError is caught below
        except (ValueError, TypeError):
            return self._bare(key)

    def _bare(self, key: str) -> Attempt:
        return Attempt(key, nodes=sum(name.isdecimal() for name in os.listdir(self.folder(key))))

    def ranks(self, attempt: Attempt) -> tuple[Rank, ...]:
        """Return every rank as it is now."""
        folder = self.folder(attempt.key)
        return tuple(read_rank(f"{folder}/{rank}") for rank in range(attempt.nodes))

    def stopped(self, key: str) -> bool:
        """Say whether the attempt was told to end, or never to begin."""
        return os.path.lexists(f"{self.folder(key)}/stopped")

    def tombstone(self, key: str) -> bool:
        """Note that an attempt must never begin; False where there is one by now."""
        temporary = self.temporary(key)
        write(f"{temporary}/stopped", b"grace_ms=0\n")
        if self.name(temporary, key):
            return True
        shutil.rmtree(temporary, ignore_errors=True)
        return False

    def leftovers(self, before_s: float) -> Iterator[str]:
        """Yield folders that never got their name: those as old as this; spares once their process is gone."""
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith((".new-", ".gone-")):
                    spare = _SPARE.match(entry.name)
                    old = entry.stat(follow_symlinks=False).st_mtime < before_s
                    if old if spare is None else not os.path.exists(f"/proc/{spare[1]}"):
                        yield entry.path

    def hide(self, key: str) -> str | None:
        """Take an attempt out of sight, in one step, and return where it is now; None where there is none."""
        gone = f"{self.root}/.gone-{key}-{os.getpid()}-{threading.get_ident()}-{next(_serial)}"
        try:
            os.rename(self.folder(key), gone)
        except FileNotFoundError:
            return None
        return gone


def encode(attempt: Attempt, *, path: str) -> bytes:
    """Return the record of an attempt, as ``attempt.json`` holds it, with the job's ``PATH``."""
    return _encoder.encode({name: getattr(attempt, name) for name in _FIELDS} | {"path": path}).encode()


def read_rank(folder: str) -> Rank:
    """Return one rank as its files say.

    An ``exit`` is final whoever holds the lock. Where there is none, the lock is asked before ``exit`` is looked for
    again, because it is free only after the record is there.
    """
    if ended := _record(f"{folder}/exit"):
        return Rank(RankState.ENDED, 0, _record(f"{folder}/started"), ended)
    holder = lock_holder(folder)
    if holder is not None:
        return Rank(RankState.LIVE, holder, _record(f"{folder}/started"))
    if ended := _record(f"{folder}/exit"):
        return Rank(RankState.ENDED, 0, _record(f"{folder}/started"), ended)
    if os.path.lexists(f"{folder}/started"):
        return Rank(RankState.LOST, 0, _record(f"{folder}/started"))
    if os.path.lexists(f"{folder}/stopped"):
        return Rank(RankState.FENCED)
    return Rank(RankState.FRESH)


def lock_holder(folder: str) -> int | None:
    """Return the pid of the runner that holds the lock; None for nobody. Never takes the lock."""
    try:
        fd = os.open(f"{folder}/lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _ASK))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else max(int(pid), 0)


def write(path: str, content: bytes) -> None:
    """Write a new file that nobody reads before its folder has its name."""
    _pour(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), content)


def fill(path: str, content: bytes) -> None:
    """Write a file that is there, and empty, before its folder has its name."""
    _pour(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW), content)


def _pour(fd: int, content: bytes) -> None:
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def fence(folder: str, grace_ms: int) -> None:
    """Put ``stopped`` in place, whole."""
    temporary = f"{folder}/.stopped-{os.getpid()}-{threading.get_ident()}-{next(_serial)}"
    write(temporary, b"grace_ms=%d\n" % grace_ms)
    os.rename(temporary, f"{folder}/stopped")


def call_off(folder: str) -> None:
    """Decide that no rank of the attempt in this folder begins, unless it was decided before: see runner/gang.c."""
    temporary = f"{folder}/.gang-{os.getpid()}-{threading.get_ident()}-{next(_serial)}"
    write(temporary, b"off\n")
    try:
        os.link(temporary, f"{folder}/gang")
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def boot_id() -> str:
    """Return the id of this boot of the machine; "" where the kernel does not say."""
    return _read("/proc/sys/kernel/random/boot_id", 128).decode("ascii", "replace").strip()


def live_count(ranks: Sequence[Rank]) -> int:
    """Return how many ranks have a runner."""
    return sum(1 for rank in ranks if rank.state is RankState.LIVE)


def _read(path: str, bytes_max: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, bytes_max)
    finally:
        os.close(fd)


def _record(path: str) -> Mapping[str, str]:
    """Return the lines ``key=value`` of a file that the runner wrote; empty where it is missing or empty."""
    text = _read(path, _RECORD_BYTES_MAX).decode("utf-8", "replace")
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
