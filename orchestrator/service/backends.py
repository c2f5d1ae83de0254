"""Operating a backend: look at it now, take it out of new placements, let it back in."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from orchestrator.domain import offers
from orchestrator.ports import backends, stores
from orchestrator.service import access, contexts, documents


@dataclass(frozen=True, slots=True)
class Checked:
    """What a live probe found."""

    name: str
    capabilities: offers.Capabilities
    found: Sequence[offers.Offer]
    identity: offers.PinnedIdentity | None


def check(context: contexts.Context, who: access.Principal, name: str) -> Future[Checked]:
    """Probe a backend now, through its bulkhead; a dead one fails with its code within the deadline."""
    access.require(who, access.OPERATES)
    documents.get(context, who, "Backend", name)

    def probe(adapter: backends.BackendAdapter) -> Checked:
        found = adapter.offers()
        identity = adapter.identity() if isinstance(adapter, backends.Identifies) else None
        return Checked(name, adapter.capabilities(), found, identity)

    return contexts.call_backend(context, name, probe)


def cordon(context: contexts.Context, who: access.Principal, name: str, *, closed: bool) -> stores.Document:
    """Take a backend out of new placements, or back in. What runs there goes on."""
    access.require(who, access.OPERATES)
    word = "backend.cordoned" if closed else "backend.uncordoned"
    return documents.set_status(context, who, "Backend", name, {"cordoned": closed}, word=word)
