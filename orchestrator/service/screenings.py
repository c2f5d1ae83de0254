"""What the sanctions lists in force say about operators, and what is wrong with the lists: as statuses show it."""

from __future__ import annotations

from typing import Any

from orchestrator.domain import listings
from orchestrator.service import contexts


def shown(context: contexts.Context, operator: str) -> dict[str, Any]:
    """Return what the lists say about an operator now, as its status says it; empty where no list is in force."""
    found = context.world().screenings.get(operator)
    if found is None:
        return {}
    day = context.clock.now().date()
    open_ = found.open(day)
    return {
        "screening": {
            "listed": any(hit.percent is None for hit in found.identified),
            "ownedByListedPercent": found.owned_percent,
            "ownersUnknownPercent": found.unknown_percent,
            "stale": list(found.stale(day)),
            "identified": [_hit(hit) for hit in found.identified],
            "review": [_hit(hit) for hit in open_],
            "cleared": [_hit(hit) for hit in found.reviews if hit not in open_],
        }
    }


def conditions(context: contexts.Context) -> list[dict[str, Any]]:
    """Return a condition for each list that failed, is missing or too old; the control plane has them."""
    screener = context.inventory.screener()
    if screener is None:
        return []
    lists, day = screener.lists, context.clock.now().date()
    made = [
        _condition("ListFailed", one.list, one.text + ("; the last good copy is in force" if one.kept else ""))
        for one in lists.problems
    ]
    made += [
        _condition("ListStale", one.list, f"good until {one.fresh_to}: import a newer copy")
        for one in lists.snapshots
        if day > one.fresh_to
    ]
    return made


def days_left(context: contexts.Context) -> dict[str, int]:
    """Return for each list how many days it may still be relied on; -1: not any more, or it is missing."""
    screener = context.inventory.screener()
    if screener is None:
        return {}
    day = context.clock.now().date()
    left = {one.list: max(-1, (one.fresh_to - day).days) for one in screener.lists.snapshots}
    return left | dict.fromkeys(screener.lists.missing, -1)


def _hit(hit: listings.Hit) -> dict[str, Any]:
    owner = {} if hit.percent is None else {"percent": hit.percent}
    return {
        "list": hit.list,
        "regime": hit.regime,
        "entry": hit.entry,
        "name": hit.entry_name,
        "party": hit.party,
        "by": hit.by,
        "matched": hit.matched,
        **owner,
    }


def _condition(type_: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": type_, "status": True, "reason": reason, "message": message[:1000], "since": None}
