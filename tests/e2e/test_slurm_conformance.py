"""The Slurm backend keeps the promises of the port, on real daemons with real jobs."""

import datetime as dt
import os
import pathlib
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from backends import slurm as adapters
from orchestrator.domain import jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import benches, conformance
from tests.e2e import _slurm
from tests.e2e.slurm import clusters, faults, fixtures

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"


class TestSlurm(conformance.AdapterConformance):
    """One cluster for all tests, empty before each; each bench has keys that nobody used."""

    cluster: clusters.Cluster

    @pytest.fixture(autouse=True)
    def _cluster(self, lone_slurm: clusters.Cluster) -> None:
        """Take a cluster on which nothing runs: what tests before left would come and go in its room."""
        self.take(lone_slurm)

    def take(self, cluster: clusters.Cluster) -> None:
        """Empty a cluster and use it."""
        self.cluster = cluster
        cluster.run("scancel", f"--user={clusters.USERS[0]}")
        faults.until(lambda: not cluster.run("squeue", "--noheader").strip(), "an empty cluster")

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


@pytest.fixture(scope="module")
def later_slurm() -> Iterator[clusters.Cluster]:
    """Give a cluster of a later suite of Debian: Slurm 24.11 with v0.0.40 to v0.0.42."""
    held = fixtures.joined(f"l{secrets.token_hex(5)}", suite="trixie")
    try:
        yield held.cluster
    finally:
        held.close_and_wait()


@pytest.mark.skipif(not FULL, reason="30 MB more of packages: at full size only")
class TestLaterSlurm(TestSlurm):
    """The same by the latest version that both sides speak."""

    @pytest.fixture(autouse=True)
    def _cluster(self, later_slurm: clusters.Cluster) -> None:
        """Take the later cluster."""
        self.take(later_slurm)
