"""The demonstration's own small world: a folder, a control plane in a child process, and their end.

The control plane is ``comity serve`` as a user starts it. Whatever was started is ended here, by its process id, on
every way out; jobs are cancelled first, because they outlive the control plane by design.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.client import access, clients, errors

START_S = 180.0
STOP_S = 60.0
STEP_S = 0.05
COMMAND_S = 300.0
PORTS_MAX = 5
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
"""Besides Ctrl-C: a closed terminal and a polite kill clean up too."""


class DemoError(Exception):
    """A step differs from what it claims."""


class World:
    """A temporary folder with documents, state and one control plane."""

    def __init__(self, folder: pathlib.Path, secrets: Mapping[str, str] | None = None) -> None:
        """Make the folders. ``secrets``: variables of the control plane to which documents refer."""
        self.folder = folder
        self.secrets = dict(secrets or {})
        self.state = folder / "state"
        self.documents = folder / "comity.d"
        self.port = 0
        self.move()
        self.process: subprocess.Popen[bytes] | None = None
        for made in (self.state, self.documents):
            made.mkdir(mode=0o700)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment of every child: ours, pointed at this world."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMITY_")}
        return (
            kept
            | self.secrets
            | {"COMITY_STATE_DIR": str(self.state), "COMITY_SERVER": self.server, "PYTHONUNBUFFERED": "1"}
        )

    def client(self) -> clients.Client:
        """Return a client with the administrator's token that the server wrote."""
        return clients.Client(self.server, access.token(self.environment))

    @property
    def server(self) -> str:
        """Return where the control plane answers."""
        return f"http://127.0.0.1:{self.port}"

    def move(self) -> None:
        """Take another port: while no control plane runs, anybody's connection may come to lie on the one it had."""
        self.port = _free_port()

    def start(self) -> int:
        """Start the control plane, wait until it is ready, and return its process id."""
        for _ in range(PORTS_MAX):
            process = self._started()
            if process.poll() is None:
                return process.pid
            if f"cannot listen on 127.0.0.1:{self.port}" not in self.server_log():
                break
            self.move()
        raise DemoError(f"the control plane ended at once (exit {process.returncode}):\n{self.server_log()}")

    def _started(self) -> subprocess.Popen[bytes]:
        """Start the control plane, and wait until it is ready or has ended."""
        with (self.folder / "server.log").open("ab") as log, held():
            self.process = subprocess.Popen(  # noqa: S603 -- our own program, fixed arguments
                [
                    *comity(),
                    *("serve", "--listen", f"127.0.0.1:{self.port}", "--documents", str(self.documents)),
                    *("--log-level", "warning"),
                ],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self.process
        with clients.Client(self.server, None, timeout_s=2.0) as client:
            until(lambda: client.ready() or process.poll() is not None, START_S, "the control plane did not get ready")
        return process

    def kill(self) -> None:
        """End the control plane as a power cut would: SIGKILL, no goodbye."""
        process = self._running()
        process.kill()
        process.wait(STOP_S)

    def server_log(self) -> str:
        """Return the last lines the control plane wrote."""
        text = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-15:])

    def run(self, arguments: Sequence[str], *, colour: bool) -> subprocess.CompletedProcess[str]:
        """Run one ``comity`` command as a user would, and return what it printed."""
        looks = {"FORCE_COLOR": "1"} if colour else {"NO_COLOR": "1"}
        process: subprocess.Popen[str] | None = None
        try:
            with held():
                process = subprocess.Popen(  # noqa: S603 -- our own program, fixed arguments
                    [*comity(), *arguments],
                    cwd=self.folder,
                    env={**self.environment, **looks},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            out, err = process.communicate(timeout=COMMAND_S)
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(STOP_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def close(self) -> None:
        """End every job, then the control plane."""
        if self.process is None:
            return
        with contextlib.suppress(DemoError, errors.ClientError, OSError):
            if self.process.poll() is not None:
                self.start()  # only a control plane can end jobs that outlived one
            self._cancel_all()
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)

    def _cancel_all(self) -> None:
        with self.client() as client:
            live = "phase=QUEUED,PLACED,STARTING,RUNNING,STOPPING"
            left = list(client.list_all("jobs", filter=live))
            for job in left:
                client.cancel(job["metadata"]["id"])
            if left:
                until(lambda: not list(client.list_all("jobs", filter=live)), STOP_S, "jobs did not end")

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise DemoError("the control plane was not started")
        return self.process


@contextlib.contextmanager
def world(secrets: Mapping[str, str] | None = None) -> Iterator[World]:
    """Make a world in a temporary folder; leave nothing of it behind."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="comity-demo-"))
    made = World(folder, secrets)
    interruptible()
    try:
        yield made
    finally:
        with deaf():
            try:
                made.close()
            finally:
                shutil.rmtree(folder, onerror=_make_writable)


def interruptible() -> None:
    """From now on a closed terminal and a polite kill are what Ctrl-C is: everything is cleaned up."""
    for number in _ENDINGS:
        signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Take no notice of a second Ctrl-C while cleaning up; it takes seconds."""
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, *_ENDINGS)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold an interruption back until a child that is being made is known by its process id, then let it happen."""
    caught: list[int] = []
    before = [
        (number, signal.signal(number, lambda number, _: caught.append(number)))
        for number in (signal.SIGINT, *_ENDINGS)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


def comity() -> list[str]:
    """Return how this very program is started again."""
    return [sys.executable, "-m", "orchestrator.cli"]


def until(what: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Wait until ``what`` is true. Raises DemoError."""
    wait = threading.Event().wait
    tries = int(seconds / STEP_S)
    for _ in range(tries):
        if what():
            return
        wait(STEP_S)
    raise DemoError(f"{otherwise} within {seconds:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_writable(function: Callable[[str], object], path: str, _: object) -> None:
    """Remove what a job left read-only."""
    with contextlib.suppress(OSError):
        pathlib.Path(path).parent.chmod(0o700)
        pathlib.Path(path).chmod(0o700)
        function(path)
