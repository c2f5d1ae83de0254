"""What is known of the RayJobs of a namespace, their pods and the nodes: three watches, once KubeRay is there."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from backends.kubernetes import caches, client, errors, names, rayjobs, rayviews, watching
from backends.kubernetes import settings as schema

LOOK_EVERY_S = 60.0
"""Between two looks for a KubeRay that was not there."""


class RayCluster:
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
        self._backend, self._installation = names.label(backend), names.label(installation)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pods_of: dict[str, dict[str, rayviews.Pod]] = {}
        self._nudge: Callable[[], None] = lambda: None
        self._looked_s = float("-inf")
        self._served = False
        # Of it only who the API server is, the nodes and the paths are used: its own watches never begin.
        self.base = caches.Cluster(talk, wanted, backend, installation, monotonic)
        self.path = f"/apis/{rayjobs.GROUP}/{rayjobs.VERSION}/namespaces/{wanted.namespace}/{rayjobs.PLURAL}"
        ours = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.BACKEND_LABEL}={self._backend}"
        self.jobs = watching.Reflector(
            talk, self.path, rayviews.rayjob, selector=ours, changed=self._job_changed, monotonic=monotonic
        )
        self.pods = watching.Reflector(
            talk, self.base.pods_path, rayviews.pod, selector=ours, changed=self._pod_changed, monotonic=monotonic
        )
        self._kept: tuple[caches.Kept, ...] = (self.base.nodes, self.pods, self.jobs)

    def served(self) -> bool:
        """Say whether the cluster has RayJobs of the version that is understood. Raises BackendError."""
        with self._lock:
            if not self._served and self._monotonic() - self._looked_s > LOOK_EVERY_S:
                self._served = self._serves()
                self._looked_s = self._monotonic()
            return self._served

    def ready(self) -> None:
        """Make sure that what is known is known now. Raises BackendError where it is not."""
        if not self.served():
            raise errors.access("no-kuberay", missing())
        for each in self._kept:
            each.ensure()
        if self._monotonic() - self.jobs.heard_s > caches.FRESH_S:
            self.base.pulse()
        for each in self._kept:
            if each.broken_s() > caches.BROKEN_S:
                raise errors.access("watch", f"what it knows is too old: {each.problem}")

    def job(self, key: str) -> rayviews.RayJob | None:
        """Return our RayJob of this key: as watched, else as the API server says now. Raises BackendError."""
        found = self.jobs.items.get(key)
        return found if found is not None else self.look(key)

    def look(self, key: str) -> rayviews.RayJob | None:
        """Ask the API server for the RayJob of this key; a consistent read. Raises BackendError."""
        if names.parse_key(key) is None:
            return None
        try:
            found = rayviews.rayjob(self._client.get(f"{self.path}/{rayjobs.name_of(key)}"))
        except errors.StatusError as error:
            # An object that is not there is named by its reason; a path that nobody serves is not.
            if error.status == 404 and error.reason == "NotFound" and rayjobs.name_of(key) in error.message:
                known = self.jobs.items.get(key)
                if known is not None:
                    self.jobs.drop(known)
                return None
            raise errors.of_status(error, f"read RayJob {key}", self._client.hint) from error
        return self.jobs.put(found) if found is not None and self.ours(found) else None

    def ours(self, job: rayviews.RayJob) -> bool:
        """Say whether a RayJob carries the marks of this backend and installation."""
        return (job.job.backend, job.job.installation) == (self._backend, self._installation)

    def pods_of(self, key: str) -> Sequence[rayviews.Pod]:
        """Return the pods that are known of an attempt, those that are gone too."""
        with self._lock:
            return list(self._pods_of.get(key, {}).values())

    def live(self) -> Sequence[rayviews.RayJob]:
        """Return our RayJobs that are not over, in order of name."""
        found = list(self.jobs.items.values())
        return sorted((job for job in found if self.ours(job) and not job.over), key=lambda job: job.name)

    def watch(self, nudge: Callable[[], None]) -> None:
        """Nudge from now on when a RayJob changes."""
        self._nudge = nudge

    def close(self) -> None:
        """End the watches."""
        for each in self._kept:
            each.close()
        self.base.close()

    def _serves(self) -> bool:
        try:
            found = self._client.get(f"/apis/{rayjobs.GROUP}/{rayjobs.VERSION}").get("resources")
        except errors.StatusError as error:
            if error.status == 404:
                return False
            raise errors.of_status(error, f"look for {rayjobs.PLURAL}.{rayjobs.GROUP}", self._client.hint) from error
        listed = found if isinstance(found, list) else []
        return any(isinstance(one, Mapping) and one.get("name") == rayjobs.PLURAL for one in listed)

    def _job_changed(self, job: rayviews.RayJob) -> None:
        if job.name not in self.jobs.items:
            with self._lock:
                left = {name: pod for name, pod in self._pods_of.get(job.name, {}).items() if not pod.pod.gone}
                if left:
                    self._pods_of[job.name] = left
                else:
                    self._pods_of.pop(job.name, None)
        self._nudge()

    def _pod_changed(self, pod: rayviews.Pod) -> None:
        present = self.pods.items.get(pod.name)
        with self._lock:
            mine = self._pods_of.setdefault(pod.key, {})
            if present is not None:
                mine[pod.name] = present
            elif pod.key in self.jobs.items:
                # Kept while its RayJob is: the cluster goes at the end, and its pods say where it ran.
                mine[pod.name] = dataclasses.replace(pod, pod=dataclasses.replace(pod.pod, gone=True))
            else:
                mine.pop(pod.name, None)
            if not mine:
                self._pods_of.pop(pod.key, None)


def missing() -> str:
    """Return what to do where there is no KubeRay."""
    return (
        f"this cluster serves no {rayjobs.PLURAL}.{rayjobs.GROUP}/{rayjobs.VERSION}: install KubeRay's operator, or "
        "leave out settings.rayjobs"
    )
