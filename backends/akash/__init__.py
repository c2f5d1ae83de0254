"""Akash, a market of providers: containers by leases, through the Console API (ADR 0034).

What needs a library is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestrator.ports import backends


class AkashPlugin:
    """What the entry point ``akash`` of group ``orchestrator.backends`` names; the work is done in ``adapter``."""

    name = "akash"
    port_version = backends.PORT_VERSION
    summary = "Akash by its Console, each provider a site; images; run against a double of its specification only"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return _real().settings_schema()

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        return _real().build(settings, context)


def _real() -> backends.AdapterPlugin:
    """Return the plugin of ``adapter``, imported at first use."""
    made: backends.AdapterPlugin = importlib.import_module(f"{__name__}.adapter").AkashPlugin()
    return made


plugin = AkashPlugin()
