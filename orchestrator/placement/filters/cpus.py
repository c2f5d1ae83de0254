"""Could the pool ever hold the CPUs the job asks for?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Cpus(base.Filter):
    """``fit.cpus``: a node of the pool, or the whole pool, has too few CPUs even when it is empty.

    A backend that has not said how large it is refuses with ``capacity.unknown`` instead. Change
    ``spec.resources.cpus`` or ``spec.nodes``.
    """

    name = "fit.cpus"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.cpu_milli:
            return None
        too_small = table.ints["node_cpu"] < wanted.cpu_milli
        too_small |= table.ints["total_cpu"] < wanted.room.cpu_milli
        return too_small & table.bools["offered"]

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted = question.requirement
        if row.offer is None or row.node is None or not wanted.cpu_milli:
            return None
        node, total = row.node.cpu_milli, row.offer.total.cpu_milli
        if node >= wanted.cpu_milli and total >= wanted.room.cpu_milli:
            return None
        need = f"{wanted.cpu_milli / 1000:g} CPUs" + (f" on each of {wanted.nodes} nodes" if wanted.nodes > 1 else "")
        largest = min(node, total // wanted.nodes)
        return base.deny(
            self.name,
            f"the job needs {need}; the largest node has {node / 1000:g} and the pool {total / 1000:g}",
            remedy=base.change_job(f"ask for at most {largest / 1000:g} CPUs"),
            cited=(base.cite_offer("offer.largestNode.cpus", f"{node / 1000:g}"),),
        )
