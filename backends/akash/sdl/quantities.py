"""Amounts as SDL spells them. Numbers below follow ``go/sdl/units.go`` of akash-network/chain-sdk (Apache-2.0)."""

from __future__ import annotations

import decimal
import re

_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: 1000**power for power, letter in enumerate("kMGTPE", start=1)}
_AMOUNT = re.compile(r"(\d{1,20}(?:\.\d{1,18})?)([A-Za-z]*)", re.ASCII)
PRICE_PLACES = decimal.Decimal(1).scaleb(-18)


def cpu_milli(given: str | float) -> int:
    """Return thousandths of a CPU: ``"100m"``, ``0.5``, ``"2"``. Raises ValueError, for nothing too."""
    amount, suffix = _split(given)
    if suffix not in ("", "m") or (suffix and amount != amount.to_integral_value()):
        raise ValueError(f"{given!r} is no number of CPUs: write 0.5 or 500m")
    found = int(amount if suffix else amount * 1000)
    if found <= 0:
        raise ValueError("there is no container with no CPU")
    return found


def size_bytes(given: str) -> int:
    """Return bytes: ``"512Mi"``, ``"1G"``, ``"1073741824"``. Raises ValueError."""
    amount, suffix = _split(given)
    if suffix and suffix not in _BINARY and suffix not in _DECIMAL:
        raise ValueError(f"{given!r} is no size: write 512Mi or 10Gi")
    return int(amount * (_BINARY.get(suffix) or _DECIMAL.get(suffix) or 1))


def gibibytes(given: str) -> str:
    """Return a size in whole gibibytes, as an attribute of a GPU has it: ``"80Gi"``. Raises ValueError."""
    return f"{size_bytes(given) // _BINARY['Gi']}Gi"


def count(given: str | float) -> int:
    """Return a whole number of devices. Raises ValueError."""
    amount, suffix = _split(given)
    if suffix or amount != amount.to_integral_value():
        raise ValueError(f"{given!r} is no number of devices")
    return int(amount)


def price(given: str | float) -> str:
    """Return a price as the chain writes it, with 18 places. Raises ValueError."""
    amount, suffix = _split(given)
    if suffix:
        raise ValueError(f"{given!r} is no price")
    return str(amount.quantize(PRICE_PLACES))


def _split(given: str | float) -> tuple[decimal.Decimal, str]:
    """Return number and unit. Never by way of a float: its digits are what was written."""
    found = _AMOUNT.fullmatch(given if isinstance(given, str) else format(decimal.Decimal(repr(given)), "f"))
    if found is None:
        raise ValueError(f"{given!r} is no amount")
    return decimal.Decimal(found[1]), found[2]
