"""Attempt folders for the runner's tests: written as the contract says, watched as a control plane would.

Real processes, no sleeps: whatever takes time is polled for, with a deadline that only a failure reaches.
"""

import collections.abc
import fcntl
import importlib.util
import os
import pathlib
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
import typing

import pytest

T = typing.TypeVar("T")
REPOSITORY = pathlib.Path(__file__).resolve().parents[4]
PYTHON = os.path.realpath(sys.executable)
NOBODY = 65534
DEADLINE_S = 120.0
FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid


def _build_module() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("runner_build", REPOSITORY / "backends/local/runner/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(what: str, probe: collections.abc.Callable[[], T | None]) -> T:
    """Poll until `probe` answers something true."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if answer := probe():
            return answer
        select.select([], [], [], 0.002)
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


class Attempt:
    """One attempt folder, and the runner of it."""

    def __init__(self, binary: pathlib.Path, folder: pathlib.Path) -> None:
        self.binary = binary
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)

    def write(self, *args: str | bytes, **options: object) -> "Attempt":
        """Write the spec; an option that is a list becomes one record an item."""
        records: list[bytes] = [b"comity-spec=1"]
        options = {"cwd": self.work, "env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "grace_ms": 5000} | options
        for key, value in [*(("arg", arg) for arg in args), *options.items()]:
            for item in value if isinstance(value, list) else [value]:
                text = item if isinstance(item, bytes) else str(item).encode()
                assert b"\0" not in text, "the format cannot hold a NUL, nor can argv, env or a path"
                records.append(key.encode() + b"=" + text)
        (self.folder / "spec").write_bytes(b"".join(record + b"\0" for record in [*records, b"end="]))
        return self

    def python(self, program: str, *args: str, **options: object) -> "Attempt":
        """Write a spec that runs this Python program."""
        return self.write(PYTHON, "-I", "-S", "-c", program, *args, **options)

    def spawn(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([self.binary, self.folder], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def start(self) -> int:
        """Run the runner and answer its exit status, which says how the start went."""
        with self.spawn() as process:
            self.stderr = process.communicate(timeout=DEADLINE_S)[1].decode()
        return process.returncode

    def record(self, name: str) -> dict[str, str]:
        text = (self.folder / name).read_text()
        assert text.endswith("\n")
        return dict(line.split("=", 1) for line in text.splitlines())

    def runner_pid(self) -> int:
        """The pid of whoever holds the lock, 0 for nobody: asked as a control plane asks."""
        try:
            fd = os.open(self.folder / "lock", os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            answer = fcntl.fcntl(fd, fcntl.F_GETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        finally:
            os.close(fd)
        kind, _, _, _, pid = FLOCK.unpack(answer)
        return 0 if kind == fcntl.F_UNLCK else int(pid)

    def until(self, what: str, probe: collections.abc.Callable[[], T | None]) -> T:
        """Poll until `probe` answers something true."""
        return until(what, probe)

    def free(self) -> None:
        until("the lock is free", lambda: self.runner_pid() == 0)

    def outcome(self) -> dict[str, str]:
        """Wait for the end and answer the exit record."""
        self.free()
        return self.record("exit")

    def run(self) -> dict[str, str]:
        assert self.start() == 0, self.stderr
        return self.outcome()

    def stop(self, grace_ms: int) -> None:
        """Stop as the contract says: first the file, then the signal to whoever holds the lock."""
        temporary = self.folder / ".stopped.new"
        temporary.write_text(f"grace_ms={grace_ms}\n")
        temporary.rename(self.folder / "stopped")
        if pid := self.runner_pid():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="backslashreplace")

    def wrote(self, name: str) -> str:
        """Wait for a file that the job puts into its working folder, and answer its text."""
        path = self.work / name
        return until(f"the job writes {name}", lambda: path.exists() and path.read_text())


@pytest.fixture(scope="session")
def runner_binary() -> pathlib.Path:
    """The compiled runner."""
    binary: pathlib.Path = _build_module().ensure_runner()
    return binary


@pytest.fixture
def make_attempt(runner_binary: pathlib.Path) -> collections.abc.Iterator[collections.abc.Callable[[], Attempt]]:
    """Makes attempt folders that another user may reach, and ends what a failing test left running."""
    # Not tmp_path: pytest's folders are closed to other users, and isolated jobs run as one.
    base = pathlib.Path(tempfile.mkdtemp(prefix="comity-runner-", dir="/var/tmp"))
    base.chmod(0o755)
    made: list[Attempt] = []

    def make() -> Attempt:
        made.append(Attempt(runner_binary, base / f"a{len(made)}"))
        return made[-1]

    yield make
    for attempt in made:
        if attempt.runner_pid():
            attempt.stop(0)
            attempt.free()
    shutil.rmtree(base)


@pytest.fixture
def attempt(make_attempt: collections.abc.Callable[[], Attempt]) -> Attempt:
    """One attempt folder."""
    return make_attempt()
