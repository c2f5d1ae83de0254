"""A backend that only pretends: seeded capacity, time and faults. For trying things out, tests and benchmarks.

What needs a library is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestrator.ports import backends


class SimulatedPlugin:
    """What the entry point ``simulated`` of group ``orchestrator.backends`` names; the work is done in ``adapter``."""

    name = "simulated"
    port_version = backends.PORT_VERSION
    summary = "pretends to run jobs: for trying things out, tests and benchmarks"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return _real().settings_schema()

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter whose machine keeps its record in the state folder."""
        return _real().build(settings, context)


def _real() -> backends.AdapterPlugin:
    """Return the plugin of ``adapter``, imported at first use."""
    made: backends.AdapterPlugin = importlib.import_module(f"{__name__}.adapter").SimulatedPlugin()
    return made


plugin = SimulatedPlugin()
