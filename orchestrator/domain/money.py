"""Money as whole micro-units of a currency: no float, no rounding by accident."""

from __future__ import annotations

import functools
from dataclasses import dataclass

MICRO = 1_000_000
"""Micro-units in one unit."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount. ``micro`` is in millionths of the unit; ``currency`` is an ISO 4217 code."""

    micro: int
    currency: str

    def times(self, count: int) -> Money:
        """Return the amount ``count`` times."""
        return Money(self.micro * count, self.currency)

    def __str__(self) -> str:
        return _text(self.micro, self.currency)


@functools.lru_cache(maxsize=4096)
def _text(micro: int, currency: str) -> str:
    # An answer says the price of every pool several times.
    whole, rest = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    cents = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{cents} {currency}"
