"""What HyperQueue starts on a worker: ``python3 task.py FOLDER``. Standard library only, and nothing of Comity.

It claims the attempt, runs the command, keeps its output, gives a sign of life each second, and writes how it ended.
Whatever HyperQueue does (a task queued twice, a worker that crashed and the task that is started again): one claim.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import IO

BEAT_S = 1.0
TICK_S = 0.1
DRAIN_S = 5.0
PR_SET_PDEATHSIG = 1
TAKEN = 75


class Task:
    """One attempt under way."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.spec = json.loads((folder / "spec.json").read_bytes())
        self.kept = 0
        self.beaten = time.monotonic()
        self.why = ""
        """Why it was told to end: ``stopped`` by us, ``dropped`` by its worker, ``late``, ``alone``."""
        self.kill_at = float("inf")
        self.dropped = False
        signal.signal(signal.SIGTERM, self.hear)  # before the claim: whoever has it writes how it ended

    def hear(self, *_: object) -> None:
        """Note that the worker wants this to end."""
        self.dropped = True

    def claim(self) -> bool:
        """Say whether this process may start the command: the first to name the claim has it."""
        mine = self.folder / f".claim-{socket.gethostname()}-{os.getpid()}"
        mine.write_text("run")
        try:
            os.link(mine, self.folder / "claim")
        except FileExistsError:
            return False
        finally:
            mine.unlink()
        return True

    def run(self) -> None:
        """Run the command until it ends, and write how."""
        started = time.time()
        try:
            child = subprocess.Popen(
                self.spec["command"],
                cwd=self.spec["cwd"],
                env=self.spec["env"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            self.end({"kind": "startFailed", "detail": str(error), "startedAt": started})
            return
        keep(child.pid)
        output = child.stdout
        assert output is not None  # a pipe was asked for
        limit = self.spec["limitSeconds"]
        deadline = time.monotonic() + limit if limit is not None else float("inf")
        with (self.folder / "log").open("ab", buffering=0) as log, selectors.DefaultSelector() as selector:
            os.set_blocking(output.fileno(), False)
            selector.register(output, selectors.EVENT_READ)
            while child.poll() is None:
                self.copy(output, log, selector, TICK_S)
                self.look(child, deadline)
            ended = time.time()
            self.kill(child, signal.SIGKILL)  # what it left in its session
            until = time.monotonic() + DRAIN_S
            while selector.get_map() and time.monotonic() < until:
                self.copy(output, log, selector, TICK_S)
        code = child.returncode
        how = {"signal": -code} if code < 0 else {"exitCode": code}
        self.end({"kind": self.why or "ended", **how, "startedAt": started, "endedAt": ended})

    def copy(self, output: IO[bytes], log: IO[bytes], selector: selectors.BaseSelector, wait: float) -> None:
        """Keep what the command wrote, up to the bound; what is beyond is read and dropped, or it would block."""
        if not selector.get_map():
            time.sleep(wait)
        elif selector.select(wait):
            data = output.read(1 << 16)
            if not data:
                selector.unregister(output)
                return
            data = data[: max(0, self.spec["logBytesMax"] - self.kept)]
            self.kept += len(data)
            log.write(data)

    def look(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        """Give a sign of life, and end the command where it must end."""
        now = time.monotonic()
        try:
            if now - self.beaten >= BEAT_S:
                os.utime(self.folder / "beat")
                self.beaten = now
            told = self.folder / "stop"
            if told.exists():
                self.tell(child, "stopped", float(told.read_text() or 0))
        except (OSError, ValueError):
            # Nobody can see that it lives: before they may call it lost, it is.
            if now - self.beaten >= self.spec["lostAfterSeconds"] / 2:
                self.tell(child, "alone", 0)
        if self.dropped:
            self.tell(child, "dropped", self.spec["graceSeconds"])
        if now >= deadline:
            self.tell(child, "late", self.spec["graceSeconds"])
        if now >= self.kill_at:
            self.kill(child, signal.SIGKILL)

    def tell(self, child: subprocess.Popen[bytes], why: str, grace: float) -> None:
        """Tell the command to end; asked again, the grace may only get shorter."""
        if not self.why:
            self.why = why
            self.kill(child, signal.SIGTERM)
        self.kill_at = min(self.kill_at, time.monotonic() + grace)

    def kill(self, child: subprocess.Popen[bytes], number: int) -> None:
        """Signal the session of the command."""
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def end(self, how: dict[str, object]) -> None:
        """Write the end, whole or not at all."""
        partial = self.folder / ".end"
        with partial.open("w") as file:
            json.dump(how, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.folder / "end.json")


def die_with_parent() -> None:
    """Ask the kernel to kill this process with its parent: until ``keep`` watches. Linux only."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def keep(session: int) -> None:
    """Start a process that kills the session of the command if this process dies: a task that is lost runs nowhere."""
    mine, ours = os.pipe()
    if os.fork() != 0:
        os.close(mine)
        os.set_inheritable(ours, False)
        return  # `ours` stays open as long as this process lives, and in no other
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(ours)
    os.read(mine, 1)
    try:
        os.killpg(session, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    os._exit(0)


def main() -> int:
    """Run the attempt of the folder that is named."""
    task = Task(pathlib.Path(sys.argv[1]))
    if not task.claim():
        return TAKEN
    task.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
