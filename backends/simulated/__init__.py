"""A backend that only pretends: seeded capacity, time and faults. For trying things out, tests and benchmarks."""

from __future__ import annotations

from backends.simulated.adapter import SimulatedPlugin

plugin = SimulatedPlugin()
"""The entry point ``simulated`` of group ``orchestrator.backends``."""
