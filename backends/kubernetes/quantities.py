"""Kubernetes' way to write amounts (``100m``, ``2Gi``, ``1e3``), read and written. Pure.

Source: k8s.io/apimachinery, ``api/resource``: a decimal number with one of the suffixes below, or a decimal exponent.
"""

from __future__ import annotations

import decimal
import re

_SUFFIXES = {
    "": decimal.Decimal(1),
    "n": decimal.Decimal("1e-9"),
    "u": decimal.Decimal("1e-6"),
    "m": decimal.Decimal("1e-3"),
    **{suffix: decimal.Decimal(10) ** (3 * power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": decimal.Decimal(2) ** (10 * power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40}))([eE](?P<exponent>[+-]?\d{1,2})|(?P<suffix>[A-Za-z]{0,2}))"
)


def read(text: object) -> decimal.Decimal:
    """Return an amount; 0 for what is none: whatever a cluster says that cannot be read counts as nothing there."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return decimal.Decimal(0)
    number = decimal.Decimal(found["number"])
    if found["exponent"] is not None:
        return number.scaleb(int(found["exponent"]))
    factor = _SUFFIXES.get(found["suffix"] or "")
    return decimal.Decimal(0) if factor is None else number * factor


def whole(text: object) -> int:
    """Return whole units, rounded down; never negative."""
    return max(0, int(read(text)))


def milli(text: object) -> int:
    """Return thousandths, rounded down; never negative."""
    return max(0, int(read(text) * 1000))
