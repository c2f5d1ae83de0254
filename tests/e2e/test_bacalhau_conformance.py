"""The Bacalhau backend keeps the promises of the port, on a real network with real modules."""

import datetime as dt
import pathlib
import secrets
import threading
from collections.abc import Mapping, Sequence

import pytest

from backends import bacalhau as adapters
from orchestrator.domain import jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import benches, conformance
from tests.e2e import _bacalhau
from tests.e2e.bacalhau import networks


class TestBacalhau(conformance.AdapterConformance):
    """One network for all tests, of which nobody else takes room; each bench has keys that nobody used."""

    network: networks.Network

    @pytest.fixture(autouse=True)
    def _network(self, own_bacalhau: networks.Network) -> None:
        self.network = own_bacalhau

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return adapters.plugin

    def settings(self) -> Mapping[str, object]:
        """Return where the orchestrator is."""
        return _bacalhau.settings(self.network)

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool: node alpha."""
        return (sites.Pool("alpha"),)

    def now(self) -> dt.datetime:
        """Return the real time."""
        return clocks.SystemClock().now()

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a module that runs so long and ends so."""
        return _bacalhau.spec("run", str(round(seconds * 1000)), str(exit_code))

    def pass_time(self, seconds: float) -> None:
        """Let a little real time pass."""
        threading.Event().wait(min(max(seconds, 0.2), 1.0))

    def make_bench(self, folder: pathlib.Path) -> benches.Bench:
        """Return a bench whose keys nobody used: the network is one for all tests."""
        made = super().make_bench(folder)
        made.count = secrets.randbelow(10**15) * 1000
        return made
