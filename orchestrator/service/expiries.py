"""When the facts of backends end, as their statuses and the metrics say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.inventory import expiries
from orchestrator.ports import stores
from orchestrator.service import contexts

EXPIRING = "FactsExpiring"


def conditions(context: contexts.Context, document: stores.Document) -> list[dict[str, Any]]:
    """Return ``FactsExpiring`` of a Backend whose facts, papers, claims or lists end within a month, or have ended.

    Of an Operator and the ControlPlane it speaks of their claims; their facts count for backends that rest on them.
    """
    world, today = context.world(), context.clock.now().date()
    match document.kind:
        case "Backend":
            found = expiries.next_of(world, today, backend=document.name).get(document.name)
        case "Operator":
            found = expiries.of_claims(world.proofs.operators.get(document.name, ()), today)
        case "ControlPlane":
            found = expiries.of_claims(world.proofs.control_plane, today)
        case _:
            return []
    threshold = found.threshold(today) if found is not None else None
    if found is None or threshold is None:
        return []
    left = (found.day - today).days + 1
    when = f"{found.what} held to {found.day}" if left <= 0 else f"{found.what} holds to {found.day}, {left} days more"
    reason = "Ended" if left <= 0 else f"Within{threshold}Days"
    return [{"type": EXPIRING, "status": True, "reason": reason, "message": f"{when}: renew it", "since": None}]


def seconds_left(context: contexts.Context) -> Mapping[str, float]:
    """Return for each backend how long until the first of its facts ends; negative: it has ended."""
    now = context.clock.now()
    return {name: one.seconds_left(now) for name, one in expiries.next_of(context.world(), now.date()).items()}
