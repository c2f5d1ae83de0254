"""The shipped accelerator catalogue, as inventory and scheduler ask for it."""

from __future__ import annotations

from orchestrator.inventory import catalogues
from orchestrator.sources import accelerators


class ShippedCatalogue:
    """Implements ``inventory.catalogues.Catalogue``."""

    def __init__(self) -> None:
        self._rows = accelerators.catalogue()

    def accelerator(self, name: str) -> catalogues.AcceleratorModel | None:
        """Return the model that ``name`` means; None for an unknown name."""
        try:
            row = self._rows.get(name)
        except accelerators.UnknownAcceleratorError:
            return None
        memory = None if row.memory_gb is None else int(row.memory_gb)
        return catalogues.AcceleratorModel(row.slug, memory, row.watts, row.known)

    def nearest(self, name: str) -> str | None:
        """Return the slug or alias that was probably meant, or None."""
        return self._rows.nearest(name)

    def slugs(self, name: str) -> tuple[str, ...]:
        """Return the slugs that a name in a job stands for; () for a name nobody knows."""
        model = self.accelerator(name)
        return () if model is None else (model.slug,)
