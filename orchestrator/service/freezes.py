"""Stopping new placements now, at a backend, an operator, a country or everywhere, and letting them begin again.

What runs goes on. A stop is journaled with who called it and why, is a reason of every site that it covers, and counts
from the next plan on; what was placed and not launched yet is placed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.domain import freezes as extents
from orchestrator.domain import journal, sites
from orchestrator.inventory import freezes
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

READS = (access.Role.OPERATE, access.Role.POLICY, access.Role.AUDIT)
CALLS = (access.Role.OPERATE, access.Role.POLICY)
FREEZES_MAX = 100
CONDITION = "Frozen"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to stop, and why. What is None does not narrow it."""

    reason: str
    backend: str | None = None
    operator: str | None = None
    country: str | None = None


def listed(context: contexts.Context, who: access.Principal) -> list[dict[str, Any]]:
    """Return every stop in force, oldest first, each with the sites that it covers."""
    access.require(who, READS)
    return [_shown(context, one) for one in context.world().freezes]


def freeze(context: contexts.Context, who: access.Principal, wish: Wish) -> dict[str, Any]:
    """Stop new placements; for an extent that is stopped already the reason is replaced.

    Raises ServiceError ``freeze.unknown`` for a backend or operator that is not declared: it would stop nothing.
    """
    access.require(who, CALLS)
    _check(context, wish)
    for _ in range(contexts.CONFLICT_TRIES):
        made = _made(context, who, wish)
        old = context.store.document(freezes.KIND, freezes.name_of(made), tenant="")
        if old is None and len(context.store.documents(freezes.KIND)) >= FREEZES_MAX:
            text = f"{FREEZES_MAX} stops are in force: stop something larger, or end some (comity unfreeze)"
            raise problems.ServiceError(problems.Kind.CONFLICT, "freeze.too-many", text)
        document = freezes.to_document(made, old)
        entry = _entry(context, who, "placements.frozen", document, freezes.plain(made))
        try:
            contexts.commit(context, stores.Changes(documents=(document,), entries=(entry,)))
        except stores.VersionConflictError:
            continue
        return _shown(context, made)
    raise _busy()


def unfreeze(context: contexts.Context, who: access.Principal, wish: Wish) -> dict[str, Any]:
    """End the stop of just this extent. Raises ServiceError ``freeze.not-found`` with those that are in force."""
    access.require(who, CALLS)
    for _ in range(contexts.CONFLICT_TRIES):
        asked = _made(context, who, wish)
        old = context.store.document(freezes.KIND, freezes.name_of(asked), tenant="")
        if old is None:
            raise _not_found(context, asked)
        entry = _entry(context, who, "placements.unfrozen", old, freezes.plain(asked))
        gone = (*old.key, old.version)
        try:
            contexts.commit(context, stores.Changes(delete_documents=(gone,), entries=(entry,)))
        except stores.VersionConflictError:
            continue
        left = [_shown(context, one) for one in context.world().freezes]
        return {**freezes.plain(asked), "left": left}
    raise _busy()


def conditions(context: contexts.Context) -> list[dict[str, Any]]:
    """Return ``Frozen`` for each stop in force; the control plane has them."""
    return [
        {
            "type": CONDITION,
            "status": True,
            "reason": extents.words(one) or "all",
            "message": f"new placements are stopped: {one.reason}"[:1000],
            "since": _moment(one) if one.by else None,
        }
        for one in context.world().freezes
    ]


def _check(context: contexts.Context, wish: Wish) -> None:
    world = context.world()
    for kind, name, known in (("backend", wish.backend, world.backends), ("operator", wish.operator, world.operators)):
        if name is not None and name not in known:
            text = f"{kind} {access.shown(name)} is not declared, so this would stop nothing: see comity get {kind}s"
            raise problems.ServiceError(problems.Kind.NOT_FOUND, "freeze.unknown", text)


def _made(context: contexts.Context, who: access.Principal, wish: Wish) -> sites.Frozen:
    return sites.Frozen(wish.backend, wish.operator, wish.country, wish.reason, who.token_id, context.clock.now())


def _shown(context: contexts.Context, frozen: sites.Frozen) -> dict[str, Any]:
    covered = [site for site in context.world().sites if extents.touch(frozen, site) is not None]
    return {**freezes.plain(frozen), "at": _moment(frozen), "sites": [str(site.name) for site in covered]}


def _moment(frozen: sites.Frozen) -> str:
    return frozen.at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _entry(
    context: contexts.Context, who: access.Principal, word: str, document: stores.Document, body: dict[str, Any]
) -> journal.Entry:
    body = {**body, "mode": who.mode.value}
    return journal.Entry(word, f"freeze/{document.name}", context.clock.now(), who.token_id, body, None)


def _not_found(context: contexts.Context, asked: sites.Frozen) -> problems.ServiceError:
    there = [extents.words(one) or "everything" for one in context.world().freezes]
    text = (
        f"nothing is stopped by just this ({extents.words(asked) or 'everything'}); in force: "
        f"{'; '.join(there) or 'none'}. End a stop with the same words that called it"
    )
    return problems.ServiceError(problems.Kind.NOT_FOUND, "freeze.not-found", text)


def _busy() -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", "it changes too quickly: try again")
