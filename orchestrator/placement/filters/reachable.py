"""Does the backend answer, and has it said what it could take?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Reachable(base.Filter):
    """``backend.unreachable``: the backend's last calls failed, so nothing new is placed there.

    What runs there is not lost: that is another question. Wait until it answers.
    """

    name = "backend.unreachable"
    momentary = True

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        return ~table.bools["reachable"]

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        if row.reachable:
            return None
        detail = f": {row.backend.detail}" if row.backend and row.backend.detail else ""
        return base.deny(
            self.name,
            f"{row.site.backend} does not answer{detail}",
            remedy=base.wait(f"wait until {row.site.backend} answers"),
        )

    def recall(self, row: rows.Row) -> reasons.Reason:
        """See the class."""
        return base.deny(
            self.name, f"{row.site.backend} did not answer", remedy=base.wait(f"wait until {row.site.backend} answers")
        )


class Offered(base.Filter):
    """``capacity.unknown``: the backend answers but has not said what this site could take.

    Wait for its first offer; a pool that never gets one is not known to its backend.
    """

    name = "capacity.unknown"
    momentary = True

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        return table.bools["reachable"] & ~table.bools["offered"]

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        if row.offer is not None or not row.reachable:
            return None
        return base.deny(
            self.name,
            f"{row.site.backend} has not said what {row.site.pool} could take",
            remedy=base.wait(f"wait for an offer of {row.site.name}"),
        )

    def recall(self, row: rows.Row) -> reasons.Reason:
        """See the class."""
        return base.deny(
            self.name,
            f"{row.site.backend} had not said what {row.site.pool} could take",
            remedy=base.wait(f"wait for an offer of {row.site.name}"),
        )
