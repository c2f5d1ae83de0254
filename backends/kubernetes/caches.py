"""What is known of a cluster: our Jobs and their pods in one namespace, and its nodes: three watches.

Observations are made once and kept until something they rest on changes, so that looking at ten thousand attempts that
do nothing costs ten thousand look-ups. Whoever asks is told an error as soon as the API server is no longer heard.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from backends.kubernetes import client, errors, holdings, names, news, observe, others, queues, slices, views, watching
from backends.kubernetes import settings as schema
from orchestrator.domain import ids, offers
from orchestrator.ports import backends

FRESH_S = 5.0
"""An answer is given from memory for so long after the API server was last heard; then it is asked."""
BROKEN_S = 20.0
"""With no watch for so long, what is known is too old to be told."""
PULSE_S = 1.0


class Kept(Protocol):
    """Something that is watched."""

    @property
    def problem(self) -> str:
        """Return why there is no watch."""

    def ensure(self) -> None:
        """Begin to watch. Raises BackendError."""

    def broken_s(self) -> float:
        """Return for how many seconds there was no watch."""

    def close(self) -> None:
        """End it."""


class Cluster:
    """Safe to call from several threads. Nothing is asked before the first call."""

    def __init__(
        self,
        talk: client.Client,
        wanted: schema.KubernetesSettings,
        backend: str,
        installation: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = talk
        self._wanted = wanted
        self._backend, self._installation = names.label(backend), names.label(installation)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pods_of: dict[str, dict[str, views.Pod]] = {}
        self._seen: dict[str, backends.Observation] = {}
        self._changes: dict[str, int] = {}
        self.news = news.News()
        self._nudge: Callable[[], None] = lambda: None
        self._beat_s = float("-inf")
        self._identity: offers.PinnedIdentity | None = None
        space = f"/namespaces/{wanted.namespace}"
        ours = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.BACKEND_LABEL}={self._backend}"
        self.jobs_path, self.pods_path = f"/apis/batch/v1{space}/jobs", f"/api/v1{space}/pods"
        self.maps_path = f"/api/v1{space}/configmaps"
        self.claims_path = f"/apis/resource.k8s.io/v1{space}/resourceclaimtemplates"
        self.policies_path = f"/apis/networking.k8s.io/v1{space}/networkpolicies"
        self.events_path = f"/api/v1{space}/events"
        self.jobs = watching.Reflector(
            talk, self.jobs_path, views.job, selector=ours, changed=self._job_changed, monotonic=monotonic
        )
        self.pods = watching.Reflector(
            talk, self.pods_path, views.pod, selector=ours, changed=self._pod_changed, monotonic=monotonic
        )
        self.nodes = watching.Reflector(
            talk, "/api/v1/nodes", views.node, changed=self._node_changed, monotonic=monotonic
        )
        self._holdings = holdings.Holdings(self.jobs.items, lambda job: self.ours(job) and not job.over, monotonic)
        self._nodes_told: dict[str, views.Node] = {}
        """Node -> what it was when what rests on it was last dropped; without its version."""
        self.queues = queues.Queues(talk, wanted, self._forget, monotonic)
        self.slices = slices.Slices(talk, wanted, monotonic)
        self.others = others.Others(talk, wanted, self._backend, self._installation, monotonic)
        self._kept: tuple[Kept, ...] = (self.nodes, self.queues, self.pods, self.jobs, self.slices, self.others)

    # --- asking -------------------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Make sure that what is known is known now. Raises BackendError where it is not."""
        for each in self._kept:
            each.ensure()
        if self._monotonic() - max(self.jobs.heard_s, self._beat_s) > FRESH_S:
            self.pulse()
        for each in self._kept:
            if each.broken_s() > BROKEN_S:
                raise errors.access("watch", f"what it knows is too old: {each.problem}")

    def pulse(self) -> None:
        """Ask the API server who it is, unless it has just said. Raises BackendError."""
        if self._monotonic() - self._beat_s < PULSE_S:
            return
        try:
            found = self._client.get("/api/v1/namespaces/kube-system")
        except errors.StatusError as error:
            raise errors.of_status(error, "read namespace kube-system", self._client.hint) from error
        meta = found.get("metadata")
        uid = meta.get("uid") if isinstance(meta, Mapping) else None
        values = [("kube-system", str(uid)[:64])] if uid else []
        if ca := self._client.ca_digest():
            values.append(("ca-sha256", ca))
        self._identity = offers.PinnedIdentity(tuple(values))
        self._beat_s = self._monotonic()

    def identity(self) -> offers.PinnedIdentity:
        """Return what the API server said last. Raises BackendError where it was never asked and does not answer."""
        if self._identity is None:
            self.pulse()
        return self._identity or offers.PinnedIdentity()

    def job(self, key: str) -> views.Job | None:
        """Return our Job of this key: as watched, else as the API server says now. Raises BackendError."""
        found = self.jobs.items.get(key)
        return found if found is not None else self.look(key)

    def look(self, key: str) -> views.Job | None:
        """Ask the API server for the Job of this key; a consistent read. Raises BackendError."""
        if names.parse_key(key) is None:
            return None
        try:
            found = views.job(self._client.get(f"{self.jobs_path}/{key}"))
        except errors.StatusError as error:
            if error.status == 404 and "namespaces" not in error.message:
                known = self.jobs.items.get(key)
                if known is not None:
                    self.jobs.drop(known)
                return None
            raise errors.of_status(error, f"read Job {key}", self._client.hint) from error
        return self.jobs.put(found) if found is not None and self.ours(found) else None

    def ours(self, job: views.Job) -> bool:
        """Say whether a Job carries the marks of this backend and installation."""
        return (job.backend, job.installation) == (self._backend, self._installation)

    def pods_of(self, job: views.Job) -> Sequence[views.Pod]:
        """Return the pods that are known of a Job, those that are gone too."""
        with self._lock:
            return list(self._pods_of.get(job.name, {}).values())

    def observation(self, job: views.Job) -> backends.Observation:
        """Return what an attempt is now; the same object until something changes."""
        known = self._seen.get(job.name)
        if known is not None:
            return known
        number = self._changes.get(job.name, 0)
        seen = observe.observation(job, self.pods_of(job), self.nodes.items, self._wanted, self.queues.of(job.uid))
        with self._lock:
            if self._changes.get(job.name, 0) == number and job.name in self.jobs.items:
                self._seen[job.name] = seen
        return seen

    def live(self) -> Sequence[views.Job]:
        """Return our Jobs that are not over, in order of name."""
        return self._holdings.live()

    def held(self, pool: str) -> holdings.Held:
        """Return what our live Jobs of a pool ask for."""
        return self._holdings.held(names.label(pool))

    def watch(self, nudge: Callable[[], None]) -> None:
        """Nudge from now on when an attempt gets on."""
        self._nudge = nudge

    def close(self) -> None:
        """End the watches."""
        for each in self._kept:
            each.close()

    # --- what changed -------------------------------------------------------------------------------------------------

    def _job_changed(self, job: views.Job) -> None:
        self._holdings.changed(job.name)
        if job.name not in self.jobs.items:
            with self._lock:
                left = {name: pod for name, pod in self._pods_of.get(job.name, {}).items() if not pod.gone}
                if left:
                    self._pods_of[job.name] = left
                else:
                    self._pods_of.pop(job.name, None)
        self._forget(job.name)

    def _pod_changed(self, pod: views.Pod) -> None:
        present = self.pods.items.get(pod.name)
        with self._lock:
            mine = self._pods_of.setdefault(pod.job, {})
            if present is not None:
                mine[pod.name] = present
            elif pod.job in self.jobs.items:
                # Kept while its Job is: an eviction shows on the pod only, which goes as soon as it was counted.
                mine[pod.name] = dataclasses.replace(pod, gone=True)
            else:
                mine.pop(pod.name, None)
            if not mine:
                self._pods_of.pop(pod.job, None)
        self._forget(pod.job)

    def _node_changed(self, node: views.Node) -> None:
        """Drop what rests on a node; not where it only says again what it said, as each does every few minutes."""
        present = self.nodes.items.get(node.name)
        now = dataclasses.replace(present, version=0) if present is not None else None
        with self._lock:
            if now is not None and now == self._nodes_told.get(node.name):
                return
            touched = [
                job for job, pods in self._pods_of.items() if any(pod.node == node.name for pod in pods.values())
            ]
        for job in touched:
            self._forget(job)
        with self._lock:
            if now is not None:
                self._nodes_told[node.name] = now
            else:
                self._nodes_told.pop(node.name, None)

    def _forget(self, key: str) -> None:
        """Drop what was observed of an attempt, and nudge where it is another state now."""
        with self._lock:
            old = self._seen.pop(key, None)
            job = self.jobs.items.get(key)
            if job is None:
                self._changes.pop(key, None)
            else:
                self._changes[key] = self._changes.get(key, 0) + 1
        self.news.add(key)
        if old is None:
            return
        if job is None or self.observation(job).state is not old.state:
            self._nudge()


def gone(key: str, detail: str = "") -> backends.Observation:
    """Return that the API server knows no such attempt."""
    return backends.Observation(ids.AttemptKey(key), offers.ObservedState.GONE, detail=detail)
