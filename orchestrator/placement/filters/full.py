"""Is there room now?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Full(base.Filter):
    """``capacity.full``: there is no room now for the whole job, all its nodes together.

    Room is what the backend offers less what was promised to attempts that the offer has not counted yet. A site that
    queues by itself and accepts jobs is not full; how long one would wait there is ``limits.start-within``'s
    question. Wait.
    """

    name = "capacity.full"
    momentary = True

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        full = lacks_room(question, table)
        full &= table.bools["offered"]
        full &= ~table.bools["queues"]
        return full

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        if row.offer is None or row.queues or rows.holds(row.free, question.requirement.room):
            return None
        return base.deny(
            self.name,
            f"{row.site.name} has no room for the job now",
            remedy=base.wait("wait until there is room"),
            cited=(base.cite_offer("offer.free", _amounts(row)),),
        )

    def recall(self, row: rows.Row) -> reasons.Reason:
        """See the class."""
        return base.deny(
            self.name, f"{row.site.name} had no room for the job", remedy=base.wait("wait until there is room")
        )


def lacks_room(question: requirements.Question, table: columns.Columns) -> columns.Bools:
    """Return for each site whether the job does not fit into what is free now."""
    room, ints = question.requirement.room, table.ints
    lacking = ints["free_slots"] < 1
    if room.accelerators:
        lacking |= ints["free_accelerators"] < room.accelerators
    if room.cpu_milli:
        lacking |= ints["free_cpu"] < room.cpu_milli
    if room.memory_bytes:
        lacking |= ints["free_memory"] < room.memory_bytes
    return lacking


def _amounts(row: rows.Row) -> str:
    free = row.free
    parts = [f"{max(free.accelerators, 0)} accelerators", f"{max(free.cpu_milli, 0) / 1000:g} CPUs"]
    parts.append(base.gigabytes(max(free.memory_bytes, 0)))
    if free.slots is not None:
        parts.append(f"{max(free.slots, 0)} slots")
    return ", ".join(parts)
