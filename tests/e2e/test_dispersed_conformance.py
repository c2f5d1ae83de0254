"""The Dispersed backend keeps the promises of the port, against a double of the network that is written from its
documentation, with real commands.
"""

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from backends import dispersed as adapters
from orchestrator.domain import jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import conformance
from tests.doubles.dispersed import server as doubles
from tests.e2e import _dispersed


class TestDispersed(conformance.AdapterConformance):
    """Each test has a double of its own."""

    server: doubles.Server

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with doubles.running() as self.server:
            yield

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return adapters.plugin

    def settings(self) -> Mapping[str, object]:
        """Return where the double is."""
        return _dispersed.settings(self.server)

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool: a region."""
        return (sites.Pool(_dispersed.REGION),)

    def now(self) -> dt.datetime:
        """Return the real time."""
        return clocks.SystemClock().now()

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a command that runs so long and ends so."""
        return _dispersed.sleeping(seconds, exit_code)

    def pass_time(self, seconds: float) -> None:
        """Let a little real time pass: nothing here takes effect late."""
        threading.Event().wait(min(max(seconds, 0.2), 1.0))
