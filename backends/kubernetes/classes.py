"""Which devices a DeviceClass takes, where its CEL expressions are of a kind that can be read here. Pure.

Conjunctions of four forms are read: the driver, an attribute that equals a literal, a capacity that is at least a
quantity, and ``true``. Anything else is left to the scheduler, and whoever counts says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.kubernetes import quantities

Value = str | bool | int
_TEXT = r"""(?:"(?P<{0}a>[^"\\]{{0,253}})"|'(?P<{0}b>[^'\\]{{0,253}})')"""
_MEMBER = r"(?:\.(?P<name>[A-Za-z_][A-Za-z0-9_]{0,62})|\[" + _TEXT.format("key") + r"\])"
_DRIVER = re.compile(r"device\.driver\s*==\s*" + _TEXT.format("value"), re.ASCII)
_ATTRIBUTE = re.compile(
    r"device\.attributes\[" + _TEXT.format("domain") + r"\]" + _MEMBER + r"\s*==\s*"
    r"(?:" + _TEXT.format("value") + r"|(?P<literal>true|false|-?\d{1,18}))",
    re.ASCII,
)
_CAPACITY = re.compile(
    r"device\.capacity\[" + _TEXT.format("domain") + r"\]" + _MEMBER + r"\.(?:"
    r"compareTo\(quantity\(" + _TEXT.format("value") + r"\)\)\s*>=\s*0"
    r"|isGreaterThan\(quantity\(" + _TEXT.format("more") + r"\)\))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Device:
    """What a driver publishes of one device. Names are qualified: ``gpu.example.com/productName``."""

    driver: str
    attributes: Mapping[str, Value]
    capacity: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Test:
    """Which devices are taken: all that is known of it, and whether that is all there is."""

    driver: str | None = None
    attributes: tuple[tuple[str, Value], ...] = ()
    capacities: tuple[tuple[str, int, bool], ...] = ()
    """(name, amount, whether it must be more than that)."""
    whole: bool = True
    """False: it also asks for something that cannot be read here."""

    def takes(self, device: Device) -> bool:
        """Say whether a device passes what is known of the test."""
        if self.driver is not None and device.driver != self.driver:
            return False
        told = [(device.attributes.get(name), value) for name, value in self.attributes]
        if any(type(have) is not type(value) or have != value for have, value in told):
            return False
        return all(
            (have := device.capacity.get(name, 0)) > amount or (have == amount and not more)
            for name, amount, more in self.capacities
        )


def read(expressions: Sequence[str]) -> Test:
    """Return the test that all expressions make together."""
    found = Test()
    for expression in expressions:
        for part in _parts(expression):
            found = _with(found, part)
    return found


def _parts(expression: str) -> list[str]:
    """Return the members of a conjunction; a text with ``&&`` or ``||`` inside is left whole, and so not read."""
    if "||" in expression or "?" in expression or "&&" in "".join(re.findall(r"\"[^\"]*\"|'[^']*'", expression)):
        return [expression]
    return [part.strip() for part in expression.split("&&")]


def _with(found: Test, part: str) -> Test:
    if part == "true":
        return found
    if (match := _DRIVER.fullmatch(part)) is not None:
        driver = _text(match, "value")
        if found.driver not in (None, driver):
            return Test("", found.attributes, found.capacities, found.whole)  # two drivers at once: no device
        return Test(driver, found.attributes, found.capacities, found.whole)
    if (match := _ATTRIBUTE.fullmatch(part)) is not None:
        literal = match["literal"]
        value: Value = _text(match, "value")
        if literal is not None:
            value = literal == "true" if literal in ("true", "false") else int(literal)
        return Test(found.driver, (*found.attributes, (_name(match), value)), found.capacities, found.whole)
    if (match := _CAPACITY.fullmatch(part)) is not None:
        more = match["valuea"] is None and match["valueb"] is None
        amount = quantities.whole(_text(match, "more" if more else "value"))
        return Test(found.driver, found.attributes, (*found.capacities, (_name(match), amount, more)), found.whole)
    return Test(found.driver, found.attributes, found.capacities, whole=False)


def _name(match: re.Match[str]) -> str:
    return f"{_text(match, 'domain')}/{match['name'] or _text(match, 'key')}"


def _text(match: re.Match[str], group: str) -> str:
    return match[f"{group}a"] if match[f"{group}a"] is not None else match[f"{group}b"] or ""
