"""How the installation stands, as stored: one document of the store's own kind ``Standing``.

Nobody declares or reads that kind over HTTP; the server writes it when it starts. It says whether one person may hold
every right, and which packs were in force last, so that what was loosened meanwhile is told at the next start. Trusted
issuers are not in it: their keeper journals each with name and reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import modes
from orchestrator.ports import stores

KIND = "Standing"
NAME = "installation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """``packs`` None: not noted yet."""

    mode: modes.Mode = modes.Mode.ONE_PERSON
    packs: tuple[str, ...] | None = None


def of_document(document: stores.Document) -> Standing:
    """Return what a stored document says. Raises ValueError for damage and for another version."""
    try:
        value: dict[str, Any] = json.loads(document.body)
        if value["v"] != VERSION:
            raise ValueError(f"a stored standing of another version than {VERSION}")
        packs = value["packs"]
        return Standing(modes.Mode(value["mode"]), None if packs is None else tuple(map(str, packs)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a standing: {error!r}") from error


def to_document(standing: Standing, *, version: int) -> stores.Document:
    """Return the document to commit over the one read at ``version`` (0: there is none)."""
    packs = None if standing.packs is None else list(standing.packs)
    value = {"v": VERSION, "mode": standing.mode.value, "packs": packs}
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return stores.Document(kind=KIND, name=NAME, tenant="", body=body, version=version)


def mode_of(document: stores.Document | None) -> modes.Mode:
    """Return the mode in force: that of a first start where nothing is stored, the strict one where it is damaged."""
    try:
        return Standing().mode if document is None else of_document(document).mode
    except ValueError:
        return modes.Mode.SEPARATE_ROLES
