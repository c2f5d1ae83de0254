"""Metrics for Prometheus, in a registry of our own. Labels come from closed sets, or from a bounded set of names.

The one module that knows the library. Others are given :class:`Metrics` and call its verbs.
"""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client
from prometheus_client import exposition

LABEL_VALUES_MAX = 256
"""Values of one label that comes from documents (names of backends); what is beyond is counted as ``other``."""
CONTENT_TYPE = exposition.CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """What is counted. Safe to call from any thread."""

    def __init__(self) -> None:
        self._registry = registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._names: dict[str, set[str]] = {}
        self._requests = prometheus_client.Counter(
            "comity_http_requests", "Answers by route and status class", ["route", "status"], registry=registry
        )
        self._latency = prometheus_client.Histogram(
            "comity_http_seconds", "Time to answer by route", ["route"], registry=registry, buckets=_SECONDS
        )
        self._submitted = prometheus_client.Counter("comity_jobs_submitted", "Jobs accepted", registry=registry)
        self._ticks = prometheus_client.Histogram(
            "comity_loop_seconds", "Time of one turn of the loop", registry=registry, buckets=_SECONDS
        )
        self._jobs = prometheus_client.Gauge("comity_jobs", "Jobs by phase", ["phase"], registry=registry)
        self._journal = prometheus_client.Gauge("comity_journal_entries", "Entries of the journal", registry=registry)
        self._queue = prometheus_client.Gauge(
            "comity_store_queue", "Commits that wait for the writer", registry=registry
        )
        self._backend_calls = prometheus_client.Counter(
            "comity_backend_calls", "Calls of adapters by outcome", ["backend", "outcome"], registry=registry
        )
        self._lists = prometheus_client.Gauge(
            "comity_list_days_left", "Days that a sanctions list may be relied on; -1: not any more", ["list"],
            registry=registry,
        )  # fmt: skip
        self._review = prometheus_client.Histogram(
            "comity_review_seconds", "From the turn that saw a change to running jobs judged and asked to stop",
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._facts = prometheus_client.Gauge(
            "comity_facts_expire_seconds", "Time until the first of a backend's facts ends; negative: it has ended",
            ["backend"], registry=registry,
        )  # fmt: skip
        self._held = prometheus_client.Gauge(
            "comity_changes_held", "Changes that would stop many running jobs and wait for a person", registry=registry
        )
        self._packs_failed = prometheus_client.Gauge(
            "comity_packs_failed", "Packs that failed when they were read last", registry=registry
        )
        self._clock_back = prometheus_client.Gauge(
            "comity_clock_went_back", "1: the clock went back, and nothing is placed", registry=registry
        )
        self._tables = prometheus_client.Gauge(
            "comity_tables_differ", "Rows that are not what the journal says: above 0 nothing new is placed",
            registry=registry,
        )  # fmt: skip
        self._obligations = prometheus_client.Gauge(
            "comity_obligations", "Obligations by state: open, overdue, fulfilled, withdrawn", ["state"],
            registry=registry,
        )  # fmt: skip
        self._children: dict[tuple[str, str], tuple[prometheus_client.Counter, prometheus_client.Histogram]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one HTTP answer. ``route`` is a template of the router, never a path that somebody sent."""
        key = (route, f"{status // 100}xx")
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = (self._requests.labels(*key), self._latency.labels(route))
        found[0].inc()
        found[1].observe(seconds)

    def submitted(self, count: int) -> None:
        """Count accepted jobs."""
        self._submitted.inc(count)

    def ticked(self, seconds: float) -> None:
        """Count one turn of the loop."""
        self._ticks.observe(seconds)

    def reviewed(self, seconds: float) -> None:
        """Count one review of running jobs."""
        self._review.observe(seconds)

    def facts(self, seconds_left: Mapping[str, float]) -> None:
        """Set for each backend how long until the first of its facts ends; one that went is forgotten."""
        self._facts.clear()
        for name, seconds in seconds_left.items():
            self._facts.labels(self._bounded("backend", name)).set(seconds)

    def packs(self, failed: int) -> None:
        """Set how many packs failed when they were read last."""
        self._packs_failed.set(failed)

    def held(self, changes: int, *, clock_is_back: bool) -> None:
        """Set how many changes wait for a person, and whether placements stop because of the clock."""
        self._held.set(changes)
        self._clock_back.set(int(clock_is_back))

    def tables(self, differ: int) -> None:
        """Set how many rows are not what the journal says."""
        self._tables.set(differ)

    def backend_called(self, backend: str, outcome: str) -> None:
        """Count one call of an adapter; ``outcome`` is ``ok``, ``error``, ``timeout`` or ``full``.

        What the control plane does beside its turns has a bulkhead too, with a slash in front: no backend's has.
        """
        if not backend.startswith("/"):
            self._backend_calls.labels(self._bounded("backend", backend), outcome).inc()

    def phases(self, counts: Mapping[str, int]) -> None:
        """Set the number of jobs by phase."""
        for phase, count in counts.items():
            self._jobs.labels(phase).set(count)

    def lists(self, days_left: Mapping[str, int]) -> None:
        """Set for each sanctions list how many days it may still be relied on; a list that went is forgotten."""
        self._lists.clear()
        for name, days in days_left.items():
            self._lists.labels(self._bounded("list", name)).set(days)

    def obligations(self, counts: Mapping[str, int]) -> None:
        """Set the number of obligations by state; a state that nobody is in is zero."""
        for state, count in counts.items():
            self._obligations.labels(state).set(count)

    def store(self, *, journal_entries: int, queue_depth: int) -> None:
        """Set what the store says of itself."""
        self._journal.set(journal_entries)
        self._queue.set(queue_depth)

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return exposition.generate_latest(self._registry)

    def _bounded(self, label: str, value: str) -> str:
        known = self._names.setdefault(label, set())
        if value not in known:
            if len(known) >= LABEL_VALUES_MAX:
                return "other"
            known.add(value)
        return value
