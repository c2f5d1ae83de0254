"""What a backend's identity, and where its attempts were seen, are shown as: conditions of its document."""

from __future__ import annotations

import datetime as dt
from typing import Any

from orchestrator.service import contexts


def conditions(context: contexts.Context, name: str) -> list[dict[str, Any]]:
    """Return what is wrong with a backend's identity, as conditions."""
    world = context.world()
    found = world.identities.get(name)
    made: list[dict[str, Any]] = []
    for site in world.sites:
        if site.backend == name and (mark := site.elsewhere) is not None:
            text = (
                f"{site.name} says {mark.expected}; {mark.node} was seen in {mark.seen} ({mark.source}, "
                f"{mark.assurance.word}, attempt {mark.attempt}): comity backend confirm {name}"
            )
            made.append(_condition("SeenElsewhere", "CountryDiffers", text[:1000], mark.at))
        if site.backend == name and (lacking := site.unattested) is not None:
            text = f"{site.name}, attempt {lacking.attempt}: {lacking.detail}: comity backend confirm {name}"
            made.append(_condition("Unattested", lacking.code, text[:1000], lacking.at))
    if found is None:
        return made
    if found.changed_to is not None:
        text = f"pinned {found.pinned}, seen {found.changed_to or 'nothing'}: comity backend confirm {name}"
        made.append(_condition("IdentityChanged", "AnotherAnswers", text, found.changed_at))
    for reason, others in (("FactsDiffer", found.contradicts), ("CountedTwice", found.agrees)):
        if others:
            text = f"one and the same as {', '.join(others)}"
            made.append(_condition("IdentityShared", reason, text, None))
    return made


def _condition(type_: str, reason: str, message: str, since: dt.datetime | None) -> dict[str, Any]:
    at = None if since is None else since.isoformat().replace("+00:00", "Z")
    return {"type": type_, "status": True, "reason": reason, "message": message, "since": at}
