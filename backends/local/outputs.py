"""Files that a job left: found, listed and read without ever following a link that the job planted.

An output ``path`` is looked for in ``COMITY_OUTPUT_DIR`` first, then in the working folder of each rank, lowest first.
What lies in ``COMITY_OUTPUT_DIR`` is kept whether declared or not. The job may still be running, and is not trusted:
each component is opened relative to the one before, links are refused, and so are hard links to files of others.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backends.local import attempts, errors
from orchestrator.domain import errors as port_errors
from orchestrator.domain import executions, offers

_CHUNK_BYTES = 256 * 1024
_FILES_MAX = 20_000
_DEPTH_MAX = 64
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def missing(attempt: attempts.Attempt) -> tuple[str, ...]:
    """Return the declared outputs that are nowhere."""
    return tuple(path for path in attempt.outputs if not any(_exists(root, path) for root in _roots(attempt)))


def files(attempt: attempts.Attempt) -> Sequence[tuple[str, int]]:
    """Return (path, size in bytes) of every file kept, in order of path."""
    found: dict[str, int] = {}
    roots = _roots(attempt)
    for number, root in enumerate(roots):
        for path in ("",) if number == 0 else attempt.outputs:
            for name, size in _walk(root, path, attempt.uid):
                found.setdefault(name, size)
                if len(found) >= _FILES_MAX:
                    return sorted(found.items())
    return sorted(found.items())


@dataclass(slots=True)
class Budget:
    """Bytes that one call may still read for digests."""

    left_bytes: int = 64 * 2**20


def digests(attempt: attempts.Attempt, budget: Budget) -> tuple[offers.OutputFile, ...] | None:
    """Return every file kept, each with its SHA-256 where the budget lasts; None where there are too many to list."""
    listed = files(attempt)
    if len(listed) > executions.OUTPUTS_MAX:
        return None
    return tuple(offers.OutputFile(path, size, _digest(attempt, path, size, budget)) for path, size in listed)


def _digest(attempt: attempts.Attempt, path: str, size: int, budget: Budget) -> str | None:
    if size > budget.left_bytes:
        return None
    budget.left_bytes -= size
    made, seen = hashlib.sha256(), 0
    try:
        for piece in read(attempt, path):
            seen += len(piece)
            if seen > size:
                return None  # it still grows: whatever is read now is not what was left
            made.update(piece)
    except (OSError, port_errors.PermanentError):
        return None
    return f"sha256:{made.hexdigest()}" if seen == size else None


def read(attempt: attempts.Attempt, path: str) -> Iterator[bytes]:
    """Open one file now and yield its bytes; raises PermanentError ``outputs.not-found``."""
    roots = _roots(attempt)
    declared = any(path == output or path.startswith(f"{output}/") for output in map(_plain, attempt.outputs))
    for root in roots if declared else roots[:1]:
        try:
            fd = _open(root, path)
        except OSError:
            continue
        if _kept(os.fstat(fd), attempt.uid):
            return _pieces(fd)
        os.close(fd)
    raise port_errors.PermanentError("outputs.not-found", f"this attempt keeps no file {path[:200]!r}")


def _pieces(fd: int) -> Iterator[bytes]:
    with os.fdopen(fd, "rb", buffering=0) as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _roots(attempt: attempts.Attempt) -> list[str]:
    if not attempt.workspace:
        return []
    return [f"{attempt.workspace}/out", *(f"{attempt.workspace}/{rank}" for rank in range(attempt.nodes))]


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _open(root: str, path: str) -> int:
    """Open what lies at a relative path, component by component. Raises OSError, also for a path that leads out."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or path.startswith("/") or "\0" in path or len(parts) > _DEPTH_MAX:
        raise FileNotFoundError(path)
    at = os.open(root, _FLAGS | os.O_DIRECTORY)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        try:
            fd = os.open(part, _FLAGS if last else _FLAGS | os.O_DIRECTORY, dir_fd=at)
        finally:
            os.close(at)
        at = fd
    return at


def _exists(root: str, path: str) -> bool:
    try:
        fd = _open(root, path)
    except OSError:
        return False
    found = os.fstat(fd).st_mode
    os.close(fd)
    return stat.S_ISREG(found) or stat.S_ISDIR(found)


def _kept(info: os.stat_result, uid: int | None) -> bool:
    """Say whether this is a plain file, and not a second name for one of somebody else's."""
    return stat.S_ISREG(info.st_mode) and (uid is None or info.st_nlink == 1 or info.st_uid == uid)


def _walk(root: str, path: str, uid: int | None) -> Iterator[tuple[str, int]]:
    """Yield the plain files at and below a path."""
    try:
        fd = _open(root, path)
    except OSError:
        return
    plain = _plain(path)
    info = os.fstat(fd)
    if not stat.S_ISDIR(info.st_mode):
        os.close(fd)
        if _kept(info, uid):
            yield plain, info.st_size
        return
    try:
        for folder, folders, names, at in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
            below = _plain(f"{plain}/{folder}")
            if below.count("/") >= _DEPTH_MAX:
                folders.clear()
            for name in names:
                try:
                    found = os.stat(name, dir_fd=at, follow_symlinks=False)
                    text = name.encode().decode()
                except (OSError, UnicodeError):
                    continue
                if _kept(found, uid):
                    yield _plain(f"{below}/{text}"), found.st_size
    finally:
        os.close(fd)


def check_declared(paths: Sequence[str]) -> None:
    """Raise PermanentError ``local.output-refused`` for a path that does not stay inside."""
    for path in paths:
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "\0" in path or not _plain(path):
            raise errors.refused("output-refused", f"output {path[:200]!r} is not a path inside the working folder")
