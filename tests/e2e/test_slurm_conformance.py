"""The Slurm backend keeps the promises of the port, on real daemons with real jobs."""

import datetime as dt
import pathlib
import secrets
import threading
from collections.abc import Mapping, Sequence

import pytest

from backends import slurm as adapters
from orchestrator.domain import jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import benches, conformance
from tests.e2e import _slurm
from tests.e2e.slurm import clusters


class TestSlurm(conformance.AdapterConformance):
    """One cluster for all tests; each bench has keys that nobody used."""

    cluster: clusters.Cluster

    @pytest.fixture(autouse=True)
    def _cluster(self, slurm: clusters.Cluster) -> None:
        """Take the cluster that is shared."""
        self.cluster = slurm

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return adapters.plugin

    def settings(self) -> Mapping[str, object]:
        """Return where slurmrestd is."""
        return _slurm.settings(self.cluster)

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool: partition fr."""
        return (sites.Pool("fr"),)

    def now(self) -> dt.datetime:
        """Return the real time: Slurm's own stamps are compared with it."""
        return clocks.SystemClock().now()

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job of a shell that ends by itself, also when it is told to."""
        script = f"trap 'exit 143' TERM; echo begins; sleep {seconds} & wait $!; exit {exit_code}"
        return jobs.JobSpec(name="t", command=("sh", "-c", script))

    def pass_time(self, seconds: float) -> None:
        """Let a little real time pass."""
        threading.Event().wait(min(max(seconds, 0.2), 1.0))

    def make_bench(self, folder: pathlib.Path) -> benches.Bench:
        """Return a bench whose keys nobody used: the cluster is one for all tests."""
        made = super().make_bench(folder)
        made.count = secrets.randbelow(10**15) * 1000
        return made
