"""The only file that speaks to HyperQueue.

Its Python API submits, waits, and tells which tasks of a job failed. It does not list, look up by name, or cancel, and
numbers of jobs begin at 1 again with each server: hence the folder of :mod:`comity_hyperqueue.attempts`. A connection
belongs to the thread that made it and costs a millisecond, so each call makes its own.
"""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Sequence

from hyperqueue import client as engine
from hyperqueue import job as jobs
from hyperqueue.ffi import protocol

from comity_hyperqueue import errors

_LOCK = threading.Lock()
"""The engine keeps one event loop for all of a process's connections."""


class Client:
    """Speaks to the server whose directory this is, whichever process serves it now."""

    def __init__(self, server_dir: str) -> None:
        self._folder = pathlib.Path(server_dir)

    def server(self) -> str:
        """Return the id of the server that serves now; another one after each start. Raises TransientError."""
        try:
            found = json.loads((self._folder / "hq-current" / "access.json").read_bytes())
            return str(found["server_uid"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise errors.unreachable(error) from error

    def submit(self, name: str, arguments: Sequence[str], folder: str, cpus: float) -> int:
        """Queue one task and return the number of its job. Never call it twice unless two may be queued."""
        with _LOCK:
            connected = self._connect()
            job = jobs.Job(max_fails=0)
            request = protocol.ResourceRequest(cpus=cpus)
            output = f"{folder}/task.log"
            job.program(
                list(arguments), cwd=folder, stdout=output, stderr=output, name=name, resources=request, crash_limit=1
            )
            try:
                return int(connected.submit(job).id)
            except Exception as error:
                raise errors.unanswered(error) from error

    def failure(self, number: int) -> str | None:
        """Return why the task of this job failed, or None: it waits, runs, or did not fail."""
        with _LOCK:
            connected = self._connect()
            try:
                found = connected.connection.get_failed_tasks([number])
            except Exception as error:
                raise errors.unanswered(error) from error
        tasks = found.get(number, {})
        return next((str(task.error) for task in tasks.values()), None)

    def _connect(self) -> engine.Client:
        try:
            return engine.Client(str(self._folder))
        except Exception as error:
            raise errors.unreachable(error) from error
