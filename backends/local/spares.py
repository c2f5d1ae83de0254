"""Folders of attempts made in advance: to make them takes longer than to fill them, and a job waits for both.

A spare is complete but for what its attempt will say, and lies beside the attempts under a temporary name. It is a
convenience only: one that is gone, or was never made, is made when it is needed.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading

from backends.local import attempts, workspaces

Owner = tuple[int, int] | None
"""User and group of what a job may change; None: the server's own."""
_ROOM = 2


def make(store: attempts.Attempts, key: str, ranks: int, *, work: bool, owner: Owner, link: bool) -> str:
    """Make a folder under a temporary name, with everything that is empty at first, and return where it is.

    ``work``: with the working folders; ``link``: with a ``bin`` that names our interpreter. Raises OSError.
    """
    path = store.temporary(key)
    try:
        attempts.write(f"{path}/attempt.json", b"")
        for rank in range(ranks):
            os.mkdir(f"{path}/{rank}", 0o700)
            for name in ("spec", "lock", "log"):
                attempts.write(f"{path}/{rank}/{name}", b"")
        if work:
            workspace(f"{path}/w", ranks, owner=owner, link=link)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def workspace(path: str, ranks: int, *, owner: Owner, link: bool) -> None:
    """Make the folders in which an attempt works, empty. Raises OSError."""
    workspaces.make(path, ranks, owner=owner)
    if link:
        os.mkdir(f"{path}/bin", 0o755)
        os.symlink(sys.executable, f"{path}/bin/python")


class Spares:
    """A few spares of one rank, for one adapter. Thread-safe."""

    def __init__(self, store: attempts.Attempts, *, owner: Owner, link: bool) -> None:
        self._store = store
        self._owner = owner
        self._link = link
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._kept: list[str] = []
        self._closed = False

    def take(self) -> str | None:
        """Return a spare that is the caller's from now on; None where there is none."""
        with self._lock:
            path = self._kept.pop() if self._kept else None
        return path if path is not None and os.path.isdir(path) else None

    def refill(self) -> None:
        """Make what is missing. Called when nobody waits; failing costs only time later."""
        if not self._making.acquire(blocking=False):
            return  # somebody is at it; in a crowd each makes its own, and nothing for others
        try:
            self._refill()
        except OSError:
            pass
        finally:
            self._making.release()

    def _refill(self) -> None:
        with self._lock:
            missing = 0 if self._closed else _ROOM - len(self._kept)
        for _ in range(missing):
            path = make(self._store, attempts.SPARE, 1, work=True, owner=self._owner, link=self._link)
            with self._lock:
                if not self._closed:
                    self._kept.append(path)
                    continue
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove them, and make no more."""
        with self._lock:
            self._closed, kept, self._kept = True, self._kept, []
        for path in kept:
            shutil.rmtree(path, ignore_errors=True)
