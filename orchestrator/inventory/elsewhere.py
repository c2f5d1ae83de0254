"""Sites one of whose attempts was seen in another country than the document says: kept in the backend's status. Pure.

``status.elsewhere`` of a Backend maps each such pool to ``{expected, seen, source, assurance, node, attempt, at}``. It
stands until a person has looked (``comity backend confirm``). Damage counts for every pool: nobody knows what it said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from orchestrator.domain import facts, ids, sites

ELSEWHERE, CONFIRMED = "elsewhere", "elsewhereConfirmed"
ALL = "*"
"""Stands for every pool, where what is stored cannot be read."""

Marks = Mapping[str, sites.Elsewhere]
"""By pool."""


def of_statuses(statuses: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Marks]:
    """Return the marks of each backend that has any."""
    found: dict[str, Marks] = {}
    for (kind, name), status in statuses.items():
        stored = status.get(ELSEWHERE) if kind == "Backend" else None
        if stored:
            found[name] = _read(stored)
    return found


def of_pool(marks: Marks | None, pool: str) -> sites.Elsewhere | None:
    """Return what marks a pool; None: nothing."""
    return None if not marks else marks.get(pool, marks.get(ALL))


def to_json(mark: sites.Elsewhere) -> dict[str, Any]:
    """Return what a status keeps of a mark."""
    return {
        "expected": mark.expected,
        "seen": mark.seen,
        "source": mark.source,
        "assurance": mark.assurance.word,
        "node": mark.node,
        "attempt": str(mark.attempt),
        "at": mark.at.isoformat(),
    }


def _read(stored: Any) -> Marks:
    try:
        return {
            str(pool): sites.Elsewhere(
                expected=None if one["expected"] is None else str(one["expected"]),
                seen=str(one["seen"]),
                source=str(one["source"]),
                assurance=facts.Assurance[str(one["assurance"]).upper()],
                node=str(one["node"]),
                attempt=ids.AttemptKey(str(one["attempt"])),
                at=dt.datetime.fromisoformat(one["at"]),
            )
            for pool, one in stored.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {ALL: _DAMAGED}


_DAMAGED = sites.Elsewhere(
    None, "unknown", "a status that cannot be read", facts.Assurance.DECLARED, "unknown", ids.AttemptKey("unknown"),
    dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
)  # fmt: skip
