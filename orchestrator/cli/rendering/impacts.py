"""What a dry run says of live jobs: whom a change would stop, whom it would leave without a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.rendering import tables

_WORDS = (
    ("stops", "would stop {stops} of {running} running jobs"),
    ("graces", "facts too old would start the grace of {stops} of {running} running jobs"),
    ("unplaceable", "would leave without any place {stops} of {running} queued jobs"),
)


def lines(impact: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each tenant and effect; one line where nobody is hit."""
    said = False
    for member, words in _WORDS:
        for hit in impact.get(member) or []:
            said = True
            yield f"{words.format(**hit)} of {_whose(hit)}{_named(hit)}"
    if not said:
        yield "would stop no running job, and leave none without a place"
    if impact.get("codes"):
        yield f"by {', '.join(map(tables.clean, impact['codes']))}"
    if impact.get("held"):
        yield "would be held: running jobs go on until somebody confirms it (comity policy confirm)"
    if not impact.get("complete", True):
        yield "there are more live jobs than were looked at"


def _whose(hit: Mapping[str, Any]) -> str:
    return "another tenant" if hit.get("tenant") is None else f"tenant {tables.clean(hit['tenant'])}"


def _named(hit: Mapping[str, Any]) -> str:
    ids = list(hit.get("jobs") or [])
    if not ids:
        return ""
    rest = hit["stops"] - len(ids)
    return f": {', '.join(map(tables.clean, ids))}{f' and {rest} more' if rest > 0 else ''}"
