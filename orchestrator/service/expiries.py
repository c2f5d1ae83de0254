"""When the facts of backends end, as their statuses and the metrics say it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.inventory import expiries
from orchestrator.ports import stores
from orchestrator.service import contexts

EXPIRING = "FactsExpiring"
_TEXT_MAX = 1_000
_NAMED_MAX = 900
"""Characters after which ends are counted and not named."""


def conditions(context: contexts.Context, document: stores.Document) -> list[dict[str, Any]]:
    """Return ``FactsExpiring`` of a Backend whose facts, papers, claims or lists end within a month, or have ended.

    It names every one that does; the reason is that of the first.
    Of an Operator and the ControlPlane it speaks of their claims; their facts count for backends that rest on them.
    """
    world, today = context.world(), context.clock.now().date()
    match document.kind:
        case "Backend":
            found = expiries.of_backends(world, today, backend=document.name).get(document.name, ())
        case "Operator":
            found = expiries.of_claims(world.proofs.operators.get(document.name, ()), today)
        case "ControlPlane":
            found = expiries.of_claims(world.proofs.control_plane, today)
        case _:
            return []
    due = [one for one in found if one.threshold(today) is not None]
    if not due:
        return []
    reason = "Ended" if _days_left(due[0], today) <= 0 else f"Within{due[0].threshold(today)}Days"
    text = f"{_sentence(due, today)}: renew {'it' if len(due) == 1 else 'them'}"
    return [{"type": EXPIRING, "status": True, "reason": reason, "message": text[:_TEXT_MAX], "since": None}]


def seconds_left(context: contexts.Context) -> Mapping[str, float]:
    """Return for each backend how long until the first of its facts ends; negative: it has ended."""
    now = context.clock.now()
    ends = expiries.of_backends(context.world(), now.date())
    return {name: found[0].seconds_left(now) for name, found in ends.items()}


def _days_left(one: expiries.Expiry, today: dt.date) -> int:
    """Return the days that it still holds on, today included."""
    return (one.day - today).days + 1


def _sentence(due: Sequence[expiries.Expiry], today: dt.date) -> str:
    parts: list[str] = []
    for number, one in enumerate(due):
        left = _days_left(one, today)
        days = "1 day" if left == 1 else f"{left} days"
        said = f"{one.what} held to {one.day}" if left <= 0 else f"{one.what} holds to {one.day}, {days} more"
        if parts and sum(map(len, parts)) + len(said) > _NAMED_MAX:
            return f"{'; '.join(parts)}; and {len(due) - number} more"
        parts.append(said)
    return "; ".join(parts)
