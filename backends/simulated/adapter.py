"""The port, spoken to a machine that only pretends."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from backends.simulated import attest, client, errors, observe, render, settings
from orchestrator.domain import ids, sites
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

T = TypeVar("T")

SLOTS = 64
"""Attempts at once in a pool that does not say its count."""
NODE_CPU_MILLI = 64_000
NODE_MEMORY_BYTES = 512 * 2**30
"""What one unit of a pool (an accelerator, or a slot) has beside itself, where the document does not say."""

_POWERS = frozenset(offer_values.Capability) - {
    offer_values.Capability.WATCHES,
    offer_values.Capability.SUSPENDS,
    offer_values.Capability.CHECKPOINTS,
    offer_values.Capability.ATTESTS,
}
_CAPABILITIES = offer_values.Capabilities(_POWERS, max_nodes=1024)
_ATTESTING = offer_values.Capabilities(_POWERS | {offer_values.Capability.ATTESTS}, max_nodes=1024)


class SimulatedAdapter(backends.BackendAdapter):
    """Thread-safe; all state is the machine's."""

    def __init__(self, wanted: settings.Settings, context: backends.AdapterContext, machine: client.Machine) -> None:
        self._wanted = wanted
        self._context = context
        self._machine = machine
        self._pools = {pool.name: pool for pool in context.pools} or {"default": sites.Pool("default", count=SLOTS)}
        self._calls = itertools.count()
        self._verifier = None if wanted.attestation is None else attest.Verifier(wanted.attestation)

    def capabilities(self) -> offer_values.Capabilities:
        """See the port."""
        return _CAPABILITIES if self._wanted.attestation is None else _ATTESTING

    def offers(self) -> Sequence[offer_values.Offer]:
        """See the port."""
        return self._faulty("offers", self._offers)

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """See the port."""
        order = render.order(placement, self._wanted)
        if order.pool not in self._pools:
            raise errors.unknown_pool(order.pool)

        def create() -> backends.Handle:
            return backends.Handle(
                self._machine.create(order, term=placement.fence.term, room=lambda used: self._fits(order, used))
            )

        return self._faulty("submit", create)

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """See the port."""
        lies = self._wanted.whereabouts
        return self._faulty(
            "observe", lambda: [observe.observation(ref, *self._machine.read(ref.key), lies) for ref in refs]
        )

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """See the port. A pretended attempt needs no grace."""
        self._faulty("stop", lambda: self._machine.end(ref.key, term=fence.term))

    def close(self) -> None:
        """See the port."""
        self._machine.close()

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """See ``ListsOwned``."""
        live = self._machine.current()
        return [backends.AttemptRef(ids.AttemptKey(key), key, live[key].accepted_at) for key in sorted(live)]

    def forget(self, ref: backends.AttemptRef) -> None:
        """See ``ListsOwned``."""
        self._machine.drop(ref.key)

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """See ``StreamsLogs``: each rank says that it runs, and that it is done."""
        record, now = self._machine.read(ref.key)
        text = b""
        if record is not None and record.order is not None and record.starts_at <= now:
            ranks = range(record.order.nodes) if node is None else [node]
            text = b"".join(f"{ref.key} rank {rank}: pretending to run\n".encode() for rank in ranks)
            if record.ends_at <= now:
                text += b"done\n"
        start = int(cursor) if cursor is not None and cursor.isdecimal() else 0
        data = text[start : start + max(limit, 0)]
        end = str(start + len(data))
        return ([backends.LogChunk(data, end, node or 0)] if data else []), end

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """See ``Copies``."""
        return [(path, len(data)) for path, data in self._outputs(ref).items()]

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """See ``Copies``."""
        found = self._outputs(ref)
        if path not in found:
            raise errors.no_output(path)
        return iter([found[path]])

    def attest(self, ref: backends.AttemptRef, *, nonce: str, audience: str) -> str | None:
        """See ``Attests``."""
        record, now = self._machine.read(ref.key)
        wanted, verifier = self._wanted.attestation, self._verifier
        if wanted is None or verifier is None or record is None or record.order is None:
            return None
        if now < record.starts_at + dt.timedelta(seconds=wanted.ready_after):
            return None
        return self._faulty("attest", lambda: verifier.result(ref.key, nonce, audience, now))

    def identity(self) -> offer_values.PinnedIdentity:
        """See ``Identifies``: what the settings pretend, else the backend's name; another seed is no other machine."""
        return offer_values.PinnedIdentity((("simulated", self._wanted.identity or self._context.backend),))

    def _outputs(self, ref: backends.AttemptRef) -> dict[str, bytes]:
        record, now = self._machine.read(ref.key)
        if record is None or record.order is None or record.ends_at > now:
            return {}
        return {path: render.content(record.order, path) for path in record.order.outputs}

    def _offers(self) -> Sequence[offer_values.Offer]:
        now = self._context.now()
        live: dict[str, set[ids.AttemptKey]] = {}
        for record in self._machine.current().values():
            if record.order is not None:
                live.setdefault(record.order.pool, set()).add(ids.AttemptKey(record.key))
        return [self._offer(pool, frozenset(live.get(pool.name, ())), now) for pool in self._pools.values()]

    def _offer(self, pool: sites.Pool, counted: frozenset[ids.AttemptKey], now: dt.datetime) -> offer_values.Offer:
        total = total_of(pool)
        return offer_values.Offer(
            site=ids.SiteName(f"{self._context.backend}/{pool.name}"),
            free=_less(total, self._machine.used(pool.name)),
            total=total,
            observed_at=now,
            counted=counted,
            pool=None if self._context.pools else pool,
        )

    def _fits(self, order: render.Order, used: client.Used) -> bool:
        """Say whether the whole attempt fits; a gang is taken whole or not at all."""
        left = _less(total_of(self._pools[order.pool]), used)
        enough = (
            order.cpu_milli <= left.cpu_milli
            and order.memory_bytes <= left.memory_bytes
            and order.accelerators <= left.accelerators
        )
        return enough and (left.slots is None or left.slots >= 1)

    def _faulty(self, verb: str, what: Callable[[], T]) -> T:
        faults = self._wanted.faults
        if not (faults.error or faults.lost_reply):
            return what()
        number = next(self._calls)
        if render.share(self._wanted.seed, verb, number, "error") < faults.error:
            raise errors.no_effect()
        result = what()
        if render.share(self._wanted.seed, verb, number, "lost") < faults.lost_reply:
            raise errors.lost_reply()
        return result


