"""Tables that are not what the journal says: told as a condition of the control plane."""

from __future__ import annotations

from typing import Any

from orchestrator.service import contexts

TABLES_DIFFER = "TablesDiffer"
_TEXT_MAX = 1_000


def conditions(context: contexts.Context) -> list[dict[str, Any]]:
    """Return ``TablesDiffer`` where new placements stop because of it, with the first rows that differ."""
    said = context.tables.sentences
    if not said:
        return []
    more = f" (and {len(said) - 1} more, see comity log verify)" if len(said) > 1 else ""
    text = f"nothing new is placed, running jobs go on: {said[0]}{more}; {context.tables.remedy}"
    reason = "RowsDiffer"
    return [{"type": TABLES_DIFFER, "status": True, "reason": reason, "message": text[:_TEXT_MAX], "since": None}]
