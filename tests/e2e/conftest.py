"""A real control plane in a child process, and a shell in which ``comity`` is the command line under test."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.doubles.akash.fixtures import akash  # noqa: F401 - a fixture, found by its name
from tests.e2e import ports
from tests.e2e.bacalhau.fixtures import bacalhau, lone_bacalhau, own_bacalhau  # noqa: F401 - fixtures, found by their names
from tests.e2e.kube.fixtures import de, fr, kube, lone  # noqa: F401 - fixtures, found by their names
from tests.e2e.s3.fixtures import s3  # noqa: F401 - the same
from tests.e2e.slurm.fixtures import lone_slurm, slurm  # noqa: F401 - the same

ROOT = pathlib.Path(__file__).resolve().parents[2]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: commands would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
READY_S, STOP_S, SHELL_S = 180.0, 60.0, 300.0


@dataclasses.dataclass
class Shell:
    """A folder with an environment in which commands run."""

    folder: pathlib.Path
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command line and return what it did."""
        return subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SHELL_S,
            check=False,
        )


def make_shell(folder: pathlib.Path, *, server: str) -> Shell:
    """Return a shell whose ``comity`` and ``python`` are those under test, with a state folder of its own."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    shim = bin_folder / "comity"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator.cli "$@"\n')
    shim.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMITY_", "PYTEST"))}
    path = f"{bin_folder}:{pathlib.Path(sys.executable).parent}:{kept.get('PATH', '')}"
    python_path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    own = {"PATH": path, "COMITY_STATE_DIR": str(folder / "state"), "COMITY_SERVER": server, "NO_COLOR": "1"}
    work = folder / "work"
    work.mkdir()
    return Shell(work, kept | own | {"PYTHONPATH": python_path})


def free_port() -> int:
    """Return a port that nobody listens on, and that no other test is given while this process lives."""
    (found,) = ports.free(1)
    return found


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Give a shell with a control plane of its own, initialised for France, for the tests of one module."""
    folder = tmp_path_factory.mktemp("plane")
    port = free_port()
    shell = make_shell(folder, server=f"http://127.0.0.1:{port}")
    shell.run("comity init --country FR --operator me")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(folder / "bin" / "comity"), "serve", "--listen", f"127.0.0.1:{port}"],
            cwd=shell.folder,
            env=shell.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_ready(shell, process, folder / "server.log")
        yield shell
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _reached(shell: Shell) -> bool:
    """Say whether the control plane answers, and its own machine has answered it: what it can do is known then."""
    ran = shell.run("comity get sites -o json")
    if ran.returncode != 0:
        return False
    found = json.loads(ran.stdout)["items"]
    return bool(found) and all(one["reachable"] for one in found)


def _wait_until_ready(shell: Shell, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    wait = threading.Event().wait
    for _ in range(int(READY_S / 0.2)):
        if _reached(shell):
            return
        if process.poll() is not None:
            break
        wait(0.2)
    pytest.fail(f"the control plane did not get ready:\n{log.read_text()}")
