"""What the inventory asks about accelerators; bootstrap brings the one that reads the shipped table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain import sites


@dataclass(frozen=True, slots=True)
class AcceleratorModel:
    """A model of accelerator. ``memory_gb`` is nominal and decimal, ``watts`` at full power; None: not known."""

    slug: str
    memory_gb: int | None = None
    watts: int | None = None
    known: sites.Accelerator | None = None
    """What rules read about it."""


class Catalogue(Protocol):
    """Finds models by slug or alias. Pure and quick."""

    def accelerator(self, name: str) -> AcceleratorModel | None:
        """Return the model that ``name`` means (slug or alias, any case); None for an unknown name."""

    def nearest(self, name: str) -> str | None:
        """Return the known name that somebody who wrote ``name`` probably meant, or None."""


class EmptyCatalogue:
    """Knows no accelerator: only what adapters discovered can be asked for. For tests."""

    def accelerator(self, name: str) -> AcceleratorModel | None:
        """Return None."""
        return None

    def nearest(self, name: str) -> str | None:
        """Return None."""
        return None
