"""Control groups that hold the ranks of an attempt to the memory that it asked for.

One a rank, made before its runner is started and named in its ``spec``; the runner puts the job in, asks at the end
whether memory ran out, and removes it. They lie beside or below the server's own group, so that what holds for the
server's surroundings holds for jobs too. Needs root, and the memory controller of version 1 or 2.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backends.local import errors
from backends.local import settings as schema

ACCOUNTED = "memory is accounted, not enforced"
_ESCAPE = re.compile(r"\\([0-7]{3})")
_PROBE_BYTES = 64 * 2**20
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the groups of one backend are made. ``parent`` is "" where memory is accounted only, and ``detail`` why."""

    parent: str = ""
    prefix: str = ""
    detail: str = ""

    def paths(self, key: str, nodes: int, memory_bytes: int) -> tuple[str, ...]:
        """Return the group of each rank; none for a job that asks for no memory, or where nothing is enforced."""
        if not self.parent or memory_bytes <= 0:
            return ()
        return tuple(f"{self.parent}/{self.prefix}-{key}-{rank}" for rank in range(nodes))


def limits(settings: schema.LocalSettings, state: str) -> Limits:
    """Return what is in force. Raises PermanentError ``local.limits-unavailable`` where it is required and is not."""
    if settings.limits is schema.Limits.OFF:
        return Limits(detail=f"{ACCOUNTED} (as set)")
    why = "the server is not root" if os.geteuid() != 0 else "no memory controller of control groups is usable"
    if os.geteuid() == 0:
        # Several servers may share a machine, and the same key may come to each.
        prefix = f"comity-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
        for parent in parents(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup")):
            try:
                _probe(f"{parent}/{prefix}-probe-{os.getpid()}")
            except OSError as error:
                why = f"{parent}: {error.strerror}"
                continue
            return Limits(parent, prefix)
    if settings.limits is schema.Limits.REQUIRED:
        raise errors.refused("limits-unavailable", f"the settings require that memory is enforced; {why}")
    return Limits(detail=f"{ACCOUNTED} ({why})")


def parents(mountinfo: str, own: str) -> Iterator[str]:
    """Yield the folders in which groups may be made, best first.

    Version 1: the server's own group. Version 2 keeps processes out of groups that have limited ones below them, so
    that is the group around it, unless its own is the root.
    """
    groups = {}
    for line in own.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), path))
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or len(kinds) < 3 or not kinds[0].startswith("cgroup"):
            continue
        root, mount = _plain(fields[3]), _plain(fields[4])
        if kinds[0] == "cgroup" and "memory" in kinds[2].split(",") and "memory" in groups:
            yield _place(mount, root, groups["memory"])
        elif kinds[0] == "cgroup2" and "" in groups:
            place = _place(mount, root, groups[""])
            yield place
            if place != mount:
                yield os.path.dirname(place)


def make(paths: Iterable[str], bytes_each: int) -> None:
    """Make groups with their limit; those that are there get it again. Raises OSError."""
    for path in paths:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)
        value = b"%d" % max(bytes_each, _PAGE)
        try:
            _write(f"{path}/memory.max", value)
        except FileNotFoundError:
            _write(f"{path}/memory.limit_in_bytes", value)
            # Swap is no memory that anybody has asked for. The file is missing where the kernel does not count it.
            _write_if_there(f"{path}/memory.memsw.limit_in_bytes", value)
        else:
            _write_if_there(f"{path}/memory.swap.max", b"0")


def remove(paths: Iterable[str]) -> None:
    """Remove groups that their runners left, killed before they could; what is busy or gone is left alone."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _probe(path: str) -> None:
    try:
        make([path], _PROBE_BYTES)
        fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        os.close(fd)
    finally:
        remove([path])


def _place(mount: str, root: str, path: str) -> str:
    """Return where a group is seen: a mount may show a part of the hierarchy only, beginning at ``root``."""
    if root != "/" and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    found = f"{mount}{path}".rstrip("/")
    return found if ".." not in path.split("/") and os.path.isdir(found) else mount


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def _write_if_there(path: str, value: bytes) -> None:
    try:
        _write(path, value)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
            raise
