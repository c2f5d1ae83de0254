"""Comity: places AI jobs on compute of different countries and operators, and proves why it was allowed.

The floors of the house, and what each may know, stand in ``docs/map.md``; import-linter holds them.
"""

from orchestrator.version import __version__

__all__ = ["__version__"]
