"""Process 1 of a cluster's own namespaces: starts its parts, stops them, and takes all of them along when it ends.

It runs in a PID, mount and network namespace of its own. When process 1 of a PID namespace ends, however it ends, the
kernel kills every process in it; with the last process go the mounts and the network. So nothing of a cluster can
outlive this process, and this process ends when the pipe at its standard input closes: when the run is over or dead.

Requests come by a socket in the cluster's folder, one JSON line each, answered by one JSON line. Standard library only.
"""

import dataclasses
import json
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
from typing import Any


@dataclasses.dataclass
class Child:
    """One process that we started."""

    pid: int
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    code: int | None = None


class Supervisor:
    """The parts of one cluster, by name, and the order in which a restart repeats what a start said."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._born = threading.Event()
        self._children: dict[int, Child] = {}
        self._parts: dict[str, Child] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._reap, daemon=True).start()

    def _spawn(self, argv: list[str], **streams: Any) -> Child:
        """Start a process; the lock keeps the reaper from a child that is not in the table yet."""
        with self._lock:
            process = subprocess.Popen(argv, start_new_session=True, **streams)
            child = self._children[process.pid] = Child(process.pid)
            process.returncode = 0  # the reaper waits for it; the object must never try
            self._born.set()
            return child

    def _reap(self) -> None:
        """Collect every child that ends: ours, and those that lost their parent and became ours."""
        while True:
            self._born.wait()
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                self._born.clear()
                continue
            if found is None:
                continue
            with self._lock:
                try:
                    _, status = os.waitpid(found.si_pid, 0)
                except ChildProcessError:  # a program that could not be started: its start has collected it
                    continue
                child = self._children.pop(found.si_pid, None)
                if child is not None:
                    child.code = os.waitstatus_to_exitcode(status)
                    child.ended.set()

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a part, as told or as it was told the last time; a part that runs is left alone."""
        name = request["name"]
        order = self._orders[name] = self._orders.get(name, {}) | request
        running = self._parts.get(name)
        if running is not None and not running.ended.is_set():
            return {"pid": running.pid, "started": False}
        with pathlib.Path(order["log"]).open("ab") as log:
            child = self._spawn(order["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._parts[name] = child
        return {"pid": child.pid, "started": True}

    def signal(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a signal to a part and wait for its end as long as told (seconds)."""
        child = self._parts[request["name"]]
        with self._lock:  # while we hold it nobody collects the child, so the number is still its own
            if child.code is None:
                os.kill(child.pid, request["signal"])
        ended = child.ended.wait(request.get("wait_s", 0))
        return {"ended": ended, "code": child.code}

    def parts(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return every part's process and, where it has ended, its exit code."""
        return {name: {"pid": child.pid, "code": child.code} for name, child in self._parts.items()}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a command to its end and return its exit code and output; it is killed after ``limit_s`` seconds."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
            given.write(request.get("input", "").encode())
            given.seek(0)
            child = self._spawn(request["argv"], stdin=given, stdout=output, stderr=output)
            if not child.ended.wait(request["limit_s"]):
                os.killpg(child.pid, signal.SIGKILL)
                child.ended.wait()
            output.seek(0)
            return {"code": child.code, "output": output.read().decode(errors="replace")}

    def answer(self, line: bytes) -> dict[str, Any]:
        """Do what one line asks; a request that cannot be done is answered with its reason."""
        operations = {"start": self.start, "signal": self.signal, "parts": self.parts, "run": self.run}
        try:
            request = json.loads(line)
            return operations[request["op"]](request)
        except (KeyError, ValueError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


def serve(path: str) -> None:
    """Answer requests until standard input closes."""
    supervisor = Supervisor()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(json.dumps(supervisor.answer(self.rfile.readline())).encode() + b"\n")

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(path, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    serve(sys.argv[1])
