"""The state folder: ours alone, one server at a time, and the first administrator's token."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import stat
import threading

DATABASE = "comity.db"
ADMIN_TOKEN = "admin.token"  # noqa: S105 -- the name of a file
_LOCK = "server.lock"
_TRIES, _PAUSE_S = 40, 0.05
"""A child that a killed server forked, and that has not executed its program yet, holds the lock a moment longer."""


class StateError(Exception):
    """The state folder cannot be used; the message says why and what to do."""


def prepare(folder: pathlib.Path) -> None:
    """Make the folder, for its owner only; raises StateError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise StateError(f"the state folder {folder} cannot be made: {error.strerror}") from error
    if found.st_uid != os.geteuid():
        raise StateError(f"the state folder {folder} belongs to somebody else: name another with --state")
    if stat.S_IMODE(found.st_mode) & 0o077:
        try:
            folder.chmod(0o700)
        except OSError as error:
            raise StateError(f"others may read {folder}: chmod 700 {folder}") from error


class ServerLock:
    """Held as long as the process lives; the file says who holds it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._path = folder / _LOCK
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock; raises StateError that names the server that holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        pause = threading.Event().wait
        for tries_left in range(_TRIES, -1, -1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                written = os.pread(descriptor, 4096, 0)
                if tries_left and _is_dead(written):
                    pause(_PAUSE_S)
                    continue
                os.close(descriptor)
                raise StateError(
                    f"another server uses the state folder {self._path.parent}: {_holder(written)}; "
                    "stop it, or name another folder with --state"
                ) from error
        self._descriptor = descriptor
        self.write("")

    def write(self, address: str) -> None:
        """Say who we are and where we listen."""
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def release(self) -> None:
        """Let go; the file stays, because removing it could let two servers in."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def write_private(path: pathlib.Path, content: bytes) -> None:
    """Write a file that only its owner may read; whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)


def _is_dead(raw: bytes) -> bool:
    """Say whether the process that wrote this is gone."""
    try:
        os.kill(int(json.loads(raw)["pid"]), 0)
    except ProcessLookupError:
        return True
    except (ValueError, KeyError, TypeError, OSError):
        pass
    return False


def _holder(raw: bytes) -> str:
    try:
        found = json.loads(raw)
        address = found["address"] or "an address not known yet"
        return f"process {int(found['pid'])} at {address}"
    except (ValueError, KeyError, TypeError):
        return "a process that is starting"
