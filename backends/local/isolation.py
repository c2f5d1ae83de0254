"""What jobs are kept from, and what they must be given back: decided once an adapter, from settings and machine.

With namespaces a job sees the host's files but not the folders named here: the control plane's state, other jobs,
root's home. What it cannot do without and what lies in there (the interpreter, its data) is revealed again, read-only.
With a user of its own only the permissions of files stand between.
"""

from __future__ import annotations

import enum
import os
import pwd
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.local import client, errors
from backends.local import settings as schema

_BY_MOUNTS = ("setuid", "ipc", "mount", "dev", "pid")
_PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 -- named because each job gets its own in their place


class Level(enum.Enum):
    """What is in force."""

    NAMESPACES = "namespaces"
    USER = "user"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ground:
    """What every job of one adapter gets. ``hidden`` are masks that nothing may be revealed from but the job's own.

    ``masks`` are all of them; ``reveals`` come back read-only; ``missing`` says what a job will lack.
    """

    level: Level
    uid: int | None = None
    gid: int | None = None
    hidden: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    reveals: tuple[str, ...] = ()
    detail: str = ""

    @property
    def owner(self) -> tuple[int, int] | None:
        """Return user and group of what a job may change; None: the server's own."""
        return None if self.uid is None or self.gid is None else (self.uid, self.gid)


def ground(settings: schema.LocalSettings, hidden: Iterable[str]) -> Ground:
    """Return what is in force. Raises PermanentError ``local.isolation-unavailable``: a named level is kept."""
    level, why = _level(settings.isolation, client.probe())
    if level is Level.NONE:
        text = "jobs run as the server's own user and can read all that it can, the administrator's token included"
        return Ground(level, detail=f"isolation none ({why}): {text}; takes its owner's jobs only")
    uid, gid = settings.run_as.uid, settings.run_as.gid
    if level is Level.USER:
        text = f"jobs run as uid {uid} and see all that it may read; they are not hidden from each other"
        shut = [path for path in _folders([sys.prefix, sys.base_prefix]) if _closed_ancestor(f"{path}/bin", uid, gid)]
        if shut:
            text += f"; they cannot use python of {', '.join(shut)}, which this user may not enter"
        return Ground(level, uid, gid, detail=f"isolation user ({why}): {text}")
    own = _folders([*hidden, *settings.hide])
    masks = [*own, *_folders([_home(0), _home(os.geteuid()), os.environ.get("HOME", "")])]
    reveals = []
    for path in _folders([sys.prefix, sys.base_prefix]):
        closed = _closed_ancestor(path, uid, gid)
        if closed is not None and not within(closed, masks):
            masks.append(closed)
        if within(path, [*masks, *_PRIVATE]):
            reveals.append(path)
    bad = [path for path in reveals if any(within(mask, [path]) for mask in masks) or within(path, own)]
    reveals = sorted({path for path in reveals if path not in bad})
    detail = f"isolation namespaces, uid {uid}"
    if bad:
        detail += f"; python of {', '.join(bad)} is hidden from jobs, because the state folder is in or around it"
    return Ground(level, uid, gid, tuple(own), tuple(dict.fromkeys(masks)), tuple(reveals), detail)


def data_reveals(ground: Ground, paths: Iterable[str]) -> tuple[str, ...]:
    """Return which of these paths must be revealed to be seen. Raises PermanentError ``local.data-hidden``."""
    if ground.level is not Level.NAMESPACES:
        return ()
    found = []
    for path in paths:
        real = os.path.realpath(path)
        if within(real, ground.hidden) or any(within(mask, [real]) for mask in ground.hidden):
            raise errors.refused("data-hidden", f"data at {path} lies in or around a folder that jobs must not see")
        covered = within(real, [*ground.masks, *_PRIVATE])
        if covered and not within(real, ground.reveals) and os.path.exists(real):
            found.append(real)
    return tuple(dict.fromkeys(found))


def groups(nodes: Sequence[str]) -> tuple[int, ...]:
    """Return the groups that a job needs to open these device nodes."""
    found = set()
    for path in nodes:
        try:
            info = os.stat(path)
        except OSError:
            continue
        if info.st_mode & 0o006 != 0o006 and info.st_mode & 0o060 == 0o060 and info.st_gid != 0:
            found.add(info.st_gid)
    return tuple(sorted(found))


def within(path: str, folders: Iterable[str]) -> bool:
    """Say whether a path is one of the folders, or lies below one."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _level(wanted: schema.Isolation, works: Mapping[str, str]) -> tuple[Level, str]:
    """Return the level in force, and why it is not a stronger one."""
    lacking = [f"{name}: {works.get(name, 'unknown')}" for name in _BY_MOUNTS if works.get(name) != "ok"]
    strongest = Level.NAMESPACES
    if lacking:
        strongest = Level.USER if works.get("setuid") == "ok" else Level.NONE
    why = ", ".join(lacking)
    if os.geteuid() != 0 and strongest is Level.NONE:
        why = "the server is not root"
    if wanted is schema.Isolation.AUTO:
        return strongest, why
    asked = Level(wanted.value)
    order = [Level.NONE, Level.USER, Level.NAMESPACES]
    if order.index(asked) > order.index(strongest):
        raise errors.refused(
            "isolation-unavailable",
            f"the settings ask for isolation {asked.value}, this machine offers {strongest.value} ({why}); run the "
            "server as root on Linux 5.12 or newer, or ask for less",
        )
    return asked, "as set"


def _folders(paths: Iterable[str]) -> list[str]:
    """Return the real paths of those that are folders other than the root, without repetition."""
    real = [os.path.realpath(path) for path in paths if path]
    return list(dict.fromkeys(path for path in real if path != "/" and os.path.isdir(path)))


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""


def _closed_ancestor(path: str, uid: int, gid: int) -> str | None:
    """Return the uppermost folder on the way to ``path`` (itself not) that this user may not pass."""
    at = ""
    for part in path.split("/")[1:-1]:
        at += f"/{part}"
        info = os.stat(at)
        bit = stat.S_IXUSR if info.st_uid == uid else stat.S_IXGRP if info.st_gid == gid else stat.S_IXOTH
        if not info.st_mode & bit:
            return at
    return None
