"""The second process of the runner: in a session of its own, it starts the command and ends all that came of it."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from backends.ray.runner import files, processes, words

_SETTLE_S = 0.05
_PREAMBLE_S = 2.0
_CHUNK_BYTES = 64 * 1024


class Guard:
    """The second process: starts the command, and ends everything that came of it."""

    def __init__(self, options: dict[str, Any], command: Sequence[str]) -> None:
        self.options = options
        self.command = list(command)
        self.wanted = [str(path) for path in options.get("outputs", ())]
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
            processes.write(1, words.begins(str(self.options["key"])))
            self.folder = files.prepare(content=bool(self.options.get("content")))
            self._doze(_SETTLE_S)
            if self.stopping:
                return 128 + signal.SIGTERM
            return self._supervise()
        except words.Refused as refused:
            processes.write(1, f"comity: {refused.word}: {refused.detail}\n".encode("utf-8", "replace"))
            return words.WORDS[refused.word]
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
        processes.drain(self.wake)

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
            raise words.Refused(word, f"{self.command[0]!r} on PATH={path}: {os.strerror(error.errno or 0)}")  # noqa: B904
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
            raise words.Refused("timed-out", "its time was up after {} s".format(self.options["limit_s"]))
        code = processes.code_of(self.status)
        if not self.stopping:
            missing = files.keep(self.folder or "", self.wanted, self.options.get("keep"))
            if missing and code == 0:
                raise words.Refused("output-missing", "it ended well and left no {}".format(", ".join(missing)[:500]))
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
                processes.send(processes.below(os.getpid()), signal.SIGTERM)
            if kill_at is not None and now >= kill_at:
                processes.send(processes.below(os.getpid()), signal.SIGKILL)
                kill_at = now + 0.2
            next_at = min((at for at in (until if not timed_out else None, kill_at) if at is not None), default=now + 5)
            ready, _, _ = select.select([*pipes, self.wake], [], [], min(max(next_at - now, 0.0), 5.0))
            if self.wake in ready:
                processes.drain(self.wake)
            if reader in ready and not self._pump(reader):
                pipes = []

    def _pump(self, reader: int) -> bool:
        """Pass on one piece of what was written; False at its end."""
        data = os.read(reader, _CHUNK_BYTES)
        room = int(self.options["log_bytes_max"]) - self.written
        if data and room > 0:
            processes.write(1, data[:room])
            if len(data) > room:
                processes.write(
                    1, "\ncomity: the log is cut here, at {} bytes\n".format(self.options["log_bytes_max"]).encode()
                )
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
        for _ in range(processes.KILL_ROUNDS):
            left = processes.below(os.getpid())
            self._reap()
            if not left:
                return
            processes.send(left, signal.SIGKILL)
            self._doze(0.01)


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
