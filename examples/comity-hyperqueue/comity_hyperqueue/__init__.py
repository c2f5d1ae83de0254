"""Adapter of Comity for HyperQueue. Cheap to import: the engine loads when an adapter is first asked something."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from orchestrator.ports import backends


class HyperqueuePlugin:
    """What the entry point names."""

    name = "hyperqueue"
    port_version = backends.PORT_VERSION
    summary = "HyperQueue: tasks on the nodes of an allocation, by a server of the user's own"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        schema: Mapping[str, object] = _module("settings").HyperqueueSettings.schema_document()
        return schema

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        read = _module("settings").HyperqueueSettings.read(settings)
        adapter: backends.BackendAdapter = _module("adapter").HyperqueueAdapter(read, context)
        return adapter


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


plugin = HyperqueuePlugin()
