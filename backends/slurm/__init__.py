"""Slurm: batch jobs of a cluster, by slurmrestd. No library of Slurm is needed (ADR 0029).

What needs a library is loaded when an adapter is built, so that naming this one costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from orchestrator.ports import backends


class SlurmPlugin:
    """What the entry point ``slurm`` of group ``orchestrator.backends`` names; the work is done in ``adapter``."""

    name = "slurm"
    port_version = backends.PORT_VERSION
    summary = "a Slurm cluster, by slurmrestd v0.0.38 to v0.0.42; run with Slurm 22.05 and 24.11"

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return _real().settings_schema()

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
        return _real().build(settings, context)


def _real() -> backends.AdapterPlugin:
    """Return the plugin of ``adapter``, imported at first use."""
    made: backends.AdapterPlugin = importlib.import_module(f"{__name__}.adapter").SlurmPlugin()
    return made


plugin = SlurmPlugin()
