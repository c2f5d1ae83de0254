"""Are the accelerators joined as the job needs?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Interconnect(base.Filter):
    """``fit.interconnect``: the pool states another interconnect than the job asks for, or none.

    Names are compared as written. Change ``spec.resources.accelerators.interconnect``, or state the pool's.
    """

    name = "fit.interconnect"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement.interconnect
        return None if wanted is None else ~table.member("interconnect", (wanted,))

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted, have = question.requirement.interconnect, row.site.interconnect
        if wanted is None or have == wanted:
            return None
        change = f"ask for {have}, or for no interconnect" if have else "ask for no interconnect"
        return base.deny(
            self.name,
            f"the job needs {wanted}; the pool states {have or 'no interconnect'}",
            remedy=base.change_job(change),
            cited=(base.cite(row.site, "backend.pools[].interconnect", have),),
        )
