"""Has one accelerator enough memory?"""

from __future__ import annotations

from collections.abc import Hashable

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class AcceleratorMemory(base.Filter):
    """``fit.memory``: one accelerator has less nominal memory than the job asks for, or nobody stated how much.

    Both figures are the vendor's nominal ones, decimal gigabytes. Change ``spec.resources.accelerators.memory``.
    """

    name = "fit.memory"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.accelerators or wanted.accelerator_memory_gb is None:
            return None
        return table.ints["accelerator_memory"] < wanted.accelerator_memory_gb

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted, have = question.requirement.accelerator_memory_gb, row.site.accelerator_memory_gb
        if not question.requirement.accelerators or wanted is None or (have is not None and have >= wanted):
            return None
        stated = "unknown" if have is None else f"{have}G"
        change = f"ask for at most {stated} of accelerator memory" if have else "ask for no accelerator memory"
        return base.deny(
            self.name,
            f"the job needs {wanted}G of accelerator memory; that of {row.site.accelerator or 'the pool'} is {stated}",
            remedy=base.change_job(change),
            cited=(base.cite(row.site, "accelerator.memory", None if have is None else stated),),
        )

    def reads(self, row: rows.Row) -> Hashable:
        """See the base."""
        return row.site.accelerator, row.site.accelerator_memory_gb, row.site.facts
