"""One run: who owns a cluster, who uses it, when it ends, and what a dead one left.

The same rules as for the Kubernetes clusters (``tests.e2e.kube.runs``): the owner, ``python -m tests.e2e.slurm up``,
holds the lock of the run's folder; test processes hold a connection to the owner, which ends with the last of them;
a folder whose lock nobody holds is swept by whoever starts next.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from tests.e2e.kube import hosts
from tests.e2e.kube import runs as kube_runs
from tests.e2e.slurm import assembling, clusters, places

START_S = 600.0
GREETED_S = 60.0
DOWN_S = 180.0
POLL_S = 0.05


class RunError(Exception):
    """A cluster did not start; the text is one line that says why."""


@contextlib.contextmanager
def _alone(what: str) -> Iterator[None]:
    """Hold a lock that all runs of this user share."""
    with (places.runs() / f".{what}").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def sweep() -> list[str]:
    """Remove what dead runs left; return the folders that could not be removed."""
    with _alone("sweeping"):
        return _sweep()


def _sweep() -> list[str]:
    """Remove what dead runs left; the caller holds the lock, so that none begins meanwhile."""
    remaining = []
    for folder in sorted(found for found in places.runs().iterdir() if found.is_dir()):
        held = kube_runs.hold(folder)
        if held is None:
            continue
        with held:
            for file in folder.glob("*/init"):
                hosts.kill_recorded(file)
            shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            remaining.append(str(folder))
    return remaining


class Run:
    """The owner's side."""

    def __init__(self, name: str) -> None:
        """Make the folder of a run and sweep what dead ones left.

        :param name: up to 12 lower case letters and digits: socket paths end at 107 characters.
        """
        if not kube_runs.ID.fullmatch(name):
            raise RunError(f"{name!r} does not name a run: up to 12 lower case letters and digits")
        with _alone("sweeping"):
            _sweep()
            self.folder = places.runs() / name
            try:
                self.folder.mkdir()
            except FileExistsError:
                raise RunError(f"a run {name} is already there") from None
            self.folder.chmod(0o711)
            self._lock: IO[str] | None = kube_runs.hold(self.folder)
            (self.folder / "owner").write_text(str(os.getpid()))
        self.users = kube_runs.Users(self.folder / "users")
        self._assembly: assembling.Assembly | None = None

    def start(self, spec: clusters.Spec) -> clusters.Cluster:
        """Start the cluster and return it when a job can run.

        :raises RunError: when it does not get ready.
        """
        self._assembly = assembling.Assembly(spec, self.folder / "c")
        try:
            cluster = self._assembly.start()
        except assembling.StartError as error:
            raise RunError(" ".join(str(error).split())) from error
        cluster.save(self.folder / "cluster.json")
        (self.folder / "ready").touch()
        return cluster

    def fail(self, reason: str) -> None:
        """Leave the reason for those who wait, and the logs for whoever looks."""
        (self.folder / "failed").write_text(reason)

    def stop(self) -> list[str]:
        """Stop everything; return what could not be removed. The folder stays where the start failed."""
        if self._assembly is not None:
            self._assembly.stop()
        failed = (self.folder / "failed").exists()
        if self._lock is not None and not failed:
            self._lock.close()
        return [] if failed else sweep()


class Joined:
    """A user's side: the cluster lives at least until this is closed."""

    def __init__(self, folder: pathlib.Path, connection: socket.socket) -> None:
        self.folder = folder
        self.cluster = clusters.Cluster.load(folder / "cluster.json")
        self._connection = connection

    def close(self) -> None:
        """Need the cluster no more."""
        self._connection.close()

    def close_and_wait(self) -> None:
        """Need the cluster no more, and wait until it is gone: for a run that nobody shares.

        :raises RunError: when it stays.
        """
        self.close()
        if not _wait(lambda: not self.folder.exists(), DOWN_S):
            raise RunError(f"{self.folder} is still there {DOWN_S:.0f} s after its last user left")


def _wait(wanted: Callable[[], object], seconds: float) -> bool:
    """Wait until something holds, and say whether it came."""
    pause = threading.Event()
    for _ in range(int(seconds / POLL_S)):
        if wanted():
            return True
        pause.wait(POLL_S)
    return bool(wanted())


def join(name: str, words: Sequence[str] = ()) -> Joined:
    """Use the cluster of a run, started by the first who asks.

    :param words: the arguments of ``up`` that say which cluster.
    :raises RunError: when it does not get ready.
    """
    folder = places.runs() / name
    pause = threading.Event()
    with contextlib.ExitStack() as held:
        connection = None
        for _ in range(int(START_S / POLL_S)):
            if (folder / "failed").exists():
                raise RunError((folder / "failed").read_text())
            if connection is None:
                with _alone("joining"):
                    if not _lives(folder):
                        _spawn(folder, name, words)
                connection = _connect(folder)
                if connection is not None:
                    held.enter_context(connection)
            elif (folder / "ready").exists():
                held.pop_all()
                return Joined(folder, connection)
            pause.wait(POLL_S)
    raise RunError(f"no cluster within {START_S:.0f} s, see {folder}")


def _lives(folder: pathlib.Path) -> bool:
    """Say whether a run has an owner; one that failed keeps its folder so that its reason is read."""
    with _alone("sweeping"):
        if not (folder / "lock").exists():
            return False
        held = kube_runs.hold(folder)
        if held is not None:
            held.close()
        return held is None or (folder / "failed").exists()


def _spawn(folder: pathlib.Path, name: str, words: Sequence[str]) -> None:
    """Start an owner that ends when nobody uses it any more."""
    log = places.runs() / f".{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.slurm", "up", "--run", name, "--while-used", *words],
            cwd=places.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    # It outlives this process where others use it, so nobody here waits for its end but for its start.
    threading.Thread(target=process.wait, daemon=True).start()

    def begun() -> bool:
        return (folder / "users").exists() or (folder / "failed").exists() or process.returncode is not None

    _wait(begun, START_S)
    said = log.read_text().strip()
    log.unlink()
    if not (folder / "users").exists() and not (folder / "failed").exists():
        raise RunError(f"no owner for a cluster: {said or 'it said nothing'}")


def _connect(folder: pathlib.Path) -> socket.socket | None:
    """Hold a connection to the owner, or return None: it is ending, or it is gone."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(GREETED_S)
    try:
        connection.connect(str(folder / "users"))
        if connection.recv(len(kube_runs.GREETING)) == kube_runs.GREETING:
            return connection
    except OSError:
        pass
    connection.close()
    return None


def living() -> dict[str, int]:
    """Return the process of every run that lives, by the run's name.

    Nobody sweeps meanwhile: whoever tries a lock makes its file again, in a folder that is just being removed.
    """
    found = {}
    with _alone("sweeping"):
        for folder in sorted(places.runs().iterdir()):
            if not (folder / "owner").exists():
                continue
            held = kube_runs.hold(folder)
            if held is None:
                found[folder.name] = int((folder / "owner").read_text())
            else:
                held.close()
    return found


def down(name: str | None = None) -> list[str]:
    """End a run, or every run of this user, and sweep; return what could not be removed."""

    def meant() -> dict[str, int]:
        return {run: pid for run, pid in living().items() if name in (None, run)}

    for pid in meant().values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    _wait(lambda: not meant(), DOWN_S)
    return [f"run {run} does not end" for run in meant()] + sweep()
