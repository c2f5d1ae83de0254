"""Held changes, and what reviews must not forget, as stored: the store's own kinds ``Change`` and ``Mark``.

Nobody declares those kinds over HTTP. A change shares the documents' versions, so that its confirmation is a new
world. Marks are small: which rules and facts running jobs were last judged by, how far the policy clock has been, which
ends of facts people were told of.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import changes, ids
from orchestrator.evidence import canonical
from orchestrator.inventory import digests
from orchestrator.ports import stores

KIND = "Change"
MARK = "Mark"
VERSION = 1

REVIEW, CLOCK, EXPIRIES = "review", "clock", "expiries"
"""Names of marks."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """By which rules and facts running jobs were last judged, durably, and when."""

    policy: ids.Digest = ids.NO_DIGEST
    facts: ids.Digest = ids.NO_DIGEST
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ClockMark:
    """How far the policy clock has been. ``seq``: entries of the journal up to it say nothing of the time any more."""

    floor: dt.datetime
    back: bool
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """For each backend the end of facts that was journaled last, and at which threshold in days."""

    ends: dict[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)
    """Backend -> each of its ends that was told: what, the day, the threshold."""


def id_of(before: Reviewed, policy: ids.Digest, facts: ids.Digest, day: dt.date) -> str:
    """Return the id of the change from one review to the next: the same for whoever finds it after a crash."""
    began = before.at.isoformat() if before.at is not None else ""
    digest = canonical.digest([before.policy, before.facts, began, policy, facts, day.isoformat()])
    return "ch-" + digest.removeprefix("sha256:")[:12]


def document(change: changes.Change, version: int) -> stores.Document:
    """Return a change as it is stored."""
    return _document(KIND, change.id, digests.plain(change), version)


def of_document(stored: stores.Document) -> changes.Change:
    """Return the change of a stored document. Raises ValueError for damage and for another version."""
    value = _value(stored)
    try:
        confirmed = value["confirmed"]
        hits = [changes.Hit(one["tenant"], one["stopped"], one["running"], tuple(one["jobs"])) for one in value["hits"]]
        return changes.Change(
            id=value["id"],
            at=dt.datetime.fromisoformat(value["at"]),
            policy=ids.Digest(value["policy"]),
            facts=ids.Digest(value["facts"]),
            codes=tuple(value["codes"]),
            documents=tuple(value["documents"]),
            hits=tuple(hits),
            confirmed=None
            if confirmed is None
            else changes.Confirmation(**confirmed | {"at": dt.datetime.fromisoformat(confirmed["at"])}),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a change: {error!r}") from error


def reviewed(store: stores.Store) -> tuple[Reviewed, int]:
    """Return the mark of the last review, with its version. One that cannot be read is none."""
    value, version = _mark(store, REVIEW)
    try:
        at = dt.datetime.fromisoformat(value["at"])
        return Reviewed(ids.Digest(value["policy"]), ids.Digest(value["facts"]), at), version
    except (KeyError, TypeError, ValueError):
        return Reviewed(), version


def reviewed_document(mark: Reviewed, version: int) -> stores.Document:
    """Return the mark of a review as it is stored."""
    return _document(MARK, REVIEW, digests.plain(mark), version)


def clock(store: stores.Store) -> tuple[ClockMark | None, int]:
    """Return how far the policy clock has been known to be; None: nobody noted it, or it cannot be read."""
    value, version = _mark(store, CLOCK)
    try:
        floor = dt.datetime.fromisoformat(value["floor"])
        return ClockMark(floor, bool(value["back"]), int(value["seq"])), version
    except (KeyError, TypeError, ValueError):
        return None, version


def clock_document(mark: ClockMark, version: int) -> stores.Document:
    """Return the mark of the policy clock as it is stored."""
    return _document(MARK, CLOCK, digests.plain(mark), version)


def told(store: stores.Store) -> tuple[Told, int]:
    """Return of which ends of facts people were told; what cannot be read was not told."""
    value, version = _mark(store, EXPIRIES)
    try:
        return Told({name: tuple(map(_end, found)) for name, found in value["ends"].items()}), version
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return Told(), version


def told_document(mark: Told, version: int) -> stores.Document:
    """Return of which ends people were told, as it is stored."""
    ends = {name: [list(one) for one in found] for name, found in mark.ends.items()}
    return _document(MARK, EXPIRIES, {"ends": ends}, version)


def _end(stored: Any) -> tuple[str, str, int]:
    what, day, days = stored
    return str(what), str(day), int(days)


def _mark(store: stores.Store, name: str) -> tuple[dict[str, Any], int]:
    stored = store.document(MARK, name)
    if stored is None:
        return {}, 0
    try:
        return _value(stored), stored.version
    except ValueError:
        return {}, stored.version


def _value(stored: stores.Document) -> dict[str, Any]:
    value = json.loads(stored.body)
    if not isinstance(value, dict) or value.pop("v", None) != VERSION:
        raise ValueError(f"a stored {stored.kind} of another version than {VERSION}")
    return value


def _document(kind: str, name: str, value: dict[str, Any], version: int) -> stores.Document:
    body = json.dumps({"v": VERSION, **value}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return stores.Document(kind=kind, name=name, tenant="", body=body, version=version)
