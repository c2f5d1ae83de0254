"""Sites as people read them: what is judged, and what was last seen of it. Reading never waits for a backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.domain import offers, sites
from orchestrator.inventory import sightings, worlds
from orchestrator.service import access, contexts
from orchestrator.wire import quantities

PAGE_MAX = 500


def list_page(
    context: contexts.Context, who: access.Principal, *, limit: int, cursor: str | None
) -> tuple[Sequence[dict[str, Any]], str | None]:
    """Return sites in order of name, after ``cursor`` (a name)."""
    access.require(who, access.ANY)
    world = context.world()
    seen = context.inventory.sightings
    found = [site for site in world.sites if cursor is None or site.name > cursor]
    page = found[: min(limit, PAGE_MAX)]
    rows = [_document(site, seen.of(site.backend), world) for site in page]
    return rows, page[-1].name if len(found) > len(page) else None


def _document(site: sites.Site, seen: sightings.Sighting, world: worlds.World) -> dict[str, Any]:
    offer = seen.offer(site.name)
    return {
        "name": site.name,
        "backend": site.backend,
        "pool": site.pool,
        "adapter": site.adapter,
        "operator": site.operator_name,
        "parentHq": site.operator.ultimate_parent_hq if site.operator is not None else None,
        "country": site.location.country,
        "accelerator": site.accelerator,
        "count": site.count,
        "price": None if site.price_per_hour is None else quantities.format_money(site.price_per_hour),
        "capabilities": sorted(site.capabilities),
        "reachable": seen.reachable,
        "code": seen.error_code,
        "message": seen.error_message,
        "seenAt": None if seen.seen_at is None else seen.seen_at.isoformat().replace("+00:00", "Z"),
        "closed": world.closed(site),
        "offer": None if offer is None else offer_document(offer),
    }


def offer_document(offer: offers.Offer) -> dict[str, Any]:
    """Return an offer as JSON."""
    return {"site": offer.site, "free": _room(offer.free), "total": _room(offer.total), "detail": offer.detail}


def _room(room: offers.Room) -> dict[str, Any]:
    return {
        "cpus": room.cpu_milli / 1000,
        "memoryBytes": room.memory_bytes,
        "accelerators": room.accelerators,
        "slots": room.slots,
    }
