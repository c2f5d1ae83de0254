"""The countries of ISO 3166-1: alpha-2 codes and short English names, own data (``data/countries.yaml``)."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from orchestrator.domain import countries
from orchestrator.sources import yamls

_FILE = Path(__file__).parent / "data" / "countries.yaml"


@functools.lru_cache(maxsize=1)
def names() -> Mapping[str, str]:
    """Return the name of every country by its code; the file is read once."""
    data = yamls.read(_FILE).data
    return MappingProxyType({str(code): str(name) for code, name in data["countries"].items()})


def nearest(text: str) -> str | None:
    """Return the code that somebody who wrote ``text`` probably meant, or None."""
    known = names()
    if text.upper() in countries.COMMON_MISTAKES:
        return countries.COMMON_MISTAKES[text.upper()]
    if text.upper() in known:
        return text.upper()
    by_name = {name.lower(): code for code, name in known.items()}
    close = difflib.get_close_matches(text.lower(), by_name, n=1, cutoff=0.8)
    return by_name[close[0]] if close else None
