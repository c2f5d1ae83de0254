"""Ray: jobs of a running cluster, over the HTTP of its dashboard. The ``ray`` package is not needed (ADR 0024).

What needs a library is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestrator.ports import backends


class RayPlugin:
    """What the entry point ``ray`` of group ``orchestrator.backends`` names; the work is done in ``adapter``."""

    name = "ray"
    port_version = backends.PORT_VERSION
    summary = "a running Ray cluster, by its Jobs API; Ray 2.52 or later, tried with 2.60"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return _real().settings_schema()

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        return _real().build(settings, context)


def _real() -> backends.AdapterPlugin:
    """Return the plugin of ``adapter``, imported at first use."""
    made: backends.AdapterPlugin = importlib.import_module(f"{__name__}.adapter").RayPlugin()
    return made


plugin = RayPlugin()
