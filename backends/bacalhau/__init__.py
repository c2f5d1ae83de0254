"""Bacalhau: WebAssembly on the nodes of a network, by its HTTP API. No library of Bacalhau is needed (ADR 0032).

What needs a library is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestrator.ports import backends


class BacalhauPlugin:
    """What the entry point ``bacalhau`` of group ``orchestrator.backends`` names; the work is done in ``adapter``."""

    name = "bacalhau"
    port_version = backends.PORT_VERSION
    summary = "a Bacalhau network, each node a site of its own; WebAssembly; run with Bacalhau 1.9.3"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return _real().settings_schema()

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        return _real().build(settings, context)


def _real() -> backends.AdapterPlugin:
    """Return the plugin of ``adapter``, imported at first use."""
    made: backends.AdapterPlugin = importlib.import_module(f"{__name__}.adapter").BacalhauPlugin()
    return made


plugin = BacalhauPlugin()
