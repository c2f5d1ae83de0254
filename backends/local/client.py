"""The runner as a process: started, asked what isolation works, told to end. It is never waited for beyond its start.

``comity-runner`` detaches by itself, so that nothing of a job is a child of this process.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.local import attempts, errors

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner", "comity-runner")
_SAID_BYTES_MAX = 4096
_lock = threading.Lock()
_probed: dict[str, Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Started:
    """How the start of one rank went: the runner's exit status (-1: it was killed) and what it said."""

    status: int
    said: str


def start(folders: Sequence[str], *, runner: str = RUNNER) -> list[Started]:
    """Start a runner in each folder, all at once, and wait until each program was executed or could not be.

    Raises BackendError ``local.runner-missing``, or ``local.machine-refused`` for those not even spawned; whatever
    was spawned before is then left to the caller, who finds it in the files.
    """
    spawned: list[tuple[int, int]] = []
    try:
        for folder in folders:
            spawned.append(_spawn([runner, folder]))
    except OSError as error:
        for pid, pipe in spawned:
            _wait(pid, pipe)
        raise _of_spawn(error, runner) from error
    return [_wait(pid, pipe) for pid, pipe in spawned]


def probe(*, runner: str = RUNNER) -> Mapping[str, str]:
    """Return what isolation works here, by name: ``ok``, or what failed. Asked once a process."""
    with _lock:
        if runner not in _probed:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            try:
                actions = [_null(0, os.O_RDONLY), (os.POSIX_SPAWN_DUP2, writer, 1), _null(2, os.O_WRONLY)]
                pid = os.posix_spawn(runner, [runner, "--probe"], {}, file_actions=actions)
            except OSError as error:
                os.close(reader)
                raise _of_spawn(error, runner) from error
            finally:
                os.close(writer)
            lines = _wait(pid, reader).said.splitlines()
            _probed[runner] = dict(line.split("=", 1) for line in lines if "=" in line)
        return _probed[runner]


def end(folder: str, grace_ms: int) -> None:
    """Tell one rank to end, or never to begin: the fence first, then the signal to whoever holds the lock."""
    attempts.fence(folder, grace_ms)
    if (runner := open_runner(folder)) is not None:
        try:
            signal.pidfd_send_signal(runner, signal.SIGTERM)
        except ProcessLookupError:
            pass
        finally:
            os.close(runner)


def open_runner(folder: str) -> int | None:
    """Return a descriptor of the live runner's process, of no other that got its pid; None where there is none."""
    pid = attempts.lock_holder(folder)
    if not pid:
        return None
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Asked again: a pid that was free for a moment belongs to somebody else by now.
    if attempts.lock_holder(folder) == pid:
        return process
    os.close(process)
    return None


def wait_gone(folder: str, timeout_s: float) -> bool:
    """Wait for a runner to be gone; return whether it is."""
    process = open_runner(folder)
    if process is None:
        return attempts.lock_holder(folder) is None
    try:
        return bool(select.select([process], [], [], timeout_s)[0])
    finally:
        os.close(process)


def _spawn(argv: list[str]) -> tuple[int, int]:
    """Return the pid, and the pipe that carries what it says on standard error."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [_null(0, os.O_RDONLY), _null(1, os.O_WRONLY), (os.POSIX_SPAWN_DUP2, writer, 2)]
        # The path is this package's own program; the environment is empty, so nothing of the server's leaks.
        return os.posix_spawn(argv[0], argv, {}, file_actions=actions), reader
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)


def _null(descriptor: int, flags: int) -> tuple[int, int, str, int, int]:
    return (os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", flags, 0)


def _wait(pid: int, pipe: int) -> Started:
    """Read all it says and take its status. Another reaper in this process may be faster; then the files tell."""
    said = b""
    try:
        while len(said) < _SAID_BYTES_MAX and (piece := os.read(pipe, _SAID_BYTES_MAX)):
            said += piece
    finally:
        os.close(pipe)
    text = said.decode("utf-8", "replace").strip()
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return Started(-1, text)
    return Started(os.waitstatus_to_exitcode(status) if not os.WIFSIGNALED(status) else -1, text)


def _of_spawn(error: OSError, runner: str) -> Exception:
    if isinstance(error, FileNotFoundError | PermissionError):
        return errors.refused(
            "runner-missing",
            f"the job runner is not at {runner}: install Comity from a wheel, or with a C compiler from its sources "
            "(pip install .)",
        )
    return errors.of_os(error, "the job runner cannot be started")