class SimulatedPlugin:
    """What the entry point names."""

    name = "simulated"
    port_version = backends.PORT_VERSION
    summary = "pretends to run jobs: for trying things out, tests and benchmarks"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.Settings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter whose machine keeps its record in the state folder."""
        wanted = settings.Settings.read(settings_)
        return SimulatedAdapter(wanted, context, client.Machine(context.now, context.state_folder))


def total_of(pool: sites.Pool) -> offer_values.Room:
    """Return all there is in a pool."""
    count = pool.count if pool.count is not None else SLOTS
    return offer_values.Room(
        cpu_milli=pool.cpu_milli if pool.cpu_milli is not None else count * NODE_CPU_MILLI,
        memory_bytes=pool.memory_bytes if pool.memory_bytes is not None else count * NODE_MEMORY_BYTES,
        accelerators=count if pool.accelerator is not None else 0,
        slots=None if pool.accelerator is not None else count,
    )


def _less(total: offer_values.Room, used: client.Used) -> offer_values.Room:
    return offer_values.Room(
        cpu_milli=total.cpu_milli - used.cpu_milli,
        memory_bytes=total.memory_bytes - used.memory_bytes,
        accelerators=total.accelerators - used.accelerators,
        slots=None if total.slots is None else total.slots - used.attempts,
    )
