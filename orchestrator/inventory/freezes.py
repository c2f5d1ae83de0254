"""Stops of new placements that somebody called: the store's own kind ``Freeze``, and which sites one covers. Pure.

Nobody declares that kind as a document; ``comity freeze`` and ``unfreeze`` write and take it away. What is stored and
cannot be read stops everything: a stop that is half understood is still a stop.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain import freezes, sites
from orchestrator.evidence import canonical
from orchestrator.ports import stores

KIND = "Freeze"
VERSION = 1
_UNREADABLE = sites.Frozen(
    None, None, None, "a stop is stored that cannot be read", "", dt.datetime.min.replace(tzinfo=dt.UTC)
)


def in_force(readable: Iterable[sites.Frozen], *, lost: bool) -> tuple[sites.Frozen, ...]:
    """Return every stop, the oldest first; ``lost``: one is stored that cannot be read."""
    found = sorted(readable, key=lambda one: (one.at, freezes.words(one)))
    return (_UNREADABLE, *found) if lost else tuple(found)


def over(site: sites.Site, frozen: Iterable[sites.Frozen]) -> sites.Frozen | None:
    """Return the first stop that covers a site; None: there is none."""
    return next((one for one in frozen if freezes.touch(one, site) is not None), None)


def name_of(frozen: sites.Frozen) -> str:
    """Return the name that it is stored under: one stop for one extent."""
    return str(canonical.digest([frozen.backend, frozen.operator, frozen.country])).removeprefix("sha256:")


def plain(frozen: sites.Frozen) -> dict[str, Any]:
    """Return it as JSON data."""
    extent = {"backend": frozen.backend, "operator": frozen.operator, "country": frozen.country}
    said = {"reason": frozen.reason, "by": frozen.by, "at": frozen.at.isoformat()}
    return {key: value for key, value in (extent | said).items() if value is not None}


def to_document(frozen: sites.Frozen, old: stores.Document | None) -> stores.Document:
    """Return the document to commit over the one that was read (None: there is none)."""
    body = canonical.dumps({"v": VERSION, **plain(frozen)}).decode()
    return stores.Document(KIND, name_of(frozen), "", body, old.version if old else 0)


def of_document(document: stores.Document) -> sites.Frozen:
    """Return what a stored document says. Raises ValueError."""
    try:
        value: Mapping[str, Any] = json.loads(document.body)
        if value["v"] != VERSION:
            raise ValueError(f"a stop of another version than {VERSION}")
        known = {"v", "backend", "operator", "country", "reason", "by", "at"}
        backend, operator, country = (value.get(name) for name in ("backend", "operator", "country"))
        if set(value) - known or not all(
            each is None or isinstance(each, str) for each in (backend, operator, country)
        ):
            raise ValueError("a stop with members of which nobody knows the meaning")
        at = dt.datetime.fromisoformat(value["at"])
        return sites.Frozen(backend, operator, country, str(value["reason"]), str(value["by"]), at)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a stop of new placements: {error!r}") from error
