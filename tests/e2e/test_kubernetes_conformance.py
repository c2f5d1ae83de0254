"""The Kubernetes backend keeps the promises of the port, with real pods in a real cluster."""

import datetime as dt
import threading
from collections.abc import Mapping, Sequence

import pytest

from backends import kubernetes
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from orchestrator.testing import conformance
from tests.e2e import _kubernetes
from tests.e2e.kube import clusters

ENDING_STEPS = 900


class TestKubernetes(conformance.AdapterConformance):
    """One namespace a test; pods sleep, and end as they are told."""

    cluster: clusters.Cluster
    namespace: str

    @pytest.fixture(autouse=True)
    def _space(self, fr: clusters.Cluster) -> None:
        """Give each test a namespace of its own, under Pod Security restricted."""
        self.cluster = fr
        self.namespace = _kubernetes.namespace(fr)

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        return kubernetes.plugin

    def settings(self) -> Mapping[str, object]:
        """Return settings for the test's own namespace."""
        return _kubernetes.settings(self.cluster, self.namespace)

    def pools(self) -> Sequence[sites.Pool]:
        """Return one pool of every node."""
        return (sites.Pool("p"),)

    def now(self) -> dt.datetime:
        """Return the real time: the cluster's own stamps are compared with it."""
        return clocks.SystemClock().now()

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job of busybox that ends by itself, also when it is told to."""
        script = f"trap 'exit 143' TERM; echo begins; sleep {seconds} & wait $!; exit {exit_code}"
        return jobs.JobSpec(name="t", image=_kubernetes.busybox(), command=("sh", "-c", script))

    def pass_time(self, seconds: float) -> None:
        """Let a little real time pass."""
        threading.Event().wait(min(max(seconds, 0.2), 1.0))

    def started(self, adapter: backends.BackendAdapter, key: ids.AttemptKey) -> int:
        """Return how many live attempts carry the key; one that is ending is given the time that a pod takes."""
        found = super().started(adapter, key)
        for _ in range(ENDING_STEPS):
            if not found or not _kubernetes.is_ending(self.cluster, self.namespace, key):
                break
            self.pass_time(0.2)
            found = super().started(adapter, key)
        return found

    def clean(self, bench: conformance.Bench) -> None:
        """Close the adapters and let the cluster end what still runs."""
        for adapter in (*bench.dead, bench.adapter):
            adapter.close()
        _kubernetes.remove(self.cluster, self.namespace)
