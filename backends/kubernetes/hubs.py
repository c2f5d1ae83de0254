"""Settings of what a hub is told: which profile this backend is, and where decisions are written (ADR 0027)."""

from __future__ import annotations

from typing import Annotated

import pydantic

from orchestrator.settings import adapters

KUBECONFIG_MAX = 2**18
_DNS = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_Space = Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")]


class Profile(adapters.AdapterSettings):
    """A ClusterProfile of SIG-Multicluster."""

    namespace: _Space
    name: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)]


class PlacementDecisions(adapters.AdapterSettings):
    """A PlacementDecision is written for each attempt. It tells ids and digests to whoever reads that namespace."""

    namespace: _Space = pydantic.Field(description="where they are written; it must exist")
    profile: Profile = pydantic.Field(description="the ClusterProfile that stands for this cluster")
    kubeconfig: Annotated[str, pydantic.Field(min_length=1, max_length=KUBECONFIG_MAX)] | None = pydantic.Field(
        default=None,
        description="text of a kubeconfig of the hub, as {fromFile: ...}; default: the cluster of the jobs. Who names "
        "a hub answers for the country it stands in",
    )
    context: Annotated[str, pydantic.Field(min_length=1, max_length=253)] | None = pydantic.Field(
        default=None, description="context of that kubeconfig; default: its current one"
    )

    @pydantic.model_validator(mode="after")
    def _context_of_something(self) -> PlacementDecisions:
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("a context belongs to a kubeconfig")
        return self
