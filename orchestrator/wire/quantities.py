"""Quantities as people write them, and the whole numbers that the program computes with.

``500m`` CPUs, ``64Gi`` of memory, ``80G`` of accelerator memory, ``1h30m``, ``2.20 EUR``. Exact: no float is
ever used on the way. Each ``parse_*`` raises :class:`errors.ValueProblemError`; each ``format_*`` writes the
shortest text that parses to the same value.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re

from orchestrator.domain import money
from orchestrator.wire import errors

CPU_MILLI_MAX = 1_000_000_000
MEMORY_BYTES_MAX = 2**60
ACCELERATOR_MEMORY_GB_MAX = 1_000_000
DURATION_MAX = dt.timedelta(days=3650)
MONEY_MICRO_MAX = 10**15
"""A thousand million units: products with a count stay inside 64 bits."""

Written = str | int | float
"""A quantity in a document: text, or a bare number in JSON."""

CPU_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,3})?$|^(0|[1-9][0-9]{0,11})m$"
MEMORY_PATTERN = r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,9})?(|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)$"
ACCELERATOR_MEMORY_PATTERN = r"^[1-9][0-9]{0,6}(G|T)$"
DURATION_PATTERN = r"^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
MONEY_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})? [A-Z]{3}$"

_CPU = re.compile(CPU_PATTERN, re.ASCII)
_MEMORY = re.compile(MEMORY_PATTERN, re.ASCII)
_ACCELERATOR_MEMORY = re.compile(ACCELERATOR_MEMORY_PATTERN, re.ASCII)
_BINARY_ACCELERATOR_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?[KMGT]i", re.ASCII)
_DURATION = re.compile(DURATION_PATTERN, re.ASCII)
_MONEY = re.compile(MONEY_PATTERN, re.ASCII)
_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip


def parse_cpus(written: Written) -> int:
    """Return thousandths of a CPU: ``8`` is 8000, ``500m`` is 500, ``0.5`` is 500."""
    text = _text(written, "cpus", "8, 0.5 or 500m")
    if not _CPU.fullmatch(text) or text.endswith("\n"):
        raise errors.ValueProblemError(
            f"{errors.shorten(text)!r} is not a number of CPUs", "write 8, 0.5 or 500m; a thousandth is the least"
        )
    milli = int(text[:-1]) if text.endswith("m") else int(decimal.Decimal(text).scaleb(3))
    if milli > CPU_MILLI_MAX:
        raise errors.ValueProblemError(f"{text} CPUs are more than {CPU_MILLI_MAX // 1000}", "ask for fewer")
    return milli


def format_cpus(milli: int) -> str:
    """Return ``8`` or ``500m``."""
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def parse_memory(written: Written) -> int:
    """Return bytes: ``64Gi`` is 64 x 2**30, ``1G`` is 10**9, a bare number counts bytes."""
    text = _text(written, "memory", "64Gi or 512Mi")
    if not (found := _MEMORY.fullmatch(text)) or text.endswith("\n"):
        raise errors.ValueProblemError(
            f"{errors.shorten(text)!r} is not an amount of memory", "write 64Gi, 512Mi or 1G, no space before the unit"
        )
    unit = found.group(3)
    size = decimal.Decimal(text.removesuffix(unit)) * _UNITS[unit]
    if size > MEMORY_BYTES_MAX:
        raise errors.ValueProblemError(f"{text} is more than {MEMORY_BYTES_MAX // 2**50} Pi", "ask for less")
    if size != int(size):
        raise errors.ValueProblemError(f"{text} is not a whole number of bytes", "write a smaller unit")
    return int(size)


def format_memory(size_bytes: int) -> str:
    """Return ``64Gi``, ``1G`` or plain bytes, whichever is exact; binary units first."""
    for unit in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "k"):
        if size_bytes and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)


def parse_accelerator_memory(written: Written) -> int:
    """Return decimal gigabytes, the vendor's nominal figure: ``80G`` is 80."""
    text = _text(written, "accelerator memory", "80G")
    if _BINARY_ACCELERATOR_MEMORY.fullmatch(text):
        raise errors.ValueProblemError(
            f"{errors.shorten(text)!r} counts in powers of two; accelerator memory is the vendor's decimal figure",
            f"write {text[:-1]}",
        )
    if not _ACCELERATOR_MEMORY.fullmatch(text) or text.endswith("\n"):
        raise errors.ValueProblemError(f"{errors.shorten(text)!r} is not an amount of accelerator memory", "write 80G")
    size = int(text[:-1]) * (1000 if text.endswith("T") else 1)
    if size > ACCELERATOR_MEMORY_GB_MAX:
        raise errors.ValueProblemError(f"{text} is more than {ACCELERATOR_MEMORY_GB_MAX}G", "ask for less")
    return size


def format_accelerator_memory(size_gb: int) -> str:
    """Return ``80G``."""
    return f"{size_gb}G"


def parse_duration(written: Written) -> dt.timedelta:
    """Return the length of time: days, hours, minutes, seconds in that order, ``1h30m``. Longer than nothing."""
    text = _text(written, "a duration", "6h, 10m or 1h30m")
    found = _DURATION.fullmatch(text)
    if not text or not found or text.endswith("\n"):
        raise errors.ValueProblemError(
            f"{errors.shorten(text)!r} is not a duration", "write 90s, 10m, 6h, 2d or 1h30m, with the unit"
        )
    days, hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in found.groups())
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if whole > DURATION_MAX.total_seconds():
        raise errors.ValueProblemError(f"{text} is longer than {DURATION_MAX.days}d", "write a shorter one")
    if whole == 0:
        raise errors.ValueProblemError(f"{text} is no time at all", "write a longer one, or leave the field out")
    return dt.timedelta(seconds=whole)


def format_duration(duration: dt.timedelta) -> str:
    """Return ``1h30m``; whole seconds."""
    rest, text = int(duration.total_seconds()), ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_money(written: Written) -> money.Money:
    """Return the amount: ``2.20 EUR``; at most six digits after the point, ISO 4217 code after one space."""
    text = _text(written, "an amount of money", "2.20 EUR")
    if not _MONEY.fullmatch(text) or text.endswith("\n"):
        raise errors.ValueProblemError(
            f"{errors.shorten(text)!r} is not an amount of money", "write 2.20 EUR, with the currency"
        )
    number, currency = text.split(" ")
    micro = int(decimal.Decimal(number).scaleb(6))
    if micro > MONEY_MICRO_MAX:
        raise errors.ValueProblemError(f"{text} is more than {MONEY_MICRO_MAX // money.MICRO} {currency}", "write less")
    return money.Money(micro, currency)


def format_money(amount: money.Money) -> str:
    """Return ``2.20 EUR``."""
    return str(amount)


def split_accelerator(text: str) -> tuple[str, int | None]:
    """Return ``("h100", 8)`` for ``h100:8`` and ``("h100", None)`` for ``h100``; the name is not looked up."""
    name, colon, count = text.partition(":")
    if not colon:
        return name, None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", count, re.ASCII) or not name:
        raise errors.ValueProblemError(f"{errors.shorten(text)!r} is not NAME:COUNT", "write h100:8")
    return name, int(count)


def _text(written: object, what: str, example: str) -> str:
    """Return the spelling; numbers from JSON are written out exactly as JSON would."""
    if isinstance(written, str):
        return str(written)
    if isinstance(written, int) and not isinstance(written, bool):
        return str(written)
    if isinstance(written, float):
        return format(decimal.Decimal(repr(written)), "f").removesuffix(".0")
    raise errors.ValueProblemError(f"must be {what}", f"write {example}")
