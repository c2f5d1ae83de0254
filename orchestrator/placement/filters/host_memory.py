"""Could the pool ever hold the host memory the job asks for?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class HostMemory(base.Filter):
    """``fit.host-memory``: a node of the pool, or the whole pool, has too little memory even when it is empty.

    This is the memory of the host, not of an accelerator (``fit.memory``). Change ``spec.resources.memory``.
    """

    name = "fit.host-memory"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        wanted = question.requirement
        if not wanted.memory_bytes:
            return None
        too_small = table.ints["node_memory"] < wanted.memory_bytes
        too_small |= table.ints["total_memory"] < wanted.room.memory_bytes
        return too_small & table.bools["offered"]

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        wanted = question.requirement
        if row.offer is None or row.node is None or not wanted.memory_bytes:
            return None
        node, total = row.node.memory_bytes, row.offer.total.memory_bytes
        if node >= wanted.memory_bytes and total >= wanted.room.memory_bytes:
            return None
        need = base.gigabytes(wanted.memory_bytes) + (f" on each of {wanted.nodes} nodes" if wanted.nodes > 1 else "")
        largest = min(node, total // wanted.nodes)
        return base.deny(
            self.name,
            f"the job needs {need}; the largest node has {base.gigabytes(node)} and the pool {base.gigabytes(total)}",
            remedy=base.change_job(f"ask for at most {base.gigabytes(largest)} of memory"),
            cited=(base.cite_offer("offer.largestNode.memory", base.gigabytes(node)),),
        )
