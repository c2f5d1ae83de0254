"""The verbs of the port where a namespace's jobs are RayJobs of KubeRay (ADR 0030). None waits, none retries."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Sequence

from backends.kubernetes import (
    caches,
    checks,
    client,
    errors,
    holdings,
    logs,
    names,
    observe,
    pieces,
    raycluster,
    raylaunches,
    raystates,
    rayviews,
    rooms,
    views,
)
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

POWERS = frozenset(
    {
        offer_values.Capability.CONTAINERS,
        offer_values.Capability.WORKDIR,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.LISTS_OWNED,
        offer_values.Capability.WATCHES,
    }
)

HEADLESS_S, HEADLESS_MAX = 30.0, 10_000
FOLLOW_MAX = dt.timedelta(seconds=60)
"""How long a submitter may go on after the end: it writes the rest of the log."""


class RayJobAdapter(backends.BackendAdapter):
    """One namespace of one cluster with KubeRay. Safe to call from any thread."""

    def __init__(
        self, wanted: schema.KubernetesSettings, context: backends.AdapterContext, talk: client.Client
    ) -> None:
        self._wanted = wanted
        self._context = context
        self._client = talk
        self._workers = wanted.rayjobs.workers if wanted.rayjobs is not None else 0
        self._cluster = raycluster.RayCluster(talk, wanted, context.backend, context.installation)
        self._launches = raylaunches.RayLaunches(talk, self._cluster, wanted, context)
        self._checks = checks.Checks(talk, wanted)
        self._headless_s: dict[str, float] = {}
        """Key -> since when its head is gone, monotonic."""

    def capabilities(self) -> offer_values.Capabilities:
        """Return what RayJobs can do. A gang runs its command on every node, a RayJob once: no gangs."""
        more = {offer_values.Capability.IMAGE_TAGS} if self._wanted.image_tags else set()
        if self._wanted.secrets:
            more.add(offer_values.Capability.SECRETS)
        return offer_values.Capabilities(POWERS | more, max_nodes=1)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool; without KubeRay each offers nothing, and says why."""
        base = self._cluster.base
        base.pulse()
        self._checks.due()
        served = self._cluster.served()
        if served:
            self._cluster.ready()
        live, now = [job.job for job in self._cluster.live()], self._context.now()
        found = [
            rooms.offer(
                self._context.backend,
                pool,
                base.nodes.items,
                holdings.held(job for job in live if job.pool == names.label(pool.name)),
                self._wanted,
                now,
                declared=bool(self._context.pools),
            )
            for pool in rooms.pools(self._context.pools, self._wanted)
        ]
        return [self._shared(one) if served else rooms.closed(one, raycluster.missing()) for one in found]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the RayJob of this key; see the port. A key that was stopped before is refused."""
        return backends.Handle(raystates.handle_of(self._launches.launch(placement)))

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, from what is watched; what is not there is asked for before it is GONE."""
        self._cluster.ready()
        return [self._observe(ref) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask the attempt to end; one that never came never will. The grace is that of its pods."""
        self._launches.stop(str(ref.key))

    def close(self) -> None:
        """End the watches. Attempts go on."""
        self._cluster.close()
        self._client.close()

    # --- further powers -----------------------------------------------------------------------------------------------

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our marks that is not over."""
        self._cluster.ready()
        self._launches.sweep()
        return [
            backends.AttemptRef(ids.AttemptKey(job.name), raystates.handle_of(job), job.job.created)
            for job in self._cluster.live()
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove an attempt that is over, with its pods and logs. One that is not stays."""
        self._cluster.ready()
        job = self._cluster.job(str(ref.key))
        if job is not None and self._cluster.ours(job) and job.over:
            self._launches.remove(job)

    def watch(self, nudge: Callable[[], None]) -> None:
        """Nudge when an attempt gets on."""
        self._cluster.watch(nudge)

    def identity(self) -> offer_values.PinnedIdentity:
        """Return what recognises this cluster: UID of its kube-system, and the certificates that vouch for it."""
        return self._cluster.base.identity()

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what the command has printed after ``cursor``, as its submitter repeats it, with Ray's own lines."""
        self._cluster.ready()
        job = self._cluster.job(str(ref.key))
        if job is None:
            if ref.handle is not None:
                raise errors.no_log(str(ref.key))
            return [], cursor or ""
        pods = [one.pod for one in self._cluster.pods_of(job.name) if one.role == rayviews.SUBMITTER]
        there = observe.newest([pod for pod in pods if not pod.gone])
        if job.over and not there and job.ran is not None:
            raise errors.no_log(str(ref.key))
        (place,) = logs.places(cursor, 1)
        if node not in (None, 0) or place.over:
            return [], logs.text([place])
        data, place = pieces.piece(self._client, self._cluster.base.pods_path, there.get(0), place, limit)
        text = logs.text([place])
        return ([backends.LogChunk(data, text, 0)] if data else []), text

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef) -> backends.Observation:
        """Return what one attempt is; UNKNOWN where the API server does not say."""
        key = str(ref.key)
        try:
            job = self._cluster.job(key)
        except port_errors.BackendError as error:
            return backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=error.message)
        if job is None or not self._cluster.ours(job):
            return caches.gone(key)
        if ref.handle is not None and ref.handle != raystates.handle_of(job) and not job.job.stopped:
            return caches.gone(key, "another RayJob has its name now")
        pods = self._cluster.pods_of(key)
        if job.over:
            self._headless_s.pop(key, None)
            self._tidy(job, pods)
        elif not job.ending:
            self._mend(job, pods)
        return raystates.observation(job, pods, self._cluster.base.nodes.items, self._wanted)

    def _mend(self, job: rayviews.RayJob, pods: Sequence[rayviews.Pod]) -> None:
        """End one whose pods can never start, or whose head is gone. Failures are left to the next look."""
        if self._is_lost(job, pods):
            self._end(job, f"{raystates.HEAD_LOST}its head is gone, and no other is made")
            return
        patience = dt.timedelta(seconds=self._wanted.image_pull_seconds)
        for one in pods:
            if not one.pod.gone and (why := observe.hopeless(one.pod, self._context.now(), patience)):
                self._end(job, why)
                return

    def _end(self, job: rayviews.RayJob, why: str) -> None:
        try:
            self._launches.give_up(job, why)
        except port_errors.BackendError:
            pass

    def _is_lost(self, job: rayviews.RayJob, pods: Sequence[rayviews.Pod]) -> bool:
        """Say whether its head has been gone for longer than its submitter takes to notice."""
        if not raystates.headless(job, pods):
            self._headless_s.pop(job.name, None)
            return False
        now_s = time.monotonic()
        if len(self._headless_s) > HEADLESS_MAX:
            self._headless_s.clear()
        return now_s - self._headless_s.setdefault(job.name, now_s) > HEADLESS_S

    def _tidy(self, job: rayviews.RayJob, pods: Sequence[rayviews.Pod]) -> None:
        """End a submitter that does not see that all is over: where the head's node is lost its connection stays."""
        if job.closed is None or self._context.now() - job.closed < FOLLOW_MAX:
            return
        if any(one.role == rayviews.SUBMITTER and _runs(one.pod) for one in pods):
            try:
                self._launches.end_submitter(job.name)
            except port_errors.BackendError:
                pass

    def _shared(self, found: offer_values.Offer) -> offer_values.Offer:
        """Return an offer in units of what jobs ask for: each takes as much again for each worker."""
        words = f"RayJobs, {self._workers} workers each" if self._workers else "RayJobs"
        return dataclasses.replace(
            found,
            free=self._divided(found.free),
            total=self._divided(found.total),
            detail=f"{found.detail}; {words}",
        )

    def _divided(self, room: offer_values.Room) -> offer_values.Room:
        nodes = 1 + self._workers
        return offer_values.Room(
            cpu_milli=room.cpu_milli // nodes,
            memory_bytes=room.memory_bytes // nodes,
            accelerators=room.accelerators // nodes,
            slots=None if room.slots is None else room.slots // (nodes + 1),
        )


def _runs(pod: views.Pod) -> bool:
    return not pod.gone and not pod.deleting and pod.exit_code is None and pod.phase in ("Pending", "Running")
