"""What the runner does with processes: who descends from whom, signals, ends."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KILL_ROUNDS = 500


def below(pid: int) -> set[int]:
    """Return the processes that descend from ``pid`` and have not ended."""
    parents: list[tuple[int, int]] = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 1 and fields[0] not in (b"Z", b"X"):
            parents.append((int(name), int(fields[1])))
    found: set[int] = {pid}
    while True:
        more = {child for child, parent in parents if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def send(pids: set[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def write(fd: int, data: bytes) -> None:
    """Write all of it, or as much as there is room for."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:
            return  # a full disk ends no job


def drain(fd: int) -> None:
    """Read what is there, and throw it away."""
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def code_of(status: int | None) -> int:
    """Return the exit code, or minus the signal, of a status of ``wait``."""
    if status is None:
        return 1
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def prctl(option: int, value: int) -> None:
    """Set one property of this process."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def leave(code: int) -> NoReturn:
    """End as the command did: by the same signal where it was one."""
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
