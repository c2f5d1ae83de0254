"""The machine under the desk: runs jobs as supervised processes of this host that outlive the control plane.

What needs a library or the machine is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from orchestrator.ports import backends


class LocalPlugin:
    """What the entry point ``local`` names."""

    name = "local"
    port_version = backends.PORT_VERSION
    summary = "this machine: supervised processes that outlive the control plane; Linux"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        schema: Mapping[str, object] = _module("settings").LocalSettings.schema_document()
        return schema

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        read = _module("settings").LocalSettings.read(settings)
        adapter: backends.BackendAdapter = _module("adapter").LocalAdapter(read, context)
        return adapter


def _module(name: str) -> Any:
    """Return a module of this package, imported at first use."""
    return importlib.import_module(f"{__name__}.{name}")


plugin = LocalPlugin()
