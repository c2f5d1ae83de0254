"""Sees ends at once: one thread that is told by the kernel when a runner writes ``exit``.

Only a nudge: what is true is read from the files. A watch that cannot be had costs time, never truth.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Callable, Iterable

_MOVED_TO, _ONLY_FOLDERS, _IGNORED, _OVERFLOW = 0x80, 0x01000000, 0x8000, 0x4000
_CLOEXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_EVENT = struct.Struct("iIII")
"""``struct inotify_event`` without its name: watch, mask, cookie, length of the name."""
_BUFFER_BYTES = 64 * 1024


class Watcher:
    """Watches the folders of ranks with inotify. One descriptor, one daemon thread."""

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(_CLOEXEC | _NONBLOCK)
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._closed = self._inotify < 0
        if not self._closed:
            threading.Thread(target=self._serve, name="local-watch", daemon=True).start()

    def add(self, folders: Iterable[str]) -> None:
        """Watch the folders of ranks from now on."""
        with self._lock:
            if not self._closed:
                for folder in folders:
                    self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), _MOVED_TO | _ONLY_FOLDERS)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.eventfd_write(self._ended, 1)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while True:
            if any(fd == self._ended for fd, _ in poll.poll()):
                break
            try:
                if self._exits(os.read(self._inotify, _BUFFER_BYTES)):
                    self._nudge()
            except BlockingIOError:
                continue
        os.close(self._inotify)
        os.close(self._ended)

    def _exits(self, events: bytes) -> bool:
        """Say whether one of the events is an end, and stop watching what has ended."""
        at, found = 0, False
        while at + _EVENT.size <= len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, at)
            name = events[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            found = found or bool(mask & _OVERFLOW)  # events were lost: one of them may have been an end
            if name == b"exit":
                found = True
                if not mask & _IGNORED:
                    self._libc.inotify_rm_watch(self._inotify, watch)
        return found
