"""The adapter keeps every promise of the port: the whole kit, against a real server with a real worker."""

import datetime as dt
import pathlib
import sys
import threading
from collections.abc import Iterator, Mapping

import comity_hyperqueue
import pytest
import servers

from orchestrator.domain import jobs
from orchestrator.ports import backends
from orchestrator.testing import conformance


class TestHyperqueue(conformance.AdapterConformance):
    """Runs each test of the kit."""

    @pytest.fixture(autouse=True)
    def running(self, tmp_path: pathlib.Path) -> Iterator[None]:
        """Start a server."""
        self.folder = tmp_path
        server = servers.Server(tmp_path, cores=16)
        yield
        server.close()

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return comity_hyperqueue.plugin

    def settings(self) -> Mapping[str, object]:
        """Return settings that work."""
        return {
            "serverDir": str(self.folder / "server"),
            "folder": str(self.folder / "shared"),
            "cpus": 16,
            "python": sys.executable,
        }

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job that runs for so long and then ends so."""
        command = ("/bin/sh", "-c", f"echo one; echo two; sleep {seconds}; echo three; exit {exit_code}")
        return jobs.JobSpec(name="t", command=command, resources=jobs.Resources(100, 0))

    def pass_time(self, seconds: float) -> None:
        """Wait."""
        threading.Event().wait(seconds)

    def now(self) -> dt.datetime:
        """Return the time."""
        return dt.datetime.now(dt.UTC)
