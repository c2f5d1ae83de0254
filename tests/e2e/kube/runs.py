"""One run of clusters: who owns it, who uses it, when it ends, and what a dead one left.

A run is a folder whose lock its owner holds, the process of ``python -m tests.e2e.kube up``. The kernel frees the lock
when the owner dies, so a folder without a holder is a dead run, and whoever starts next sweeps it.

Test processes share the clusters of one run. Each holds a connection to the owner; the owner ends when the last one
has closed, however the other side ended. Nobody has to say goodbye.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from tests.e2e.kube import assembling, clusters, hosts, places

START_S = 900.0
"""From a finished build to clusters that are ready, on a machine busy with other tests."""
FIRST_USER_S = 180.0
GREETED_S = 60.0
GREETING = b"+"
GRACE_S = 1.0
DOWN_S = 180.0
POLL_S = 0.1
ID = re.compile(r"[a-z0-9]{1,12}")


class RunError(Exception):
    """Clusters did not start; the text is one line that says why."""


def hold(folder: pathlib.Path) -> IO[str] | None:
    """Take the lock of a run and return it, or None where somebody holds it."""
    held = (folder / "lock").open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        return None
    return held


@contextlib.contextmanager
def _alone(what: str) -> Iterator[None]:
    """Hold a lock that all runs of this user share."""
    with (places.runs() / f".{what}").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def sweep() -> list[str]:
    """Remove what dead runs left; return one line for each thing that could not be removed."""
    with _alone("sweeping"):
        return _sweep()


def _sweep() -> list[str]:
    """Remove what dead runs left; the caller holds the lock, so that none begins meanwhile."""
    remaining, living = [], 0
    for folder in sorted(found for found in places.runs().iterdir() if found.is_dir()):
        held = hold(folder)
        if held is None:
            living += 1
            continue
        with held:
            for file in folder.glob("*/init"):
                hosts.kill_recorded(file)
            remaining += hosts.remove_cgroups(f"comity-{folder.name}-")
            remaining += _remove(folder)
    if not living and hosts.made().exists():
        with contextlib.suppress(OSError):
            hosts.KUBELET.rmdir()
        hosts.made().unlink()
    return remaining


def _remove(folder: pathlib.Path) -> list[str]:
    """Remove a folder; return its path where something in it stays."""
    shutil.rmtree(folder, ignore_errors=True)
    return [str(folder)] if folder.exists() else []


class Users:
    """Counts the processes that hold a connection. Each is greeted once it is counted."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        self._changed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            with self._lock:
                if self._closed:
                    connection.close()
                    continue
                self._open += 1
            self._changed.set()
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(GREETING)
            connection.recv(1)
        with self._lock:
            self._open -= 1
        self._changed.set()

    def wait_until_unused(self) -> None:
        """Return when nobody came, or when all have gone; from then on nobody is greeted."""
        patience = FIRST_USER_S
        while True:
            self._changed.clear()
            with self._lock:
                unused = self._open == 0
            if not unused:
                patience = GRACE_S
                self._changed.wait()
            elif not self._changed.wait(patience):
                with self._lock:
                    if self._open == 0:
                        self._closed = True
                        self._path.unlink()
                        return


