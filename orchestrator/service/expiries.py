"""When the facts of backends end, as their statuses and the metrics say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.inventory import expiries
from orchestrator.ports import stores
from orchestrator.service import contexts

EXPIRING = "FactsExpiring"


def conditions(context: contexts.Context, document: stores.Document) -> list[dict[str, Any]]:
    """Return ``FactsExpiring`` of a Backend whose facts, papers or lists end within a month, or have ended."""
    if document.kind != "Backend":
        return []
    today = context.clock.now().date()
    found = expiries.next_of(context.world(), today, backend=document.name).get(document.name)
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
