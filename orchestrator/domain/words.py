"""Words that people mistype: which known one did they mean?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LENGTH_MAX = 64
"""Longer ones are nobody's typing error, and comparing them costs."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` most looks like, letter case aside, or None."""
    if len(word) > LENGTH_MAX:
        return None
    by_lower = {name.lower(): name for name in sorted(known)}
    if found := difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6):
        return by_lower[found[0]]
    return None
