"""Did somebody stop new placements there?"""

from __future__ import annotations

from orchestrator.domain import freezes, reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Frozen(base.Filter):
    """``site.frozen``: somebody stopped new placements of this backend, operator or country; what runs there goes on.

    A country covers what lies there, and whatever is logged, administered, or ruled by an operator or a parent there.

    Let them begin again (``comity unfreeze``).
    """

    name = "site.frozen"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        found = table.bools["frozen"]
        return found.copy() if found.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        stop = row.site.frozen
        if stop is None:
            return None
        extent = freezes.words(stop)
        return base.deny(
            self.name,
            f"new placements are stopped ({extent or 'all'}; {freezes.touch(stop, row.site)}): {stop.reason}",
            remedy=base.fix_backend(f"comity unfreeze {extent}".strip()),
            cited=(
                reasons.FactCitation("controlplane.freezes", extent or "all", stop.by or "the store", stop.at.date()),
            ),
        )
