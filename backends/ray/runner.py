"""Runs on a node of Ray, between Ray's supervisor and a job's command; Linux, Python 3.9, the standard library alone.

Its source is sent as a package, so it imports nothing of Comity, and nobody there installs anything. It gives the
command a folder of its own, ends every descendant when the command ends or is stopped, holds time limit and size of the
log, and keeps outputs. It is two processes: the first is Ray's child and takes its signals; the second is in a session
of its own, does the work, and ends everything when the first is gone: Ray killed it, or the node's Ray died.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NoReturn

MANIFEST = "comity_manifest.json"
SELF = "comity_runner.py"
WORDS = {"output-missing": 123, "timed-out": 124, "setup-failed": 125, "not-executable": 126, "not-found": 127}
"""Why an attempt ended that did not end by itself: the word of its last line of log, and the exit code with it."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SETTLE_S = 0.05
_PREAMBLE_S = 2.0
_CHUNK_BYTES = 64 * 1024
_KILL_ROUNDS = 500


def begins(key: str) -> bytes:
    """Return the line after which the log is the command's own."""
    return b"comity: attempt " + key.encode() + b" begins\n"


class Refused(Exception):  # noqa: N818 -- a sentence, not a type of error
    """The attempt ends with a word of ``WORDS``."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word
        self.detail = detail


class Guard:
    """The second process: starts the command, and ends everything that came of it."""

    def __init__(self, options: dict[str, Any], command: Sequence[str]) -> None:
        self.options = options
        self.command = list(command)
        self.stopping = False
        self.folder: str | None = None
        self.written = 0
        self.main_pid = 0
        self.status: int | None = None
        self.wake, self._wake_end = os.pipe()

    def run(self) -> int:
        """Return the exit code, or minus the signal, of the attempt."""
        self._take_signals()
        try:
            _wait_for_ray(str(self.options["key"]), float(self.options.get("preamble_s", _PREAMBLE_S)))
            _write(1, begins(str(self.options["key"])))
            self._prepare()
            self._doze(_SETTLE_S)
            if self.stopping:
                return 128 + signal.SIGTERM
            return self._supervise()
        except Refused as refused:
            _write(1, f"comity: {refused.word}: {refused.detail}\n".encode("utf-8", "replace"))
            return WORDS[refused.word]
        finally:
            self._end_all()
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _take_signals(self) -> None:
        def stop(_number: int, _frame: object) -> None:
            self.stopping = True

        os.set_blocking(self.wake, False)
        os.set_blocking(self._wake_end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _doze(self, seconds: float) -> None:
        """Wait for a signal, at most so long."""
        select.select([self.wake], [], [], max(seconds, 0.0))
        _drain(self.wake)

    def _prepare(self) -> None:
        """Make the folder of this attempt, with what was sent in it."""
        try:
            self.folder = folder = tempfile.mkdtemp(prefix="comity-")
            for name in ("work", "out"):
                os.mkdir(os.path.join(folder, name))
            source, work = os.getcwd(), os.path.join(folder, "work")
            for name in os.listdir(source) if self.options.get("content") else ():
                path = os.path.join(source, name)
                if name in (SELF, MANIFEST):
                    continue
                if os.path.isdir(path):
                    shutil.copytree(path, os.path.join(work, name), symlinks=True)
                else:
                    shutil.copy(path, os.path.join(work, name))
            if self.options.get("content"):
                _finish_content(pathlib.Path(source) / MANIFEST, work)
        except (OSError, ValueError, KeyError, shutil.Error) as error:
            raise Refused("setup-failed", f"the working folder cannot be prepared: {str(error)[:300]}") from error

    def _environment(self) -> dict[str, str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        own = {
            "COMITY_NODE_RANK": "0",
            "COMITY_NODES": "1",
            "COMITY_NODE_ADDRS": "127.0.0.1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "COMITY_OUTPUT_DIR": os.path.join(str(self.folder), "out"),
        }
        return {**os.environ, **self.options.get("env", {}), **own}

    def _supervise(self) -> int:
        """Start the command, pass on what it writes, and wait for its end."""
        reader, writer = os.pipe()
        environment = self._environment()
        try:
            child = subprocess.Popen(  # noqa: S603 -- what runs is the job's to say
                self.command,
                cwd=os.path.join(str(self.folder), "work"),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                restore_signals=True,
            )
        except OSError as error:
            word = "not-found" if error.errno == errno.ENOENT else "not-executable"
            path = environment.get("PATH", "")
            raise Refused(word, f"{self.command[0]!r} on PATH={path}: {os.strerror(error.errno or 0)}")  # noqa: B904
        finally:
            os.close(writer)
        self.main_pid = child.pid
        child.returncode = 0  # reaped here, with everything else
        timed_out = self._watch(reader)
        self._end_all()
        while self._pump(reader):
            pass
        os.close(reader)
        if timed_out:
            raise Refused("timed-out", "its time was up after {} s".format(self.options["limit_s"]))
        code = _code(self.status)
        if not self.stopping:
            missing = self._keep()
            if missing and code == 0:
                raise Refused("output-missing", "it ended well and left no {}".format(", ".join(missing)[:500]))
        return code

    def _watch(self, reader: int) -> bool:
        """Return, when the command has ended, whether its time was up."""
        limit = self.options.get("limit_s")
        until = None if limit is None else time.monotonic() + float(limit)
        kill_at: float | None = None
        timed_out = told = False
        pipes = [reader]
        while True:
            self._reap()
            if self.status is not None:
                return timed_out
            now = time.monotonic()
            timed_out = timed_out or (until is not None and now >= until and not self.stopping)
            if (self.stopping or timed_out) and not told:
                told, kill_at = True, now + float(self.options["grace_s"])
                _signal(_below(os.getpid()), signal.SIGTERM)
            if kill_at is not None and now >= kill_at:
                _signal(_below(os.getpid()), signal.SIGKILL)
                kill_at = now + 0.2
            next_at = min((at for at in (until if not timed_out else None, kill_at) if at is not None), default=now + 5)
            ready, _, _ = select.select([*pipes, self.wake], [], [], min(max(next_at - now, 0.0), 5.0))
            if self.wake in ready:
                _drain(self.wake)
            if reader in ready and not self._pump(reader):
                pipes = []

    def _pump(self, reader: int) -> bool:
        """Pass on one piece of what was written; False at its end."""
        data = os.read(reader, _CHUNK_BYTES)
        room = int(self.options["log_bytes_max"]) - self.written
        if data and room > 0:
            _write(1, data[:room])
            if len(data) > room:
                _write(1, "\ncomity: the log is cut here, at {} bytes\n".format(self.options["log_bytes_max"]).encode())
        self.written += len(data)
        return bool(data)

    def _reap(self) -> None:
        """Take the ends of everything that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.main_pid:
                self.status = status

    def _end_all(self) -> None:
        """Kill what is left, until nothing is."""
        for _ in range(_KILL_ROUNDS):
            left = _below(os.getpid())
            self._reap()
            if not left:
                return
            _signal(left, signal.SIGKILL)
            self._doze(0.01)

    def _keep(self) -> list[str]:
        """Copy outputs to the shared folder, and return the declared ones that are nowhere."""
        wanted = [str(path) for path in self.options.get("outputs", ())]
        roots = [os.path.join(str(self.folder), name) for name in ("out", "work")]
        found = {path: next((root for root in roots if _there(root, path)), None) for path in wanted}
        target = self.options.get("keep")
        if target:
            part = f"{target}.part"
            try:
                shutil.rmtree(part, ignore_errors=True)
                _copy(roots[0], "", part)
                for path, root in found.items():
                    if root == roots[1]:
                        _copy(root, path, part)
                os.rename(part, target)
            except OSError as error:
                raise Refused("setup-failed", f"outputs cannot be kept: {str(error)[:300]}") from error
        return [path for path, root in found.items() if root is None]


