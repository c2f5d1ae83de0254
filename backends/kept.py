"""Outputs in a folder that a backend shares with this server, listed and read without ever following a link: jobs can
write there. For every adapter that has such a folder.

``root`` is the operator's; ``below`` it is the attempt's own, and none of its parts may be a link either.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence

from orchestrator.domain import errors as port_errors
from orchestrator.domain import executions, offers

DIGEST_BYTES_MAX = 64 * 2**20
"""Of one attempt, read when its end is told: more would hold up the call."""
_CHUNK_BYTES = 256 * 1024
_FILES_MAX = 20_000
_DEPTH_MAX = 64
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def files(root: str, below: str = "") -> Sequence[tuple[str, int]]:
    """Return (path, size in bytes) of every plain file kept, in order of path; none where the folder is not there."""
    try:
        fd = _open(root, below, folder=True) if below else os.open(root, _FLAGS | os.O_DIRECTORY)
    except OSError:
        return ()
    found: list[tuple[str, int]] = []
    try:
        for folder, folders, names, at in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
            where = folder.removeprefix(".").strip("/")
            if where.count("/") >= _DEPTH_MAX:
                folders.clear()
            for name in names:
                try:
                    info = os.stat(name, dir_fd=at, follow_symlinks=False)
                    path = f"{where}/{name}".lstrip("/").encode().decode()
                except (OSError, UnicodeError):
                    continue
                if _kept(info):
                    found.append((path, info.st_size))
                if len(found) >= _FILES_MAX:
                    return sorted(found)
    finally:
        os.close(fd)
    return sorted(found)


def digests(root: str, below: str = "") -> tuple[offers.OutputFile, ...] | None:
    """Return every file kept, with its SHA-256 as far as ``DIGEST_BYTES_MAX`` lasts; None where there are too many."""
    listed = files(root, below)
    if len(listed) > executions.OUTPUTS_MAX:
        return None
    left, made = DIGEST_BYTES_MAX, []
    for path, size in listed:
        digest = _digest(root, path, size, below) if size <= left else None
        left -= size if size <= left else 0
        made.append(offers.OutputFile(path, size, digest))
    return tuple(made)


def _digest(root: str, path: str, size: int, below: str) -> str | None:
    made, seen = hashlib.sha256(), 0
    try:
        for piece in read(root, path, below):
            seen += len(piece)
            if seen > size:
                return None  # it still grows: whatever is read now is not what was left
            made.update(piece)
    except (OSError, port_errors.PermanentError):
        return None
    return f"sha256:{made.hexdigest()}" if seen == size else None


def read(root: str, path: str, below: str = "") -> Iterator[bytes]:
    """Open one file now and yield its bytes; raises PermanentError ``outputs.not-found``."""
    try:
        _parts(path)
        fd = _open(root, f"{below}/{path}" if below else path)
    except (OSError, ValueError) as error:
        raise _not_found(path) from error
    if not _kept(os.fstat(fd)):
        os.close(fd)
        raise _not_found(path)
    return _pieces(fd)


def remove(root: str) -> None:
    """Remove what was kept; what is not there is fine."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(f"{root}.part", ignore_errors=True)


def _not_found(path: str) -> port_errors.PermanentError:
    return port_errors.PermanentError("outputs.not-found", f"this attempt keeps no file {path[:200]!r}")


def _pieces(fd: int) -> Iterator[bytes]:
    with os.fdopen(fd, "rb", buffering=0) as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _parts(path: str) -> list[str]:
    """Return the parts of a relative path. Raises FileNotFoundError for one that leads out, or nowhere."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.startswith("/") or "\0" in path or len(parts) > _DEPTH_MAX:
        raise FileNotFoundError(path)
    return parts


def _open(root: str, path: str, *, folder: bool = False) -> int:
    """Open what lies at a relative path, component by component. Raises OSError, also for a path that leads out."""
    parts = _parts(path)
    at = os.open(root, _FLAGS | os.O_DIRECTORY)
    for number, part in enumerate(parts):
        flags = _FLAGS if number == len(parts) - 1 and not folder else _FLAGS | os.O_DIRECTORY
        try:
            fd = os.open(part, flags, dir_fd=at)
        finally:
            os.close(at)
        at = fd
    return at


def _kept(info: os.stat_result) -> bool:
    """Say whether this is a plain file, and not a second name for somebody else's."""
    return stat.S_ISREG(info.st_mode) and info.st_nlink == 1
