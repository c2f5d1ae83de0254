"""What a provider of the double runs: each service of a manifest as local processes, in scratch folders of their own.

A service that exits is started again, as Kubernetes does for Akash: nothing here knows of a job that is done. The
command sees the variables of its manifest and a ``PATH``, and nothing of who runs the double.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PATH = "/usr/local/bin:/usr/bin:/bin"


class Service:
    """Replicas of one service; ``image``: program of the image, before the arguments where no command is given."""

    def __init__(self, told: Mapping[str, Any], folder: pathlib.Path, image: Sequence[str] | None, again_s: float):
        self.name = str(told["name"])
        self.total = int(told["count"])
        self.starts = 0
        """How often a process was started, over all replicas."""
        command = told.get("command") or image
        self._command = [*command, *(told.get("args") or ())] if command and image is not None else None
        pairs = (line.partition("=") for line in told.get("env") or ())
        self._environment = {"PATH": PATH, **{name: text for name, _, text in pairs}}
        self._again_s = again_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._live: dict[int, subprocess.Popen[bytes]] = {}
        self.folders = [folder / f"{self.name}-{at}" for at in range(self.total)]
        self._threads = [
            threading.Thread(target=self._keep, args=(at,), daemon=True)
            for at in range(self.total)
            if self._command is not None
        ]
        for place in self.folders:
            place.mkdir(parents=True)
        for thread in self._threads:
            thread.start()

    def available(self) -> int:
        """Return how many replicas live now."""
        with self._lock:
            return sum(_lives(process) for process in self._live.values())

    def end(self) -> None:
        """End every process, and what it started in its group."""
        with self._lock:
            self._over.set()
            for process in self._live.values():
                _kill(process)
        for thread in self._threads:
            thread.join()

    def _keep(self, at: int) -> None:
        assert self._command is not None
        while not self._over.is_set():
            with self._lock, (self.folders[at] / "output").open("ab") as output:
                if self._over.is_set():
                    return
                try:
                    process = subprocess.Popen(
                        self._command,
                        cwd=self.folders[at],
                        env=self._environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                except OSError as error:
                    output.write(f"{error}\n".encode())
                else:
                    self._live[at] = process
                self.starts += 1
            if at in self._live:
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                with self._lock:
                    _kill(process)
                    self._live.pop(at).wait()
            self._over.wait(self._again_s)


class Workload:
    """All services of the groups of a manifest that one lease holds."""

    def __init__(
        self,
        group: Mapping[str, Any],
        folder: pathlib.Path,
        images: Callable[[str], Sequence[str] | None],
        again_s: float,
    ) -> None:
        self.services = [Service(told, folder, images(told["image"]), again_s) for told in group["services"]]

    def status(self) -> dict[str, Any]:
        """Return what ``status`` of a lease says."""
        return {"forwarded_ports": {}, "ips": {}, "services": {one.name: _told(one) for one in self.services}}

    def end(self) -> None:
        """End it all."""
        for service in self.services:
            service.end()


def _told(service: Service) -> dict[str, Any]:
    live = service.available()
    return {
        "name": service.name,
        "available": live,
        "total": service.total,
        "uris": [],
        "observed_generation": 1,
        "replicas": service.total,
        "updated_replicas": service.total,
        "ready_replicas": live,
        "available_replicas": live,
    }


def _lives(process: "subprocess.Popen[bytes]") -> bool:
    # Not poll(): that would let the id go to another process before the group is ended.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
