"""How much of anything is read from a stranger. The bounds of single fields stand in the models and their schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one text. ``nodes_max`` and ``characters_max`` count what aliases expand to."""

    bytes_max: int = 8 * 2**20
    depth_max: int = 64
    nodes_max: int = 200_000
    aliases_max: int = 1_000
    scalar_characters_max: int = 2 * 2**20
    characters_max: int = 16 * 2**20
    documents_max: int = 10_000


DEFAULT = Limits()
