"""The accelerator catalogue: own dated data (``data/accelerators.yaml``) and the names people write for its rows.

Names are slugs (``nvidia-h100-sxm``) or aliases (``H100``, ``A100-80GB``); case, spaces, ``_`` and ``-`` do not matter.
Export-control figures (TPP, density) are derived elsewhere from the dense figures kept here.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator.sources import yamls

_FILE = Path(__file__).parent / "data" / "accelerators.yaml"


class UnknownAcceleratorError(LookupError):
    """A name that stands for no accelerator. ``nearest`` is the name that was probably meant."""

    def __init__(self, name: str, nearest: str | None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"{name!r} is not a known accelerator{hint}")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One row. Figures nobody published are None; all are dense, of one device."""

    slug: str
    model: str
    vendor: str
    vendor_hq: str
    aliases: tuple[str, ...]
    source: str
    as_of: dt.date
    memory_gb: float | None = None
    """Vendor's nominal memory, decimal gigabytes."""
    bandwidth_gbs: float | None = None
    """Memory bandwidth, gigabytes a second."""
    memory_kind: str = "dram"
    dense_16bit_tflops: float | None = None
    best_dense_tops: float | None = None
    best_dense_bits: int | None = None
    die_mm2: float | None = None
    watts: int | None = None
    """Nominal board power, from memory: good enough to estimate carbon, nothing else."""
    kubernetes_resource: str | None = None
    ray_type: str | None = None
    datacenter: bool = True
    is_informed: bool = False
    us_subject: bool = True
    mark: str | None = None
    """``memory`` or ``unverified`` where the figures are weaker than the source suggests."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All accelerators by slug, and the normalised names that lead to them."""

    rows: Mapping[str, Accelerator]
    names: Mapping[str, str]

    def resolve(self, name: str) -> str:
        """Return the slug that a name stands for. Raises ``UnknownAcceleratorError`` with the nearest known name."""
        slug = self.names.get(_normal(name))
        if slug is None:
            raise UnknownAcceleratorError(name, self.nearest(name))
        return slug

    def get(self, name: str) -> Accelerator:
        """Return the row that a name stands for. Raises ``UnknownAcceleratorError``."""
        return self.rows[self.resolve(name)]

    def parse(self, text: str) -> tuple[str, int | None]:
        """Return (slug, count) of ``h100:8`` or ``H100``. Raises ``UnknownAcceleratorError`` or ``ValueError``."""
        name, colon, count = text.partition(":")
        if colon and not (count.isascii() and count.isdecimal() and int(count[:9]) > 0 and len(count) < 10):
            raise ValueError(f"{text!r}: the count after the colon must be a whole number above 0")
        return self.resolve(name), int(count) if colon else None

    def nearest(self, name: str) -> str | None:
        """Return the known name (slug or alias) that is closest to what was written, or None."""
        shown = {_normal(item): item for row in self.rows.values() for item in (*row.aliases, row.slug)}
        close = difflib.get_close_matches(_normal(name), shown, n=1, cutoff=0.5)
        return shown[close[0]] if close else None


def _normal(name: str) -> str:
    return "".join(char for char in name.lower() if char not in " -_")


def read(path: Path) -> Catalogue:
    """Read a catalogue. Raises ``yamls.YamlError`` naming file and line, also for a name used twice."""
    document = yamls.read(path)
    rows: dict[str, Accelerator] = {}
    names: dict[str, str] = {}
    try:
        as_of = dt.date.fromisoformat(document.data["as_of"])
        for index, raw in enumerate(document.data["accelerators"]):
            row = _row(raw, as_of)
            rows[row.slug] = row
            for name in {_normal(item) for item in (row.slug, *row.aliases)}:
                if name in names:
                    where = document.locate(("accelerators", index))
                    raise yamls.YamlError(f"{where}: the name {name!r} is used twice")
                names[name] = row.slug
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, yamls.YamlError):
            raise
        raise yamls.YamlError(f"{path}: not a catalogue: {error!r}") from error
    return Catalogue(MappingProxyType(rows), MappingProxyType(names))


def _row(raw: Mapping[str, Any], as_of: dt.date) -> Accelerator:
    fields = dict(raw)
    best = fields.pop("best_dense", {})
    aliases = tuple(fields.pop("aliases", ()))
    return Accelerator(
        aliases=aliases, as_of=as_of, best_dense_tops=best.get("tops"), best_dense_bits=best.get("bits"), **fields
    )


@functools.lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue that ships with Comity; the file is read once."""
    return read(_FILE)
