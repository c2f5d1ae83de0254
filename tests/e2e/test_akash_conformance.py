"""The Akash backend keeps the promises of the port, against a double of the Console API that is written from its
specification, with real commands, and a real store for their marks.
"""

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from backends import akash as adapters
from orchestrator.domain import jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import conformance
from tests.doubles.akash import markets, server
from tests.e2e import _akash
from tests.e2e.s3 import stores


class TestAkash(conformance.AdapterConformance):
    """Each test has a double of its own; the store is one for all."""

    akash: server.Server
    store: stores.Store

    @pytest.fixture(autouse=True)
    def _market(self, s3: stores.Store) -> Iterator[None]:
        self.store = s3
        with server.serve() as self.akash:
            self.akash.network.providers.append(markets.Provider(_akash.POOL))
            yield

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return adapters.plugin

    def settings(self) -> Mapping[str, object]:
        """Return where the double and the store are."""
        return _akash.settings(self.akash, self.store)

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool: a provider."""
        return (sites.Pool(_akash.POOL, location=sites.Location("DE")),)

    def now(self) -> dt.datetime:
        """Return the real time."""
        return clocks.SystemClock().now()

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a command that runs so long and ends so."""
        return _akash.sleeping(seconds, exit_code)

    def pass_time(self, seconds: float) -> None:
        """Let a little real time pass."""
        threading.Event().wait(min(max(seconds, 0.2), 1.0))
