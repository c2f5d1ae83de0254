"""Exchange rates of the house: files of dated rates. None ships with Comity: a rate of another day would be wrong.

A file states units of other currencies for one unit of its ``base``, as central banks publish them (the European
Central Bank's euro foreign exchange reference rates: base EUR), its day, its source, and for how many days it may be
used. From it come the rates between all pairs of its currencies, each rounded up to a millionth: a price is never made
to look lower than it is. A pair whose smaller side is worth less than a thousandth is left out; a millionth would be
too coarse for it.
"""

from __future__ import annotations

import datetime as dt
import fractions
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain import money
from orchestrator.placement import requirements
from orchestrator.sources import yamls

AGE_DAYS = 7
"""Days after its own for which a file may be used, where it says nothing: a week has a weekend and a holiday."""
AGE_DAYS_MAX = 31
CURRENCIES_MAX = 64
RATE_MAX = 10**9
MICRO_MIN = 1_000
"""The smallest rate in millionths that is still good to a part in a thousand."""
_KEYS = ("as_of", "source", "base", "rates", "max_age_days")
_CURRENCY = re.compile(r"[A-Z]{3}")


def load(*files: Path) -> tuple[requirements.Rate, ...]:
    """Return the rates of the files, each with its days. Of two that say a pair for a day the later file counts.

    Raises ``yamls.YamlError`` naming file, line and path of each problem.
    """
    return tuple(rate for path in files for rate in read(path))


def read(path: Path) -> tuple[requirements.Rate, ...]:
    """Return the rates between all pairs of one file's currencies. Raises ``yamls.YamlError``."""
    document = yamls.read(path)
    problems: list[tuple[yamls.PathInFile, str]] = []
    data = document.data if isinstance(document.data, dict) else {}
    known = ", ".join(_KEYS)
    problems += [((key,), f"is not known (a file has {known})") for key in data if key not in _KEYS]
    problems += [((key,), "is required") for key in _KEYS[:-1] if key not in data]
    day, source = _day(data, problems), data.get("source")
    if "source" in data and (not isinstance(source, str) or not source):
        problems.append((("source",), "is not text (say who published them)"))
    age = data.get("max_age_days", AGE_DAYS)
    if not isinstance(age, int) or isinstance(age, bool) or not 0 <= age <= AGE_DAYS_MAX:
        problems.append((("max_age_days",), f"is not a number of days (write one from 0 to {AGE_DAYS_MAX})"))
    values = _values(data, problems)
    if problems:
        raise yamls.YamlError("\n".join(_line(document, where, text) for where, text in problems))
    assert day is not None  # noqa: S101 -- required above
    return tuple(_pairs(values, day, day + dt.timedelta(days=age), str(source)))


def _day(data: Mapping[str, Any], problems: list[tuple[yamls.PathInFile, str]]) -> dt.date | None:
    if "as_of" not in data:
        return None
    try:
        return dt.date.fromisoformat(str(data["as_of"]))
    except ValueError:
        problems.append((("as_of",), "is not a date (write YYYY-MM-DD)"))
        return None


def _values(data: Mapping[str, Any], problems: list[tuple[yamls.PathInFile, str]]) -> Mapping[str, fractions.Fraction]:
    """Return how many units of each currency one unit of the base is, the base itself included."""
    base, listed = data.get("base"), data.get("rates", {})
    if "base" in data and not _is_currency(base):
        problems.append((("base",), "is no currency (write three capitals, as EUR)"))
    if not isinstance(listed, dict) or not 0 < len(listed) <= CURRENCIES_MAX:
        if "rates" in data:
            problems.append(
                (("rates",), f"is not a mapping of 1 to {CURRENCIES_MAX} currencies (write CURRENCY: units)")
            )
        return {}
    found = {str(base): fractions.Fraction(1)}
    for currency, units in listed.items():
        where = ("rates", currency)
        if not _is_currency(currency) or currency == base:
            problems.append((where, "is no other currency (write three capitals, as USD)"))
        elif isinstance(units, bool) or not isinstance(units, int | float) or not 0 < units <= RATE_MAX:
            problems.append((where, "is not a number above zero (write units for one of the base)"))
        else:
            # The shortest decimal that is this number: what stands in the file.
            found[currency] = fractions.Fraction(str(units))
    return found


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None


def _pairs(
    values: Mapping[str, fractions.Fraction], first: dt.date, last: dt.date, source: str
) -> list[requirements.Rate]:
    made = []
    for base, base_units in sorted(values.items()):
        for quote, quote_units in sorted(values.items()):
            exact = quote_units / base_units * money.MICRO
            micro = -(-exact.numerator // exact.denominator)
            if base != quote and exact >= MICRO_MIN:
                made.append(requirements.Rate(base, quote, micro, first, last, source))
    return made


def _line(document: yamls.Document, where: yamls.PathInFile, text: str) -> str:
    return f"{document.locate(where)}: {'.'.join(map(str, where))}: {text}"