def _wait_for_ray(key: str, seconds: float) -> None:
    """Wait until Ray has written its own line: it may come later than our first one."""
    line = f"Running entrypoint for job {key}:".encode()
    until = time.monotonic() + seconds
    try:
        with open("/proc/self/fd/1", "rb") as log:
            text = b""
            while line not in text and time.monotonic() < until and len(text) < 2**20:
                text += log.read(_CHUNK_BYTES)
                select.select([], [], [], 0.005)
    except OSError:
        pass  # not a file: nothing to wait for


def _finish_content(manifest: pathlib.Path, work: str) -> None:
    """Make links and executables, which the package cannot carry."""
    told = json.loads(manifest.read_text("utf-8"))
    for path in told["executable"]:
        os.chmod(os.path.join(work, path), 0o755)  # noqa: S103 -- as in the archive
    for path in told["folders"]:
        os.makedirs(os.path.join(work, path), exist_ok=True)
    for path, target in told["links"]:
        os.symlink(target, os.path.join(work, path))


def _below(pid: int) -> set[int]:
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


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def _there(root: str, path: str) -> bool:
    """Say whether a plain file or a folder lies there, not by way of a link."""
    at = root
    for part in [part for part in path.split("/") if part not in ("", ".")]:
        at = os.path.join(at, part)
        try:
            mode = os.lstat(at).st_mode
        except OSError:
            return False
        if part == ".." or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return False
    return True


def _copy(root: str, path: str, target: str) -> None:
    """Copy a file or a folder, its plain files alone."""
    source, wanted = os.path.join(root, path), os.path.normpath(os.path.join(target, path))
    if os.path.isfile(source):
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        shutil.copyfile(source, wanted, follow_symlinks=False)
        return
    os.makedirs(wanted, exist_ok=True)
    for folder, _, names in os.walk(source):
        below = os.path.normpath(os.path.join(wanted, os.path.relpath(folder, source)))
        os.makedirs(below, exist_ok=True)
        for name in names:
            one = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(one).st_mode):
                shutil.copyfile(one, os.path.join(below, name), follow_symlinks=False)


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:
            return  # a full disk ends no job


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def _code(status: int | None) -> int:
    if status is None:
        return 1
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _leave(code: int) -> NoReturn:
    """End as the command did: by the same signal where it was one."""
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def main(arguments: Sequence[str]) -> NoReturn:
    """Take ``OPTIONS -- COMMAND...``: options as JSON, see ``render.runner_options``."""
    options, command = json.loads(arguments[0]), list(arguments[2:])
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    first = os.getpid()
    guard = os.fork()
    if guard == 0:
        code = WORDS["setup-failed"]
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
            if os.getppid() == first:
                code = Guard(options, command).run()
        finally:
            _leave(code)

    def pass_on(number: int, _frame: object) -> None:
        _signal({guard}, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == guard:
            break
    for _ in range(_KILL_ROUNDS):  # the guard was killed itself: what it had comes to us
        left = _below(first)
        if not left:
            break
        _signal(left, signal.SIGKILL)
        select.select([], [], [], 0.01)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
    _leave(_code(status))


if __name__ == "__main__":
    main(sys.argv[1:])
