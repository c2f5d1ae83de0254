"""Operating a backend: look at it now, take it out of new placements, let it back in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import ids, offers
from orchestrator.inventory import challenges, elsewhere, identities
from orchestrator.ports import backends, stores
from orchestrator.service import access, contexts, documents, problems


@dataclass(frozen=True, slots=True)
class Checked:
    """What a live probe found."""

    name: str
    capabilities: offers.Capabilities
    found: Sequence[offers.Offer]
    identity: offers.PinnedIdentity | None
    digest: ids.Digest | None
    """Of the identity, as it is pinned."""
    pinned: ids.Digest | None


def check(context: contexts.Context, who: access.Principal, name: str) -> Future[Checked]:
    """Probe a backend now, through its bulkhead; a dead one fails with its code within the deadline."""
    access.require(who, access.OPERATES)
    documents.get(context, who, "Backend", name)

    def probe(adapter: backends.BackendAdapter) -> Checked:
        found = adapter.offers()
        identity = adapter.identity() if isinstance(adapter, backends.Identifies) else None
        known = context.world().identities.get(name)
        pinned = known.pinned if known is not None else None
        return Checked(name, adapter.capabilities(), found, identity, identities.digest_of(identity), pinned)

    return contexts.call_backend(context, name, probe)


def confirm(
    context: contexts.Context, who: access.Principal, name: str, *, reason: str, identity: str | None
) -> Future[stores.Document]:
    """Pin what a backend proves itself by now, in place of what was pinned; who and why is journaled.

    Where an attempt was seen in another country than the document says, or was not attested as it should have been, its
    site is open again: somebody has looked.

    ``identity`` is the digest that the person looked at; None: whatever answers now. Raises ServiceError
    ``identity.other`` where something else answers, ``identity.none`` where the adapter cannot tell.
    """
    access.require_all(who, access.CONFIRMS)
    documents.get(context, who, "Backend", name)

    def probe(adapter: backends.BackendAdapter) -> offers.PinnedIdentity | None:
        return adapter.identity() if isinstance(adapter, backends.Identifies) else None

    def pin(found: offers.PinnedIdentity | None) -> stores.Document:
        digest = identities.digest_of(found)
        looked = _looked(context, name, {"by": who.token_id, "at": context.clock.now().isoformat(), "reason": reason})
        if digest is None and identity is None and looked:
            return documents.set_status(context, who, "Backend", name, looked, word="backend.marks-confirmed")
        if found is None or digest is None:
            text = f"the adapter of {name} recognises nothing, so there is nothing to pin"
            raise problems.ServiceError(problems.Kind.CONFLICT, "identity.none", text)
        if identity is not None and identity != digest:
            text = f"{digest} answers now, not {access.shown(identity, length=80)}: look again"
            raise problems.ServiceError(problems.Kind.CONFLICT, "identity.other", text)
        pinned = identities.pin(found, at=context.clock.now(), by=who.token_id) | {"reason": reason}
        members = {identities.PINNED: pinned, identities.CHANGED: None, **looked}
        return documents.set_status(context, who, "Backend", name, members, word="backend.identity-confirmed")

    return contexts.chain(contexts.call_backend(context, name, probe), pin)


def _looked(context: contexts.Context, name: str, said: dict[str, str]) -> dict[str, Any]:
    """Return what a status keeps of a look at a backend with marks on its sites; {}: it has none."""
    if not any(site.elsewhere or site.unattested for site in context.world().sites if site.backend == name):
        return {}
    return {elsewhere.ELSEWHERE: None, elsewhere.UNATTESTED: None, elsewhere.CONFIRMED: said}


def challenge(
    context: contexts.Context,
    who: access.Principal,
    name: str,
    *,
    nonce: Callable[[], str] = lambda: secrets.token_hex(32),
) -> stores.Document:
    """Give a challenge for the backend's verifier: a result that answers it is as fresh as the challenge."""
    access.require(who, access.OPERATES)
    stored = documents.get(context, who, "Backend", name)
    given = challenges.added(json.loads(stored.status), nonce(), at=context.clock.now(), by=who.token_id)
    return documents.set_status(
        context, who, "Backend", name, {challenges.CHALLENGES: given}, word="backend.challenged"
    )


def cordon(context: contexts.Context, who: access.Principal, name: str, *, closed: bool) -> stores.Document:
    """Take a backend out of new placements, or back in. What runs there goes on."""
    access.require(who, access.OPERATES)
    word = "backend.cordoned" if closed else "backend.uncordoned"
    return documents.set_status(context, who, "Backend", name, {"cordoned": closed}, word=word)
