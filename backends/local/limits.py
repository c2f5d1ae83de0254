"""Control groups that hold the ranks of an attempt to the memory and the CPUs that it asked for.

Made for each rank before its runner is started and named in its ``spec``; the runner puts the job in, asks at the end
whether memory ran out, and removes them. They lie beside or below the server's own group, so that what holds for the
server's surroundings holds for jobs too. Needs root, and the controllers of version 1 or 2; version 1 has a group for
each of the two. CPUs are held by a quota of time; without groups the runner binds to whole CPUs (:class:`Cpus`).
"""

from __future__ import annotations

import contextlib
import enum
import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backends.local import errors
from backends.local import settings as schema

ACCOUNTED = "memory is accounted, not enforced"
HELD_MILLI = 100
"""Who asks for less than a tenth of a CPU is not held to it: an interpreter would take seconds only to start."""
SEAT = "seat"
"""Stands for the key in the names of groups that are nobody's yet (:mod:`backends.local.seats`)."""
_PERIOD_US = 100_000
_ESCAPE = re.compile(r"\\([0-7]{3})")
_PROBE_BYTES = 64 * 2**20
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Cpus(enum.Enum):
    """How jobs are held to the CPUs that they asked for, as the offer says it."""

    QUOTA = "quota"
    """Time, by a control group; fractions too."""
    AFFINITY = "affinity"
    """Whole CPUs that no other job of this machine is bound to; a job could undo it, and fractions are not held."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the groups of one backend are made.

    ``parent`` is "" where memory is accounted only, ``cpu_parent`` where no quota of CPU time can be had; ``detail``
    says what is in force, and why not more.
    """

    parent: str = ""
    cpu_parent: str = ""
    prefix: str = ""
    cpus: Cpus = Cpus.NONE
    detail: str = ""

    def paths(self, key: str, nodes: int, memory_bytes: int, cpu_milli: int) -> tuple[str, ...]:
        """Return the groups of each rank, rank by rank; none for a job that asks for nothing that is enforced."""
        wanted = []
        if self.parent and memory_bytes > 0:
            wanted.append(self.parent)
        if self.held_milli(cpu_milli) and self.cpu_parent not in wanted:
            wanted.append(self.cpu_parent)
        return tuple(f"{parent}/{self.prefix}-{key}-{rank}" for rank in range(nodes) for parent in wanted)

    def held_milli(self, cpu_milli: int) -> int:
        """Return the quota of one rank in thousandths of a CPU; 0: none."""
        return cpu_milli if self.cpus is Cpus.QUOTA and cpu_milli >= HELD_MILLI else 0

    def own_cpus(self, cpu_milli: int) -> int:
        """Return how many CPUs are to be one rank's alone; 0: it is not bound to any."""
        return -(-cpu_milli // 1000) if self.cpus is Cpus.AFFINITY and cpu_milli >= 1000 else 0


def limits(settings: schema.LocalSettings, state: str, *, declared_milli: int = 0, found_milli: int = 0) -> Limits:
    """Return what is in force. Raises PermanentError ``local.limits-unavailable`` where it is required and is not.

    ``declared_milli`` are the CPUs that the settings believe: nobody is held to a part of more than there are.
    """
    if settings.limits is schema.Limits.OFF:
        return Limits(detail=f"{ACCOUNTED} (as set); {_said(Cpus.NONE)} (as set)")
    # Several servers may share a machine, and the same key may come to each.
    prefix = f"comity-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    parent, why = _usable("memory", prefix, _PROBE_BYTES, 0)
    if not parent and settings.limits is schema.Limits.REQUIRED:
        raise errors.refused("limits-unavailable", f"the settings require that memory is enforced; {why}")
    memory = "" if parent else f"{ACCOUNTED} ({why}); "
    if declared_milli > found_milli:
        return Limits(parent, "", prefix, Cpus.NONE, f"{memory}{_said(Cpus.NONE)} (more are declared than there are)")
    cpu_parent, why = _usable("cpu", prefix, 0, 1000)
    cpus, more = (Cpus.QUOTA, "") if cpu_parent else (Cpus.AFFINITY, f" (whole CPUs only; {why})")
    return Limits(parent, cpu_parent, prefix, cpus, f"{memory}{_said(cpus)}{more}")


def _said(cpus: Cpus) -> str:
    return f"cpuEnforcement: {cpus.value}"


def _usable(controller: str, prefix: str, memory_bytes: int, cpu_milli: int) -> tuple[str, str]:
    """Return where groups of a controller can be made, "" for nowhere, and why not."""
    if os.geteuid() != 0:
        return "", "the server is not root"
    why = f"no {controller} controller of control groups is usable"
    for parent in parents(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup"), controller):
        try:
            _probe(f"{parent}/{prefix}-probe-{os.getpid()}", memory_bytes, cpu_milli)
        except OSError as error:
            why = f"{parent}: {error.strerror}"
            continue
        return parent, ""
    return "", why


def parents(mountinfo: str, own: str, controller: str = "memory") -> Iterator[str]:
    """Yield the folders in which groups of a controller may be made, best first.

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
        if kinds[0] == "cgroup" and controller in kinds[2].split(",") and controller in groups:
            yield _place(mount, root, groups[controller])
        elif kinds[0] == "cgroup2" and "" in groups:
            place = _place(mount, root, groups[""])
            yield place
            if place != mount:
                yield os.path.dirname(place)


def make(paths: Iterable[str], memory_bytes: int, cpu_milli: int) -> None:
    """Make groups of one rank with their limits, 0 being none; those that are there get them again. Raises OSError."""
    for path in paths:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)
        held = memory_bytes > 0 and _hold_memory(path, b"%d" % max(memory_bytes, _PAGE))
        held |= cpu_milli > 0 and _hold_cpus(path, cpu_milli * _PERIOD_US // 1000)
        if not held:  # a limit that would not hold is none
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _hold_memory(path: str, value: bytes) -> bool:
    if _write_if_there(f"{path}/memory.max", value):
        _write_if_there(f"{path}/memory.swap.max", b"0")
        return True
    # Swap is no memory that anybody has asked for. The file is missing where the kernel does not count it.
    there = _write_if_there(f"{path}/memory.limit_in_bytes", value)
    return there and (_write_if_there(f"{path}/memory.memsw.limit_in_bytes", value) or True)


def _hold_cpus(path: str, quota_us: int) -> bool:
    if _write_if_there(f"{path}/cpu.max", b"%d %d" % (quota_us, _PERIOD_US)):
        return True
    _write_if_there(f"{path}/cpu.cfs_period_us", b"%d" % _PERIOD_US)
    return _write_if_there(f"{path}/cpu.cfs_quota_us", b"%d" % quota_us)


def remove(paths: Iterable[str]) -> None:
    """Remove groups that their runners left, killed before they could; what is busy or gone is left alone."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _probe(path: str, memory_bytes: int, cpu_milli: int) -> None:
    try:
        make([path], memory_bytes, cpu_milli)
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


def _write_if_there(path: str, value: bytes) -> bool:
    """Write to a file; False where there is none, or none that can be used."""
    try:
        _write(path, value)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
            return False
        raise
    return True
