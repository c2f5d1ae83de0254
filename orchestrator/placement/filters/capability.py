"""Can the backend do one thing that the job needs?"""

from __future__ import annotations

import numpy as np

from orchestrator.domain import offers, reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base

WORDS = {
    offers.Capability.CONTAINERS: ("run container images", "leave out spec.image"),
    offers.Capability.PROCESSES: ("run a bare command", "name an image in spec.image"),
    offers.Capability.GANGS: ("start several nodes all or none", "ask for one node"),
    offers.Capability.OUTPUTS: ("keep outputs", "leave out spec.outputs"),
    offers.Capability.WORKDIR: ("take a working folder", "leave out spec.workdir"),
    offers.Capability.FILES: ("take files", "leave out spec.files"),
    offers.Capability.DATA_MOUNTS: ("mount data sets", "leave out mountPath in spec.data.reads"),
}
"""What a capability does, and how a job does without it."""
LATER = {
    offers.Capability.IMAGE_TAGS: ("run an image named by a tag", "name the image by its digest (@sha256:...)"),
    offers.Capability.ATTESTS: ("attest where an attempt runs", "ask for less than attested in minAssurance"),
    offers.Capability.EGRESS: (
        "keep a job from connecting elsewhere, and says so",
        "leave out spec.network, or take rules that nobody vouches for (enforcement: unchecked)",
    ),
    offers.Capability.SECRETS: ("give a job its secrets", "leave out fromSecret in spec.env"),
    offers.Capability.MODULES: (
        "run a WebAssembly module",
        "let spec.command begin with another program than a .wasm of spec.files",
    ),
    offers.Capability.EGRESS_RULES: ("write rules of where a job may connect to", "leave out spec.network"),
}
"""The same of powers whose filters came later: each stands at its own place at the end of the registry."""


class Capability(base.Filter):
    """``fit.capability:<x>``: the backend's adapter does not state a power that the job needs.

    Absent means unsupported. Choose another backend, or do without what the job says needs it. One instance a power.
    """

    def __init__(self, power: offers.Capability) -> None:
        self.power = power
        self.name = f"fit.capability:{power.value}"  # type: ignore[misc]  # one instance a power, so one code each

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        if self.power.value not in question.requirement.capabilities:
            return None
        bit = np.uint64(1 << table.vocabularies["capability"].codes[self.power.value])
        lacking: columns.Bools = (table.capabilities & bit) == 0
        return lacking

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        power = self.power.value
        if power not in question.requirement.capabilities or power in row.site.capabilities:
            return None
        what, without = (WORDS | LATER).get(self.power, (f"do {power}", f"do without {power}"))
        return base.deny(
            self.name,
            f"the job needs a backend that can {what}; {row.site.adapter} does not state that",
            remedy=base.change_job(without),
            cited=(base.cite_offer("adapter.capabilities", ", ".join(sorted(row.site.capabilities)) or None),),
        )


class GangSize(base.Filter):
    """``fit.nodes``: the backend's adapter starts gangs, but none as large as the job.

    Ask for fewer nodes.
    """

    name = "fit.nodes"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        nodes = question.requirement.nodes
        return None if nodes == 1 else table.ints["nodes_max"] < nodes

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        nodes, bound = question.requirement.nodes, row.backend.nodes_max if row.backend else None
        if nodes == 1 or bound is None or nodes <= bound:
            return None
        return base.deny(
            self.name,
            f"the job needs {nodes} nodes at once; {row.site.backend} starts at most {bound}",
            remedy=base.change_job(f"ask for at most {bound} nodes"),
            cited=(base.cite_offer("adapter.maxNodes", bound),),
        )
