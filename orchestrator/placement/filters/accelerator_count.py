"""Could the pool ever hold the accelerators the job asks for?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class AcceleratorCount(base.Filter):
    """``fit.accelerator-count``: a node of the pool, or the whole pool, is too small even when it is empty.

    Compares ``count`` with the largest node, and ``count`` times ``nodes`` with the pool. A backend that has not said
    how large it is refuses with ``capacity.unknown`` instead. Ask for fewer accelerators or nodes.
    """

    name = "fit.accelerator-count"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.accelerators:
            return None
        ints = table.ints
        too_small = ints["node_accelerators"] < wanted.accelerators
        too_small |= ints["total_accelerators"] < wanted.room.accelerators
        return too_small & table.bools["offered"]

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.accelerators or row.offer is None or row.node is None:
            return None
        node, total = row.node.accelerators, row.offer.total.accelerators
        if node < wanted.accelerators:
            message, change = (
                f"the job needs {wanted.accelerators} accelerators on each node; the largest node has {node}",
                f"ask for at most {node} accelerators per node",
            )
        elif total < wanted.room.accelerators:
            message, change = (
                f"the job needs {wanted.room.accelerators} accelerators in all; the pool has {total}",
                f"ask for at most {total} accelerators in all",
            )
        else:
            return None
        cited = (
            base.cite_offer("offer.largestNode.accelerators", node),
            base.cite_offer("offer.total.accelerators", total),
        )
        return base.deny(self.name, message, remedy=base.change_job(change), cited=cited)
