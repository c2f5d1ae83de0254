"""Has the site an accelerator that the job can use?"""

from __future__ import annotations

from collections.abc import Hashable

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Accelerator(base.Filter):
    """``fit.accelerator``: the pool's accelerator is none of those that the job names.

    A job that asks for accelerators without naming any takes each kind, but not a pool without one. Names are slugs
    of the catalogue. Change ``spec.resources.accelerators.anyOf``.
    """

    name = "fit.accelerator"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.accelerators:
            return None
        if not wanted.accelerators_any_of:
            return ~table.has_accelerator
        return ~table.member("accelerator", wanted.accelerators_any_of)

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted, have = question.requirement, row.site.accelerator
        if not wanted.accelerators or (have is not None and have in (wanted.accelerators_any_of or (have,))):
            return None
        named = " or ".join(wanted.accelerators_any_of) or "an accelerator"
        change = f"add {have} to spec.resources.accelerators.anyOf" if have else "ask for no accelerator"
        return base.deny(
            self.name,
            f"the job needs {named}; the pool has {have or 'none'}",
            remedy=base.change_job(change),
            cited=(base.cite(row.site, "backend.pools[].accelerator", have),),
        )

    def reads(self, row: rows.Row) -> Hashable:
        """See the base."""
        return row.site.accelerator, row.site.facts
