"""Sites of which something was seen that contradicts them: kept in the status of the backend's document. Pure.

``status.elsewhere`` of a Backend maps each pool, one of whose attempts was seen in another country than its document
says, to ``{expected, seen, source, assurance, node, attempt, at}``; ``status.unattested`` each pool, one of whose
attempts was to be attested and was not, to ``{code, detail, attempt, at}``. They stand until a person has looked
(``comity backend confirm``). Damage counts for every pool: nobody knows what it said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchestrator.domain import facts, ids, sites

ELSEWHERE, UNATTESTED, CONFIRMED = "elsewhere", "unattested", "markConfirmed"
ALL = "*"
"""Stands for every pool, where what is stored cannot be read."""
Mark = sites.Elsewhere | sites.Unattested
M = TypeVar("M", sites.Elsewhere, sites.Unattested)


@dataclass(frozen=True, slots=True)
class Marks:
    """What marks the pools of one backend, by pool."""

    elsewhere: Mapping[str, sites.Elsewhere] = field(default_factory=dict)
    unattested: Mapping[str, sites.Unattested] = field(default_factory=dict)


def of_statuses(statuses: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Marks]:
    """Return the marks of each backend that has any."""
    found: dict[str, Marks] = {}
    for (kind, name), status in statuses.items():
        if kind == "Backend" and (status.get(ELSEWHERE) or status.get(UNATTESTED)):
            found[name] = Marks(
                _read(status.get(ELSEWHERE), _elsewhere, _DAMAGED), _read(status.get(UNATTESTED), _unattested, _UNKNOWN)
            )
    return found


def marked(site: sites.Site, marks: Marks | None) -> dict[str, Any]:
    """Return what marks a site, as the members of it that say so."""
    if marks is None:
        return {}
    pool = site.pool
    return {
        "elsewhere": marks.elsewhere.get(pool, marks.elsewhere.get(ALL)),
        "unattested": marks.unattested.get(pool, marks.unattested.get(ALL)),
    }


def member_of(mark: Mark) -> str:
    """Return the member of a status that keeps such marks."""
    return ELSEWHERE if isinstance(mark, sites.Elsewhere) else UNATTESTED


def to_json(mark: Mark) -> dict[str, Any]:
    """Return what a status keeps of a mark."""
    common = {"attempt": str(mark.attempt), "at": mark.at.isoformat()}
    if isinstance(mark, sites.Unattested):
        return {"code": mark.code, "detail": mark.detail, **common}
    return {
        "expected": mark.expected,
        "seen": mark.seen,
        "source": mark.source,
        "assurance": mark.assurance.word,
        "node": mark.node,
        **common,
    }


def _read(stored: Any, one: Callable[[Any], M], damaged: M) -> dict[str, M]:
    if not stored:
        return {}
    try:
        return {str(pool): one(mark) for pool, mark in stored.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {ALL: damaged}


def _elsewhere(one: Any) -> sites.Elsewhere:
    return sites.Elsewhere(
        expected=None if one["expected"] is None else str(one["expected"]),
        seen=str(one["seen"]),
        source=str(one["source"]),
        assurance=facts.Assurance[str(one["assurance"]).upper()],
        node=str(one["node"]),
        attempt=ids.AttemptKey(str(one["attempt"])),
        at=dt.datetime.fromisoformat(one["at"]),
    )


def _unattested(one: Any) -> sites.Unattested:
    return sites.Unattested(
        str(one["code"]), str(one["detail"]), ids.AttemptKey(str(one["attempt"])), dt.datetime.fromisoformat(one["at"])
    )


_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LOST = "a status that cannot be read"
_DAMAGED = sites.Elsewhere(
    None, "unknown", _LOST, facts.Assurance.DECLARED, "unknown", ids.AttemptKey("unknown"), _NEVER
)
_UNKNOWN = sites.Unattested("attestation.unknown", _LOST, ids.AttemptKey("unknown"), _NEVER)
