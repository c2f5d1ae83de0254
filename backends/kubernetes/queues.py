"""What Kueue says of the Jobs that wait in its queues: one watch of its Workloads, where settings name a queue.

A queue holds a Job by ``spec.suspend`` and says why on a Workload that it makes for it (``kueue.x-k8s.io``, conditions
QuotaReserved, Admitted and Evicted; versions v1beta1 and v1beta2 have the same). Read in Kueue 0.18.2.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import client, errors, views, watching
from backends.kubernetes import settings as schema

GROUP = "kueue.x-k8s.io"
VERSIONS = ("v1beta2", "v1beta1")
"""Those that are understood, best first."""
LOOK_EVERY_S = 60.0
"""Between two looks for a Kueue that was not there."""
_NOT_READY = "PodsReadyTimeout"


@dataclass(frozen=True, slots=True)
class Workload:
    """What is kept of a Workload."""

    name: str
    version: int
    job: str
    """Name of its Job."""
    job_uid: str
    conditions: tuple[views.Condition, ...]

    def condition(self, type_: str) -> views.Condition | None:
        """Return the condition of this type, whatever its status."""
        return next((one for one in self.conditions if one.type == type_), None)

    def holds(self, type_: str) -> views.Condition | None:
        """Return the condition of this type, if it is true."""
        found = self.condition(type_)
        return found if found is not None and found.status == "True" else None


def workload(found: Mapping[str, Any]) -> Workload | None:
    """Return what is kept of a Workload; None for one that is of no Job."""
    meta = found.get("metadata")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("name"), str):
        return None
    owners = meta.get("ownerReferences")
    mine = [
        (str(one.get("name"))[:253], str(one.get("uid"))[:64])
        for one in (owners if isinstance(owners, list) else [])[:16]
        if isinstance(one, Mapping) and one.get("kind") == "Job" and one.get("controller") is True
    ]
    if not mine:
        return None
    status = found.get("status")
    told = views.conditions(status) if isinstance(status, Mapping) else ()
    return Workload(meta["name"][:253], views.version(meta), *mine[0], told)


def waits(queue: str, seen: Workload | None) -> tuple[str, str]:
    """Return why a Job that is suspended does not begin: one stable word, and Kueue's own words."""
    if seen is None:
        return "WaitsForQueue", f"queue {queue} has not looked at it yet"
    if (evicted := seen.holds("Evicted")) is not None:
        return "EvictedByQueue", f"queue {queue}: {_words(evicted)}"
    reserved, admitted = seen.condition("QuotaReserved"), seen.holds("Admitted")
    if reserved is None or reserved.status != "True":
        return "WaitsForQuota", f"queue {queue}: {_words(reserved) or 'nothing is reserved for it yet'}"
    if admitted is None:
        refused = seen.condition("Admitted")
        return "WaitsForAdmission", f"queue {queue}: {_words(refused) or 'quota is reserved, its checks are not over'}"
    return "Admitted", f"queue {queue} has admitted it; it is about to start"


def evicted(seen: Workload | None) -> views.Condition | None:
    """Return why a Job that its queue had admitted was taken back; None where it was not.

    One that was evicted before it was ever admitted is only queued again.
    """
    if seen is None or seen.condition("Admitted") is None:
        return None
    return seen.holds("Evicted")


def said(found: views.Condition, *, begun: bool) -> tuple[bool, str]:
    """Return (it had begun, in words) of an eviction. ``begun``: a pod of it was seen to run."""
    return begun and found.reason != _NOT_READY, f"its queue took it back: {_words(found)}"


def _words(found: views.Condition | None) -> str:
    if found is None:
        return ""
    return f"{found.reason}: {found.message}" if found.message else found.reason


class Queues:
    """The Workloads of a namespace. Does nothing where no pool names a queue. Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        wanted: schema.KubernetesSettings,
        changed: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = talk
        self._namespace = wanted.namespace
        self._named = any(pool.queue for pool in wanted.pools.values())
        self._changed = changed
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._by_job: dict[str, Workload] = {}
        self.watch: watching.Reflector[Workload] | None = None

    @property
    def missing(self) -> bool:
        """Say whether settings name a queue, and the cluster has no Kueue that is understood."""
        return self._named and self.watch is None

    def ensure(self) -> None:
        """Begin to watch, once Kueue is there. Raises BackendError."""
        if not self._named:
            return
        with self._lock:
            if self.watch is None and self._monotonic() - self._looked_s > LOOK_EVERY_S:
                version = self._version()
                self._looked_s = self._monotonic()
                if version:
                    path = f"/apis/{GROUP}/{version}/namespaces/{self._namespace}/workloads"
                    self.watch = watching.Reflector(
                        self._client, path, workload, changed=self._moved, monotonic=self._monotonic
                    )
        if self.watch is not None:
            self.watch.ensure()

    def broken_s(self) -> float:
        """Return for how many seconds there was no watch; 0 while there is one, or none is needed."""
        return 0.0 if self.watch is None else self.watch.broken_s()

    @property
    def problem(self) -> str:
        """Return why there is no watch."""
        return "" if self.watch is None else self.watch.problem

    def of(self, uid: str) -> Workload | None:
        """Return the Workload of the Job with this uid."""
        return self._by_job.get(uid)

    def close(self) -> None:
        """End the watch."""
        if self.watch is not None:
            self.watch.close()

    def _version(self) -> str:
        """Return the best version that the cluster serves; "" where it has none. Raises BackendError."""
        try:
            found = self._client.get(f"/apis/{GROUP}").get("versions")
        except errors.StatusError as error:
            if error.status == 404:
                return ""
            raise errors.of_status(error, f"look for {GROUP}", self._client.hint) from error
        served = {
            str(one.get("version")) for one in (found if isinstance(found, list) else []) if isinstance(one, Mapping)
        }
        return next((version for version in VERSIONS if version in served), "")

    def _moved(self, thing: Workload) -> None:
        watch = self.watch
        here = watch is not None and watch.items.get(thing.name) is not None
        with self._lock:
            if here:
                self._by_job[thing.job_uid] = thing
            elif (known := self._by_job.get(thing.job_uid)) is not None and known.name == thing.name:
                del self._by_job[thing.job_uid]
        self._changed(thing.job)
