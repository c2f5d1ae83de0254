"""A folder as one archive with a name of its own content: the same files give the same bytes, hence the same digest.

Deterministic tar: sorted, owner and times of nobody, two modes (executable or not). Nothing outside the folder gets
in: a symbolic link is kept as a link where its target stays inside, and is an error where it does not; sockets, pipes
and devices are errors. Files are opened without following links, so a link swapped in meanwhile is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import stat
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.client import ignores

ARCHIVE_BYTES_MAX = 64 * 2**20
"""Largest archive of a working folder."""
ENTRIES_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Archive:
    """The bytes, and ``sha256:<hex>`` of them."""

    digest: str
    content: bytes = field(repr=False)
    entries: int = 0


class ArchiveError(Exception):
    """A folder cannot travel. The message names the entry and what to do."""


def pack(folder: pathlib.Path, patterns: Sequence[ignores.Pattern]) -> Archive:
    """Return the archive of ``folder`` without what ``patterns`` leave out. Raises ArchiveError, OSError."""
    if not folder.is_dir():
        raise ArchiveError(f"{folder} is not a folder")
    root = folder.resolve()
    names = _walk(root, patterns)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            _add(tar, root, name)
            if buffer.tell() > ARCHIVE_BYTES_MAX:
                raise ArchiveError(
                    f"{folder} is larger than {ARCHIVE_BYTES_MAX // 2**20} MiB; name an ignore file, or register "
                    "the data as a DataSet and read it from there"
                )
    content = buffer.getvalue()
    return Archive(f"sha256:{hashlib.sha256(content).hexdigest()}", content, len(names))


def _walk(root: pathlib.Path, patterns: Sequence[ignores.Pattern]) -> list[str]:
    """Return the relative names that travel, sorted; folders before what they hold."""
    names: list[str] = []
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(root / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                folder = entry.is_dir(follow_symlinks=False)
                if ignores.ignored(name, patterns, folder=folder):
                    continue
                names.append(name)
                if folder:
                    pending.append(name)
                if len(names) > ENTRIES_MAX:
                    raise ArchiveError(f"{root} holds more than {ENTRIES_MAX} entries; name an ignore file")
    return sorted(names)


def _add(tar: tarfile.TarFile, root: pathlib.Path, name: str) -> None:
    path = root / name
    found = path.lstat()
    member = tarfile.TarInfo(name)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ArchiveError(f"the name {name!a} is not UTF-8; rename it") from error
    if stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, _link(root, path, name)
        tar.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        content = _content(path, name)
        member.size, member.mode = len(content), 0o755 if found.st_mode & 0o100 else 0o644
        tar.addfile(member, io.BytesIO(content))
    else:
        raise ArchiveError(f"{name} is neither file, folder nor link; remove it or ignore it")


def _link(root: pathlib.Path, path: pathlib.Path, name: str) -> str:
    """Return a link's target if it stays inside ``root``."""
    target = str(path.readlink())
    if os.path.isabs(target):
        raise ArchiveError(f"{name} links to {target}, an absolute path; copy the file or ignore the link")
    inside = os.path.normpath(os.path.join(os.path.dirname(name), target))
    if inside == ".." or inside.startswith("../") or not path.resolve().is_relative_to(root):
        raise ArchiveError(f"{name} links to {target}, outside the folder; copy the file or ignore the link")
    return target


def _content(path: pathlib.Path, name: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ArchiveError(f"{name} changed while it was read; try again")
        content = file.read(ARCHIVE_BYTES_MAX + 1)
    if len(content) > ARCHIVE_BYTES_MAX:
        raise ArchiveError(f"{name} alone is larger than {ARCHIVE_BYTES_MAX // 2**20} MiB; register it as a DataSet")
    return content
