"""The runner as a process: started, asked what isolation works, told to end. It is never waited for beyond its start.

``comity-runner`` detaches by itself, so that nothing of a job is a child of this process. The only child is the
starter, ``comity-runner --serve``: it forks a runner for each folder that it is sent, for a third of what it costs to
execute one from here, and ends when this process does. Runners go on without it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.local import attempts, errors

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner", "comity-runner")
_SAID_BYTES_MAX = 4096
_GOES_ON = (
    errors.RunnerStatus.RUNNING,
    errors.RunnerStatus.LOCKED,
    errors.RunnerStatus.STARTED_BEFORE,
    errors.RunnerStatus.CALLED_OFF,
)
"""Answers of one rank that are no news for the others."""
_lock = threading.Lock()
_probed: dict[str, Mapping[str, str]] = {}
_starters: dict[str, Starter] = {}


@dataclass(frozen=True, slots=True)
class Started:
    """How the start of one rank went: the runner's status (-1: it was killed before it said any) and what it said."""

    status: int
    said: str


_TITLE_ROOM = "-" * 240
"""A filler that each runner writes its folder over, so that ``ps`` says which attempt it is for."""


class Starter:
    """The process that forks runners. Requests are whole messages, so threads send without a lock.

    ``groups``: control groups that it moves into, and its runners with it.
    """

    def __init__(self, runner: str, groups: Sequence[str] = ()) -> None:
        self._process = -1
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0), _null(1, os.O_WRONLY), _null(2, os.O_WRONLY)]
            # The path is this package's own program; the environment is empty, so nothing of the server's leaks.
            kind = "--seat" if groups else "--serve"
            pid = os.posix_spawn(runner, [runner, kind, _TITLE_ROOM, *groups], {}, file_actions=actions)
            try:
                self._process = os.pidfd_open(pid)
            except ProcessLookupError:  # ended and reaped already
                pass

    def send(self, folder: bytes, answer: int) -> None:
        """Ask for a runner in a folder; the answer is written to a descriptor. Raises OSError where none listens."""
        socket.send_fds(self._socket, [folder], [answer], socket.MSG_NOSIGNAL)

    def reap(self) -> None:
        """Reap one that has ended. Closing is left to :meth:`__del__`: other threads may be sending."""
        if self._process < 0:
            return
        try:
            os.waitid(os.P_PIDFD, self._process, os.WEXITED)
        except ChildProcessError:  # another reaper in this process was faster
            pass

    def end(self) -> None:
        """End it once it has done what was asked for, and wait for that. For one that no other thread uses."""
        self._socket.close()
        self.reap()

    def __del__(self) -> None:
        """Let go of the process; it ends when nobody else holds the socket, and else goes on."""
        self._socket.close()
        if self._process >= 0:
            os.close(self._process)


def start(folders: Sequence[str], *, runner: str = RUNNER, seat: Starter | None = None) -> list[Started]:
    """Start a runner in each folder, all at once, and wait until each program was executed or could not be.

    ``seat``: a starter that is used for them where it lives, instead of the common one.

    The ranks of a gang wait for each other: where one cannot start, the others are told at once that none will.
    Raises BackendError ``local.runner-missing``, or ``local.machine-refused`` for those not even asked for; whatever
    was asked for before is then left to the caller, who finds it in the files.
    """
    pipes = []
    try:
        for folder in folders:
            pipes.append(request(folder, runner=runner, seat=seat))
    except OSError as error:
        if pipes:
            _call_off(folders[0])
        for pipe in pipes:
            _answer(pipe)
        raise _of_spawn(error, runner) from error
    return _answers(pipes, folders[0]) if len(pipes) > 1 else [_answer(pipe) for pipe in pipes]


def _answers(pipes: Sequence[int], folder: str) -> list[Started]:
    """Wait for all, in the order in which they come, and call the gang off at the first that cannot start."""
    found: dict[int, Started] = {}
    poll = select.poll()
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    while len(found) < len(pipes):
        for pipe, _ in poll.poll():
            poll.unregister(pipe)
            found[pipe] = _answer(pipe)
            if found[pipe].status not in _GOES_ON:
                _call_off(folder)
    return [found[pipe] for pipe in pipes]


def _call_off(folder: str) -> None:
    try:
        attempts.call_off(os.path.dirname(folder))
    except OSError:  # no disk: they call it off themselves when their time is up
        pass


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
            lines = _read(reader).decode("utf-8", "replace").splitlines()
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:  # another reaper in this process was faster
                pass
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


def request(folder: str, *, runner: str = RUNNER, seat: Starter | None = None) -> int:
    """Ask the starter for a runner, a new one where it was killed, and return the pipe that the answer comes by.

    Raises OSError. Whoever needs the answer uses :func:`start`.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        starter = seat or _starter(runner)
        try:
            starter.send(os.fsencode(folder), writer)
        except (BrokenPipeError, ConnectionResetError):
            _starter(runner, instead=starter).send(os.fsencode(folder), writer)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader


def _starter(runner: str, *, instead: Starter | None = None) -> Starter:
    """Return the starter of this process, made at first use, and anew where it is one that has ended."""
    found = _starters.get(runner)
    if found is not None and found is not instead:
        return found
    with _lock:
        found = _starters.get(runner)
        if found is None or found is instead:
            if found is not None:
                found.reap()
            found = _starters[runner] = Starter(runner)
        return found


def _forked() -> None:
    """Leave the starter to the parent: this process may be another user by the time it starts something."""
    global _lock
    _lock = threading.Lock()
    _starters.clear()


os.register_at_fork(after_in_child=_forked)


def _null(descriptor: int, flags: int) -> tuple[int, int, str, int, int]:
    return (os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", flags, 0)


def _answer(pipe: int) -> Started:
    """Wait until a runner says how the start went: a line with the status, and in words what failed."""
    status, _, said = _read(pipe).decode("utf-8", "replace").partition("\n")
    return Started(int(status) if status.isdecimal() else -1, said.strip())


def _read(pipe: int) -> bytes:
    """Read all that is said, and close."""
    said = b""
    try:
        while len(said) < _SAID_BYTES_MAX and (piece := os.read(pipe, _SAID_BYTES_MAX)):
            said += piece
    finally:
        os.close(pipe)
    return said


def _of_spawn(error: OSError, runner: str) -> Exception:
    if isinstance(error, FileNotFoundError | PermissionError):
        return errors.refused(
            "runner-missing",
            f"the job runner is not at {runner}: install Comity from a wheel, or with a C compiler from its sources "
            "(pip install .)",
        )
    return errors.of_os(error, "the job runner cannot be started")
