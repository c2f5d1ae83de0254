"""What an attempt needs from outside while it starts: a gang its release, and one that can never begin its end.

Level-triggered: it is done whenever the attempt is looked at, by whichever process looks, and twice is once.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping

from backends.kubernetes import caches, client, errors, names, observe, queues, views
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors

RELEASES_MAX = 64
ASK_EVERY_S = 10.0
"""Between two questions why a Job has no pods."""
ASKED_MAX = 10_000
"""Nodes released in one look: each is a call."""


class Mending:
    """Safe to call from several threads: an attempt that is being mended is left alone by the others."""

    def __init__(
        self,
        talk: client.Client,
        cluster: caches.Cluster,
        wanted: schema.KubernetesSettings,
        now: Callable[[], dt.datetime],
        give_up: Callable[[views.Job, str], None],
    ) -> None:
        self._client = talk
        self._cluster = cluster
        self._wanted = wanted
        self._now = now
        self._give_up = give_up
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._asked_s: dict[str, float] = {}

    def needed(self, job: views.Job) -> bool:
        """Say whether there may be something to do: cheap, for every look at an attempt that is not over."""
        if job.stopped or job.gave_up:
            return False
        if job.suspended and queues.evicted(self._cluster.queues.of(job.uid)) is not None:
            return True
        pods = self._pods(job)
        if not pods and not job.suspended and job.active == 0 and job.terminating == 0:
            return self._is_late(job)
        if any(pod.waiting in observe.NEVER_STARTS or pod.waiting in observe.NO_IMAGE for pod in pods):
            return True
        if any(not pod.node for pod in pods):
            return True
        return job.nodes > 1 and (len(pods) < job.nodes or not all(pod.released for pod in pods))

    def mend(self, job: views.Job) -> None:
        """Do it. Failures are left to the next look."""
        with self._lock:
            if job.name in self._busy:
                return
            self._busy.add(job.name)
        try:
            self._mend(job)
        except (errors.StatusError, port_errors.BackendError):
            pass
        finally:
            with self._lock:
                self._busy.discard(job.name)

    def _pods(self, job: views.Job) -> list[views.Pod]:
        return [pod for pod in self._cluster.pods_of(job) if not pod.gone]

    def _mend(self, job: views.Job) -> None:
        if job.suspended and (taken := queues.evicted(self._cluster.queues.of(job.uid))) is not None:
            begun = any(pod.running_since or pod.began for pod in self._cluster.pods_of(job))
            had_begun, why = queues.said(taken, begun=begun)
            self._give_up(job, f"{names.TAKEN_BACK if had_begun else names.NO_ROOM}{why}")
            return
        ranks, now = observe.newest(self._pods(job)), self._now()
        patience = dt.timedelta(seconds=self._wanted.image_pull_seconds)
        for pod in ranks.values():
            if why := observe.hopeless(pod, now, patience):
                self._give_up(job, why)
                return
        if not ranks and self._is_late(job):
            if why := self._refused(job):
                room = names.NO_ROOM if "exceeded quota" in why else ""
                self._give_up(job, f"{room}no pod of it could be made: {why}")
            return
        if job.nodes > 1:
            self._gather(job, ranks, now)
            return
        unbound = [observe.waits_for(pod) for pod in ranks.values() if not pod.node]
        if unbound and unbound[0] and self._waited(job, now):
            why = unbound[0]
            self._give_up(job, f"{names.NO_ROOM}{why}")

    def _waited(self, job: views.Job, now: dt.datetime) -> bool:
        limit = dt.timedelta(seconds=self._wanted.start_seconds)
        return job.started is not None and now - job.started > limit

    def _is_late(self, job: views.Job) -> bool:
        """Say whether a Job has waited for its pods for longer than they take, and nobody asked just now why."""
        if job.created is None or self._now() - job.created < dt.timedelta(seconds=self._wanted.image_pull_seconds):
            return False
        return time.monotonic() - self._asked_s.get(job.uid, float("-inf")) > ASK_EVERY_S

    def _refused(self, job: views.Job) -> str:
        """Return why the cluster makes no pods of a Job, in its words; "" where it does not say."""
        if len(self._asked_s) > ASKED_MAX:
            self._asked_s.clear()
        self._asked_s[job.uid] = time.monotonic()
        about = f"involvedObject.uid={job.uid},reason=FailedCreate"
        found = self._client.get(self._cluster.events_path, fieldSelector=about, limit=5)
        listed = found.get("items")
        said = (
            [errors.plain(one.get("message")) for one in listed if isinstance(one, Mapping)]
            if isinstance(listed, list)
            else []
        )
        return next((text for text in reversed(said) if text), "")

    def _gather(self, job: views.Job, ranks: Mapping[int, views.Pod], now: dt.datetime) -> None:
        """Release a gang that is whole; end one that has had its time."""
        waiting = [ranks.get(rank) for rank in range(job.nodes)]
        whole = [pod for pod in waiting if pod is not None and pod.running_since is not None and pod.address]
        if len(whole) == job.nodes:
            addresses = ",".join(pod.address for pod in whole)
            for pod in [pod for pod in whole if not pod.released][:RELEASES_MAX]:
                self._release(pod, addresses)
            return
        if self._waited(job, now) and not any(pod.released for pod in ranks.values()):
            why = next((text for pod in ranks.values() if (text := observe.waits_for(pod))), "")
            count = f"{len(whole)} of {job.nodes} nodes were there in time"
            self._give_up(job, f"{names.NO_ROOM}{count}{f'; {why}' if why else ''}")

    def _release(self, pod: views.Pod, addresses: str) -> None:
        notes = {names.GANG_ANNOTATION: addresses}
        found = views.pod(
            self._client.patch(
                f"{self._cluster.pods_path}/{pod.name}", {"metadata": {"uid": pod.uid, "annotations": notes}}
            )
        )
        if found is not None:
            self._cluster.pods.put(found)
