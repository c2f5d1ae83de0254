"""What each backend proved itself by: pinned in the status of its document, compared with others, judged. Pure.

A pin is ``status.identity`` of a Backend, ``{digest, values, since, by}``; another identity that was seen since, and
that nobody has confirmed, is ``status.identityChanged``, ``{digest, values, at}``. Damage counts as changed: nobody
knows any more what was pinned.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from orchestrator.domain import ids, offers, sites
from orchestrator.evidence import canonical
from orchestrator.inventory import digests

PINNED, CHANGED = "identity", "identityChanged"
VALUES_MAX = 16
TEXT_MAX = 256

_FACTS = (
    *("operator", "service", "location", "admin_from", "log_store", "log_retention_days", "certifications"),
    *("evidence", "seal", "china_state_funded", "carbon"),
)
_POOL_FACTS = ("operator", "location", "admin_from", "log_store", "certifications")


def digest_of(identity: offers.PinnedIdentity | None) -> ids.Digest | None:
    """Return the digest of an identity; None where there is nothing to recognise, or nothing sane."""
    if identity is None or not 0 < len(identity.values) <= VALUES_MAX:
        return None
    values = dict(identity.values)
    texts = [*values, *values.values()]
    if any(not isinstance(text, str) or not 0 < len(text) <= TEXT_MAX for text in texts):
        return None
    return canonical.digest(values)


def pin(identity: offers.PinnedIdentity, *, at: dt.datetime, by: str) -> dict[str, Any]:
    """Return what a status keeps of an identity from now on."""
    return {"digest": digest_of(identity), "values": dict(identity.values), "since": at.isoformat(), "by": by}


def change(identity: offers.PinnedIdentity | None, *, at: dt.datetime) -> dict[str, Any]:
    """Return what a status keeps of an identity that is not the pinned one; None: it proves nothing any more."""
    values = dict(identity.values) if identity is not None and digest_of(identity) else {}
    return {"digest": digest_of(identity), "values": values, "at": at.isoformat()}


def of_statuses(
    declared: Mapping[str, sites.Backend], statuses: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, sites.Identity]:
    """Return the identity of each backend that has been met, with those it shares it with."""
    found = {name: _read(statuses[("Backend", name)]) for name in declared if ("Backend", name) in statuses}
    known = {name: identity for name, identity in found.items() if identity is not None}
    same: dict[ids.Digest, list[str]] = {}
    for name, identity in known.items():
        same.setdefault(identity.pinned, []).append(name)
    for names in same.values():
        for name in names if len(names) > 1 else ():
            others = sorted(other for other in names if other != name)
            differ = tuple(other for other in others if facts_of(declared[other]) != facts_of(declared[name]))
            alike = tuple(other for other in others if other not in differ)
            known[name] = sites.Identity(
                known[name].pinned, known[name].since, known[name].changed_to, known[name].changed_at, differ, alike
            )
    return known


def facts_of(backend: sites.Backend) -> ids.Digest:
    """Return the digest of what a document claims about the place, without names, prices and amounts."""
    stated = ({each: digests.plain(getattr(pool, each)) for each in _POOL_FACTS} for pool in backend.pools)
    pools = set(map(canonical.text, stated))
    own = {each: digests.plain(getattr(backend, each)) for each in _FACTS}
    return canonical.digest([own, sorted(pools)])


def _read(status: Mapping[str, Any]) -> sites.Identity | None:
    if status.get(PINNED) is None and status.get(CHANGED) is None:
        return None
    try:
        pinned, changed = status[PINNED], status.get(CHANGED)
        made = sites.Identity(_digest(pinned["digest"]), dt.datetime.fromisoformat(pinned["since"]))
        if changed is None:
            return made
        to = None if changed["digest"] is None else _digest(changed["digest"])
        return sites.Identity(made.pinned, made.since, to or ids.NO_DIGEST, dt.datetime.fromisoformat(changed["at"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return sites.Identity(ids.NO_DIGEST, _NEVER, ids.NO_DIGEST, _NEVER)


def _digest(text: object) -> ids.Digest:
    if not isinstance(text, str) or not text.startswith("sha256:"):
        raise ValueError("not a digest")
    return ids.Digest(text)


_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
