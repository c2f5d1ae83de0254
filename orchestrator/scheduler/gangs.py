"""Gangs and other big jobs: all or none on one site, and never starved by small ones.

A gang is one attempt whose room is that of all its nodes, so it fits at once or not at all. Small jobs behind it may
go first (backfill), which could starve it for ever: once the first big job of a share has waited longer than
``Settings.patience``, it is looked at before everybody else of its priority; if it still does not fit, the best site
that could ever hold it is *kept*: nothing of the same or a lower priority is placed there until it starts. Running
times are not known, so nothing is squeezed in before it. At most one site a share is kept, and at most half of the
sites (rounded up), so that backfill goes on elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from orchestrator.placement import select
from orchestrator.placement.filters import registry
from orchestrator.scheduler import queues, rooms


def impatient(
    lanes: Iterable[tuple[int, queues.Lane]], at: dt.datetime, patience: dt.timedelta
) -> list[tuple[int, queues.Lane]]:
    """Return (priority, lane) of each share's first lane whose head has waited too long: highest priority, then age.

    The lanes given hold big jobs only.
    """
    limit = (at - patience).timestamp()
    first: dict[str, tuple[int, int, int, queues.Lane]] = {}
    for order, (priority, lane) in enumerate(lanes):
        if lane.since[lane.head] > limit:
            continue
        candidate = (-priority, lane.sequences[lane.head], order, lane)
        known = first.get(lane.key.share)
        if known is None or candidate[:3] < known[:3]:
            first[lane.key.share] = candidate
    return [(-priority, lane) for priority, _, _, lane in sorted(first.values(), key=lambda item: item[:3])]


def keep(selection: select.Selection, left: rooms.Rooms, priority: int, site_count: int) -> int | None:
    """Keep a site for a big job that does not fit now, and return its row; None: there is none to keep."""
    if len(left.kept) >= -(-site_count // 2):
        return None
    full = 1 << registry.FULL_BIT
    for row in selection.verdict.order.tolist():
        # Only fullness may stand between the job and the site: waiting does not mend another refusal.
        if row not in left.kept and int(selection.bits[row]) | full == full:
            left.kept[row] = priority
            return int(row)
    return None
