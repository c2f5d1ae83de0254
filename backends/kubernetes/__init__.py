"""Kubernetes: jobs of a cluster, one Indexed Job an attempt (ADR 0023).

What needs a library is loaded when an adapter is built or first used, so that naming this one costs nothing.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Mapping, Sequence

from orchestrator.ports import backends, inventories


class KubernetesPlugin:
    """What the entry point ``kubernetes`` of group ``orchestrator.backends`` names; the work is in ``adapter``."""

    name = "kubernetes"
    port_version = backends.PORT_VERSION
    summary = "a namespace of a Kubernetes cluster, 1.31 or later; tried with 1.36 (extra: comity[kubernetes])"
    inventory_sources: Mapping[str, str] = {"clusterprofiles": "ClusterProfiles of a namespace of a hub"}

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        schema: Mapping[str, object] = importlib.import_module(
            f"{__name__}.settings"
        ).KubernetesSettings.schema_document()
        return schema

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        made: backends.BackendAdapter = importlib.import_module(f"{__name__}.adapter").build(settings, context)
        return made

    def read_inventory(
        self, source: str, settings: Mapping[str, object], now: dt.datetime
    ) -> Sequence[inventories.Draft]:
        """Return the drafts of a namespace's ClusterProfiles; the only source there is. Raises as the port says."""
        if source not in self.inventory_sources:
            raise KeyError(source)
        made: Sequence[inventories.Draft] = importlib.import_module(f"{__name__}.inventory").read(settings, now)
        return made


plugin = KubernetesPlugin()