class Run:
    """The owner's side."""

    def __init__(self, name: str) -> None:
        """Make the folder of a run and sweep what dead ones left.

        :param name: lower case letters and digits; part of the names of cgroups.
        """
        if not ID.fullmatch(name):
            raise RunError(f"{name!r} does not name a run: up to 12 lower case letters and digits")
        with _alone("sweeping"):
            _sweep()
            self.folder = places.runs() / name
            try:
                self.folder.mkdir()
            except FileExistsError:
                raise RunError(f"a run {name} is already there") from None
            self._lock = hold(self.folder)
            (self.folder / "owner").write_text(str(os.getpid()))
        self.users = Users(self.folder / "users")
        self._assemblies: list[assembling.Assembly] = []

    def start(self, specs: Sequence[clusters.Spec]) -> list[clusters.Cluster]:
        """Start clusters beside each other and return them when all are ready.

        :raises RunError: with the reason of the first that failed.
        """
        self._assemblies = [assembling.Assembly(spec, self.folder / spec.name) for spec in specs]
        found: dict[str, clusters.Cluster | Exception] = {}
        threads = [
            threading.Thread(target=_collect, args=(found, assembly.spec.name, assembly.start), daemon=True)
            for assembly in self._assemblies
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        started = []
        for spec in specs:
            result = found[spec.name]
            if isinstance(result, Exception):
                raise RunError(" ".join(str(result).split())) from result
            started.append(result)
        for cluster in started:
            cluster.save(self.folder / f"{cluster.name}.json")
        (self.folder / "ready").touch()
        return started

    def fail(self, reason: str) -> None:
        """Leave the reason for those who wait, and the logs for whoever looks."""
        (self.folder / "failed").write_text(reason)

    def stop(self) -> list[str]:
        """Stop everything; return what could not be removed. The folder stays where the start failed."""
        for assembly in self._assemblies:
            assembly.stop()
        failed = (self.folder / "failed").exists()
        if self._lock is not None and not failed:
            self._lock.close()
        return [] if failed else sweep()


def _collect(found: dict[str, clusters.Cluster | Exception], name: str, work: Callable[[], clusters.Cluster]) -> None:
    """Keep what a thread returned or raised."""
    try:
        found[name] = work()
    except Exception as error:  # noqa: BLE001 - it is raised again by the thread that waits
        found[name] = error


class Joined:
    """A user's side: the clusters live at least until this is closed."""

    def __init__(self, folder: pathlib.Path, connection: socket.socket, known: dict[str, clusters.Cluster]) -> None:
        self.folder = folder
        self.clusters = known
        self._connection = connection

    def close(self) -> None:
        """Need the clusters no more."""
        self._connection.close()

    def close_and_wait(self) -> None:
        """Need the clusters no more, and wait until they are gone: for a run that nobody shares.

        :raises RunError: when they stay.
        """
        self.close()
        pause = threading.Event()
        for _ in range(int(DOWN_S / POLL_S)):
            if not self.folder.exists():
                return
            pause.wait(POLL_S)
        raise RunError(f"{self.folder} is still there {DOWN_S:.0f} s after its last user left")


def join(name: str, words: Sequence[str]) -> Joined:
    """Use the clusters of a run, started by the first who asks.

    :param words: the arguments of ``up`` that say which clusters.
    :raises RunError: when they do not get ready.
    """
    folder = places.runs() / name
    pause = threading.Event()
    with contextlib.ExitStack() as held:
        connection = None
        for _ in range(int(START_S / POLL_S)):
            if (folder / "failed").exists():
                raise RunError((folder / "failed").read_text())
            if connection is not None and not folder.exists():  # it failed, and was swept before we read why
                held.close()
                connection = None
            if connection is None:
                with _alone("joining"):
                    if not _lives(folder):
                        _spawn(folder, name, words)
                connection = _connect(folder)
                if connection is not None:
                    held.enter_context(connection)
            elif (folder / "ready").exists():
                known = {cluster.name: cluster for cluster in map(clusters.Cluster.load, folder.glob("*.json"))}
                held.pop_all()
                return Joined(folder, connection, known)
            pause.wait(POLL_S)
    raise RunError(f"clusters not ready within {START_S:.0f} s, see {folder}")


def _lives(folder: pathlib.Path) -> bool:
    """Say whether a run has an owner; one that failed keeps its folder so that its reason is read."""
    with _alone("sweeping"):
        if not (folder / "lock").exists():
            return False
        held = hold(folder)
        if held is not None:
            held.close()
        return held is None or (folder / "failed").exists()


def _spawn(folder: pathlib.Path, name: str, words: Sequence[str]) -> None:
    """Start an owner that ends when nobody uses it any more."""
    log = places.runs() / f".{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.kube", "up", "--run", name, "--while-used", *words],
            cwd=places.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    # It outlives this process where others use it, so nobody here waits for its end but for its start.
    threading.Thread(target=process.wait, daemon=True).start()
    pause = threading.Event()
    for _ in range(int(FIRST_USER_S / POLL_S)):
        if (folder / "users").exists() or (folder / "failed").exists():
            log.unlink()
            return
        if process.returncode is not None:
            break
        pause.wait(POLL_S)
    said = log.read_text().strip()
    log.unlink()
    raise RunError(f"no owner for clusters: {said or 'it said nothing'}")


def _connect(folder: pathlib.Path) -> socket.socket | None:
    """Hold a connection to the owner, or return None: it is ending, or it is gone."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(GREETED_S)
    try:
        connection.connect(str(folder / "users"))
        if connection.recv(len(GREETING)) == GREETING:
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
            held = hold(folder)
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
    pause = threading.Event()
    for _ in range(int(DOWN_S / POLL_S)):
        if not meant():
            break
        pause.wait(POLL_S)
    return [f"run {run} does not end" for run in meant()] + sweep()
