"""Did somebody take the backend out of service?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Cordoned(base.Filter):
    """``backend.cordoned``: somebody took the backend out of service; what runs there goes on.

    Uncordon it (``comity backend uncordon``).
    """

    name = "backend.cordoned"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        # A copy: a verdict outlives the columns it was made from.
        return table.bools["cordoned"].copy()

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        if not row.cordoned:
            return None
        return base.deny(
            self.name,
            f"{row.site.backend} is out of service",
            remedy=base.fix_backend(f"comity backend uncordon {row.site.backend}"),
        )
