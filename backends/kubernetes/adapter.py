"""The verbs of the port, in one namespace of a cluster. Each asks the API server at most a few things; none waits.

What is true is in the cluster: an adapter object that comes later, in another process, says the same. The key is the
name of the Job, so a submit whose answer was lost is found, and a stop leaves the name taken.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence

from backends.kubernetes import (
    caches,
    checks,
    client,
    decided,
    devices,
    egress,
    errors,
    kubeconfigs,
    launches,
    logs,
    mending,
    names,
    observe,
    outputs,
    pieces,
    published,
    queues,
    rayadapter,
    render,
    rooms,
    stops,
)
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.domain import offers as offer_values
from orchestrator.domain import sites
from orchestrator.ports import backends
from orchestrator.settings import adapters

LOOKS_MAX = 20
"""Keys that are asked for one by one; more of them make everything be listed instead."""

POWERS = frozenset(
    {
        offer_values.Capability.CONTAINERS,
        offer_values.Capability.GANGS,
        offer_values.Capability.WORKDIR,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.LISTS_OWNED,
        offer_values.Capability.WATCHES,
    }
)


def build(settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
    """Return an adapter. Raises ``SettingsError`` with every problem at once. No I/O."""
    wanted = schema.KubernetesSettings.read(settings)
    access = None
    if wanted.kubeconfig is not None:
        try:
            access = kubeconfigs.read(wanted.kubeconfig, wanted.context, client.programs())
        except kubeconfigs.KubeconfigError as error:
            raise adapters.SettingsError([f"kubeconfig: {error}"]) from None
    unknown = sorted(set(wanted.pools) - {pool.name for pool in context.pools}) if context.pools else []
    if unknown:
        raise adapters.SettingsError([f"pools.{name}: the document has no pool of this name" for name in unknown])
    talk = client.Client(access, context.state_folder)
    if wanted.rayjobs is not None:
        return rayadapter.RayJobAdapter(wanted, context, talk)
    return KubernetesAdapter(wanted, context, talk, published.hub(wanted.placement_decisions, talk, context))


class KubernetesAdapter(backends.BackendAdapter):
    """One namespace of one cluster. Safe to call from any thread."""

    def __init__(
        self,
        wanted: schema.KubernetesSettings,
        context: backends.AdapterContext,
        talk: client.Client,
        hub: client.Client,
    ) -> None:
        self._wanted = wanted
        self._context = context
        self._client = talk
        self._cluster = caches.Cluster(talk, wanted, context.backend, context.installation)
        book = decided.Book(talk, wanted.namespace, fence=wanted.fence)
        self._launches = launches.Launches(talk, self._cluster, wanted, context, book)
        self._stops = stops.Stops(talk, self._cluster, wanted, context, book)
        self._outputs = outputs.Outputs(talk, self._cluster, wanted, context, book)
        self._mending = mending.Mending(talk, self._cluster, wanted, context.now, self._stops.give_up)
        self._checks = checks.Checks(talk, wanted)
        mark = published.owner(context.installation, context.backend)
        self._published = published.Published(hub, self._cluster, wanted.placement_decisions, mark, context.now)

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a namespace can do."""
        tags = {offer_values.Capability.IMAGE_TAGS} if self._wanted.image_tags else set()
        if self._wanted.outputs is not None:
            tags |= {offer_values.Capability.OUTPUTS, offer_values.Capability.COPIES}
        if self._wanted.command_image is not None:
            tags.add(offer_values.Capability.PROCESSES)
        if self._wanted.secrets:
            tags.add(offer_values.Capability.SECRETS)
        tags |= egress.powers(self._wanted.network_policy)
        return offer_values.Capabilities(POWERS | tags, max_nodes=render.NODES_MAX)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool. Asks the API server who it is, and, now and then, whether we may do all we do."""
        self._cluster.pulse()
        self._checks.due()
        self._cluster.ready()
        now = self._context.now()
        return [
            self._queued(
                pool.name,
                rooms.offer(
                    self._context.backend,
                    pool,
                    self._cluster.nodes.items,
                    self._cluster.held(pool.name),
                    self._wanted,
                    now,
                    declared=bool(self._context.pools),
                    seen=self._seen(pool),
                ),
            )
            for pool in rooms.pools(self._context.pools, self._wanted)
        ]

    def _seen(self, pool: sites.Pool) -> rooms.Seen:
        """Return what is known of a pool beside its nodes and Jobs."""
        wanted = self._wanted
        device = devices.device(pool.accelerator, wanted.accelerators) if pool.accelerator else None
        counted = None
        if device is not None and device.device_class is not None:
            counted = self._cluster.slices.count((device, *wanted.pool(pool.name).alternatives))
        return rooms.Seen(self._cluster.others.on if wanted.see_others else None, counted)

    def _queued(self, pool: str, found: offer_values.Offer) -> offer_values.Offer:
        """Return the offer of a pool; one whose jobs nobody would ever let begin takes none."""
        queue = self._wanted.pool(pool).queue
        if queue is None or not self._cluster.queues.missing:
            return self._published.noted(found)
        return rooms.closed(found, f"queue {queue}: this cluster has no Kueue ({', '.join(queues.VERSIONS)})")

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the Job of this key; see the port. A key that was stopped before is refused."""
        job = self._launches.launch(placement)
        self._published.nudge()
        return backends.Handle(observe.handle_of(job))

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, from what is watched; what is not there is asked for before it is GONE."""
        self._cluster.ready()
        missing = [ref for ref in refs if ref.key not in self._cluster.jobs.items and names.parse_key(ref.key)]
        if len(missing) > LOOKS_MAX:
            self._list_again()
        return [self._observe(ref, ask=len(missing) <= LOOKS_MAX) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask the attempt to end; one that never came never will."""
        self._stops.stop(str(ref.key), grace)

    def close(self) -> None:
        """End the watches. Attempts go on."""
        self._published.close()
        self._cluster.close()
        self._client.close()

    # --- further powers -----------------------------------------------------------------------------------------------

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our marks that is not over."""
        self._cluster.ready()
        self._launches.sweep()
        self._outputs.sweep()
        self._published.nudge()
        return [
            backends.AttemptRef(self._cluster.observation(job).key, observe.handle_of(job), job.created)
            for job in self._cluster.live()
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove an attempt that is over, with its pods, logs and outputs. One that is not stays."""
        self._cluster.ready()
        job = self._cluster.job(str(ref.key))
        if job is not None and self._cluster.ours(job) and job.over:
            self._outputs.forget(job)
            self._stops.remove(job)
            self._published.nudge()

    def watch(self, nudge: Callable[[], None]) -> None:
        """Nudge when an attempt gets on."""
        self._cluster.watch(nudge)

    def news(self, cursor: str | None) -> backends.News:
        """Return which attempts changed since ``cursor``. Raises BackendError where what is known is too old."""
        self._cluster.ready()
        return self._cluster.news.since(cursor)

    def identity(self) -> offer_values.PinnedIdentity:
        """Return what recognises this cluster: UID of its kube-system, and the certificates that vouch for it."""
        return self._cluster.identity()

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the logs after ``cursor``; see :mod:`backends.kubernetes.logs`."""
        self._cluster.ready()
        job = self._cluster.job(str(ref.key))
        if job is None:
            if ref.handle is not None:
                raise errors.no_log(str(ref.key))
            return [], cursor or ""
        pods = observe.newest([pod for pod in self._cluster.pods_of(job) if not pod.gone])
        if job.over and not pods and job.started is not None:
            raise errors.no_log(str(ref.key))
        found = logs.places(cursor, job.nodes)
        chunks: list[backends.LogChunk] = []
        ranks = [rank for rank in range(job.nodes) if node in (None, rank) and not found[rank].over]
        for number, rank in enumerate(ranks):
            share = limit // (len(ranks) - number)
            if share <= 0:
                break
            data, found[rank] = pieces.piece(self._client, self._cluster.pods_path, pods.get(rank), found[rank], share)
            if data:
                limit -= len(data)
                chunks.append(backends.LogChunk(data, logs.text(found), rank))
        return chunks, logs.text(found)

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (path, size in bytes) of each file kept; none where the settings keep none."""
        return self._outputs.files(ref)

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """Yield the bytes of one kept file; see :mod:`backends.kubernetes.outputs`."""
        return self._outputs.read(ref, path)

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef, *, ask: bool) -> backends.Observation:
        """Return what one attempt is; UNKNOWN where the API server does not say."""
        key = str(ref.key)
        try:
            job = self._cluster.job(key) if ask else self._cluster.jobs.items.get(key)
        except port_errors.BackendError as error:
            return backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=error.message)
        if job is None or not self._cluster.ours(job):
            return caches.gone(key)
        if ref.handle is not None and ref.handle != observe.handle_of(job) and not job.stopped:
            return caches.gone(key, "another Job has its name now")
        seen = self._cluster.observation(job)
        if seen.outcome is None and self._mending.needed(job):
            self._mending.mend(job)
        return self._outputs.told(seen, job)

    def _list_again(self) -> None:
        try:
            self._cluster.jobs.list()
        except errors.StatusError as error:
            raise errors.of_status(error, "list Jobs", self._client.hint) from error
