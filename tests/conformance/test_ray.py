"""The Ray backend keeps the promises of the port, on a real head with token."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import secrets
import threading
from collections.abc import Mapping, Sequence

import pytest

from backends import ray
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.testing import benches, conformance
from tests.e2e import rays


class TestRay(conformance.AdapterConformance):
    """With a token, and with a shared folder for outputs."""

    shared: pathlib.Path
    looks = 0

    def head(self) -> rays.Cluster:
        """Return the cluster."""
        return rays.shared()

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: pathlib.Path) -> None:
        """Make the folder that nodes and control plane share."""
        self.shared = tmp_path / "shared"
        self.shared.mkdir()

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin."""
        return ray.plugin

    def settings(self) -> Mapping[str, object]:
        """Return where the head is."""
        found = self.head()
        more = {} if found.token is None else {"token": found.token}
        return {"url": found.url, "sharedFolder": str(self.shared), **more}

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool, with more slots than a test uses."""
        return (sites.Pool("p", count=12),)

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job of a shell."""
        return jobs.JobSpec(name="t", command=("sh", "-c", f"echo begins; sleep {seconds}; exit {exit_code}"))

    def pass_time(self, seconds: float) -> None:
        """Let real time pass: little at first, more where the machine turns out to be busy."""
        self.looks += 1
        threading.Event().wait(min(0.1 * 1.06**self.looks, 2.0))

    def make_bench(self, folder: pathlib.Path) -> benches.Bench:
        """Return a bench whose keys nobody used: the head is one for all tests."""
        made = super().make_bench(folder)
        made.count = secrets.randbelow(10**15) * 1000
        return made

    def test_what_is_counted_is_subtracted(self, bench: benches.Bench) -> None:
        """As the kit has it, on a head where what other tests stopped has let go of its room."""
        site = ids.SiteName(f"b/{self.pools()[0].name}")
        for _ in range(200):
            offer = benches.offer_of(bench.adapter, site)
            if offer.free == offer.total:
                break
            self.pass_time(0.1)
        super().test_what_is_counted_is_subtracted(bench)

    def clean(self, bench: benches.Bench) -> None:
        """Stop what still runs: the head is one for all tests."""
        adapter = bench.adapter
        assert isinstance(adapter, backends.ListsOwned)
        for ref in adapter.list_owned():
            adapter.stop(ref, backends.Fence(ids.Term(9), 1), dt.timedelta(0))
        super().clean(bench)


@pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only: another 200 MB of Ray")
class TestRay252(TestRay):
    """The first Ray that checks tokens."""

    def head(self) -> rays.Cluster:
        """Return the cluster."""
        return rays.older("2.52.1")


@pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only: another 200 MB of Ray")
class TestRay249(TestRay):
    """A Ray that checks no token, on loopback."""

    def head(self) -> rays.Cluster:
        """Return the cluster."""
        return rays.older("2.49.2", token=None)
