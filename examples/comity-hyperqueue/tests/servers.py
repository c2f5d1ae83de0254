"""A real HyperQueue server with a worker in a process of its own, which a test may end or kill."""

import os
import pathlib
import subprocess
import sys

PROGRAM = """
import sys
from hyperqueue import cluster
cluster.LocalCluster(sys.argv[1], cluster.WorkerConfig(cores=int(sys.argv[2])))
print("ready", flush=True)
sys.stdin.read()
"""


class Server:
    """One server. It ends with its standard input, so none is left where a test is killed."""

    def __init__(self, folder: pathlib.Path, cores: int = 8) -> None:
        self.folder = folder / "server"
        self.folder.mkdir(exist_ok=True)
        self._cores = cores
        self._temporary = folder / "tmp"
        self._temporary.mkdir(exist_ok=True)
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, anew after a kill: another server, which knows no job of the one before."""
        command = [sys.executable, "-c", PROGRAM, str(self.folder), str(self._cores)]
        environment = {**os.environ, "TMPDIR": str(self._temporary)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.strip() == b"ready":
                return
        raise AssertionError(f"the server does not start: {self._log.read_text()}")

    def kill(self) -> None:
        """Kill it, with its worker, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    close = kill
