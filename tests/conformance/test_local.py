"""The local backend keeps the promises of the port, with real processes, at each level of isolation that works here."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import threading
from collections.abc import Mapping

import pytest

from backends import local
from orchestrator.domain import jobs
from orchestrator.ports import backends
from orchestrator.testing import conformance

_BUILD = pathlib.Path(local.__file__).parent / "runner" / "build.py"


@pytest.fixture(scope="module", autouse=True)
def runner() -> None:
    """Compile the runner where nobody did."""
    spec = importlib.util.spec_from_file_location("runner_build", _BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ensure_runner()


class TestLocal(conformance.AdapterConformance):
    """As the machine gives it: namespaces for root, nothing for anybody else."""

    isolation = "auto"

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin of this machine."""
        return local.plugin

    def settings(self) -> Mapping[str, object]:
        """Return the level under test."""
        return {"isolation": self.isolation}

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job of a shell."""
        return jobs.JobSpec(name="t", command=("sh", "-c", f"echo begins; sleep {seconds}; exit {exit_code}"))

    def pass_time(self, seconds: float) -> None:
        """Let real time pass, less of it than asked: nothing here is slow."""
        threading.Event().wait(min(seconds, 0.05))


@pytest.mark.skipif(os.geteuid() != 0, reason="anybody but root has this level already")
class TestLocalWithoutIsolation(TestLocal):
    """As the server's own user."""

    isolation = "none"
