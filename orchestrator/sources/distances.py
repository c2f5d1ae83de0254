"""Round-trip times between places: own dated data (``data/distances.yaml``), and files of the house in the same form.

``ms`` maps an origin to places and milliseconds; both are countries, or regions as backends and data sets name them.
A figure of the house goes before the shipped one; what neither has is unknown.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain import countries, facts
from orchestrator.placement import requirements
from orchestrator.sources import yamls

SHIPPED = Path(__file__).parent / "data" / "distances.yaml"
MS_MAX = 10_000
_KEYS = ("as_of", "source", "ms")


def load(*files: Path) -> Mapping[str, requirements.Distances]:
    """Return the distances by origin: the shipped ones, and those of ``files`` over them, later ones first.

    Raises ``yamls.YamlError`` naming file, line and path of each problem.
    """
    found: dict[str, requirements.Distances] = {}
    for path in (SHIPPED, *files):
        for origin, more in read(path).items():
            known = found.get(origin)
            found[origin] = more if known is None else _over(known, more)
    return found


def read(path: Path) -> Mapping[str, requirements.Distances]:
    """Return what one file says, by origin. Raises ``yamls.YamlError``."""
    document = yamls.read(path)
    problems: list[tuple[yamls.PathInFile, str]] = []
    data = document.data if isinstance(document.data, dict) else {}
    problems += [((key,), "is not known (a file has as_of, source and ms)") for key in data if key not in _KEYS]
    problems += [((key,), "is required") for key in _KEYS if key not in data]
    stamp = _stamp(data, problems)
    rows = data.get("ms", {})
    if not isinstance(rows, dict):
        problems.append((("ms",), "is not a mapping of origins (write ORIGIN: {PLACE: milliseconds})"))
        rows = {}
    made = {origin: _distances(origin, row, stamp, problems) for origin, row in rows.items()}
    if problems:
        raise yamls.YamlError("\n".join(_line(document, where, text) for where, text in problems))
    return made


def _stamp(data: Mapping[str, Any], problems: list[tuple[yamls.PathInFile, str]]) -> facts.FactStamp:
    source, as_of = data.get("source"), None
    if "source" in data and (not isinstance(source, str) or not source):
        problems.append((("source",), "is not text (say who measured, and how)"))
    if "as_of" in data:
        try:
            as_of = dt.date.fromisoformat(str(data["as_of"]))
        except ValueError:
            problems.append((("as_of",), "is not a date (write YYYY-MM-DD)"))
    return facts.FactStamp(source=source, as_of=as_of, assurance=facts.Assurance.DOCUMENTED)


def _distances(
    origin: str, row: object, stamp: facts.FactStamp, problems: list[tuple[yamls.PathInFile, str]]
) -> requirements.Distances:
    if not isinstance(row, dict):
        problems.append((("ms", origin), "is not a mapping (write {PLACE: milliseconds})"))
        return requirements.NO_DISTANCES
    for place in _misspelt([origin, *row]):
        where = ("ms", origin) if place == origin else ("ms", origin, place)
        problems.append((where, f"{place} is no country code (write {countries.COMMON_MISTAKES[place]})"))
    for place, ms in row.items():
        number = isinstance(ms, int | float) and not isinstance(ms, bool)
        if not number or not math.isfinite(ms) or not 0 <= ms <= MS_MAX:
            problems.append((("ms", origin, place), f"is not a number of milliseconds (write one from 0 to {MS_MAX})"))
    return requirements.Distances(origin, row, stamp)


def _misspelt(places: Iterable[str]) -> list[str]:
    return [place for place in places if place in countries.COMMON_MISTAKES]


def _over(known: requirements.Distances, more: requirements.Distances) -> requirements.Distances:
    stamps = {**known.stamps, **dict.fromkeys(more.places, more.stamp)}
    return requirements.Distances(known.origin, {**known.places, **more.places}, known.stamp, stamps)


def _line(document: yamls.Document, where: yamls.PathInFile, text: str) -> str:
    return f"{document.locate(where)}: {'.'.join(map(str, where))}: {text}"
