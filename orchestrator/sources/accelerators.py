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

from orchestrator.domain import facts, sites
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
    """One row: what rules read (``known``), and what placement and adapters need beside it."""

    known: sites.Accelerator
    aliases: tuple[str, ...]
    memory_gb: float | None = None
    """Vendor's nominal memory, decimal gigabytes."""
    bandwidth_gbs: float | None = None
    """Memory bandwidth, gigabytes a second."""
    memory_kind: str = "dram"
    watts: int | None = None
    """Nominal board power, from memory: good enough to estimate carbon, nothing else."""
    kubernetes_resource: str | None = None
    ray_type: str | None = None
    note: str | None = None

    @property
    def slug(self) -> str:
        """The one name of the model."""
        return self.known.slug


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where a maker of accelerators has its headquarters (ISO 3166-1 alpha-2)."""

    name: str
    hq: str
    source: str
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All accelerators by slug, and the normalised names that lead to them."""

    rows: Mapping[str, Accelerator]
    names: Mapping[str, str]
    vendors: Mapping[str, Vendor]

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
    where = str(path)
    try:
        as_of = document.data["as_of"]
        vendors = {raw["name"]: Vendor(**raw) for raw in document.data["vendors"]}
        for index, raw in enumerate(document.data["accelerators"]):
            where = document.locate(("accelerators", index))
            row = _row({"as_of": as_of, **raw}, vendors)
            rows[row.slug] = row
            for name in {_normal(item) for item in (row.slug, *row.aliases)}:
                if name in names:
                    raise yamls.YamlError(f"{where}: the name {name!r} is used twice")
                names[name] = row.slug
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, yamls.YamlError):
            raise
        raise yamls.YamlError(f"{where}: not a catalogue: {error!r}") from error
    return Catalogue(MappingProxyType(rows), MappingProxyType(names), MappingProxyType(vendors))


_BESIDE = ("memory_gb", "bandwidth_gbs", "memory_kind", "watts", "kubernetes_resource", "ray_type", "note")
_PLAIN = ("slug", "model", "vendor", "source", "mark", "datacenter", "nonplanar", "is_informed", "us_subject")


def _row(raw: Mapping[str, Any], vendors: Mapping[str, Vendor]) -> Accelerator:
    """Return a row; every figure is checked for what it must be. Raises KeyError, TypeError or ValueError."""
    fields = dict(raw)
    beside = {name: fields.pop(name) for name in _BESIDE if name in fields}
    aliases = tuple(fields.pop("aliases", ()))
    plain = {name: fields.pop(name) for name in _PLAIN if name in fields}
    as_of, valid_from, valid_to = (_day(fields.pop(name, None)) for name in ("as_of", "valid_from", "valid_to"))
    dense = tuple(
        sites.Performance(_figure(entry["tops"]), int(_figure(entry["bits"]))) for entry in fields.pop("dense", ())
    )
    die = fields.pop("die_mm2", None)
    assurance = facts.Assurance[str(fields.pop("assurance", "declared")).upper()]
    if fields:
        raise ValueError(f"unknown {', '.join(sorted(fields))}")
    if plain.get("mark") not in (None, "memory", "unverified"):
        raise ValueError(f"mark {plain['mark']!r}")
    if not plain["source"]:
        raise ValueError("a row without a source")
    return Accelerator(
        known=sites.Accelerator(
            vendor_hq=vendors[plain["vendor"]].hq,
            performances=dense,
            die_area_mm2=None if die is None else _figure(die),
            dram_bandwidth_gbs=beside.get("bandwidth_gbs") if beside.get("memory_kind", "dram") == "dram" else None,
            assurance=assurance,
            as_of=as_of,
            valid_from=valid_from,
            valid_to=valid_to,
            **plain,
        ),
        aliases=aliases,
        **beside,
    )


def _figure(value: object) -> float:
    """Return a figure above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"{value!r} is not a number above 0")
    return float(value)


def _day(value: object) -> dt.date | None:
    return None if value is None else dt.date.fromisoformat(str(value))


@functools.lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue that ships with Comity; the file is read once."""
    return read(_FILE)
