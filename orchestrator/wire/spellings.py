"""Plain scalars that keep their spelling until a schema says what they are.

YAML decides types by looks; a schema knows better. The loader therefore leaves every plain (unquoted) scalar except
null as :class:`Plain`, which *is* text: a text field takes ``3E001``, ``1.10`` or ``0123`` as written, and only a field
that wants a number or a truth value calls :func:`resolve`, which follows the YAML 1.2 core schema.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

from orchestrator.wire import errors

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_NUMBER_LENGTH_MAX = 64
_POINTLESS = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+", re.ASCII)

Resolver = Callable[[str], bool | int | float | str]
"""What an unquoted text is: :func:`resolve` or :func:`resolve_pointed`."""


class Plain(str):
    """An unquoted scalar as spelled in the source."""

    __slots__ = ()


def is_null(text: str) -> bool:
    """Say whether an unquoted ``text`` is null."""
    return text in _NULLS


def resolve(text: str) -> bool | int | float | str:
    """Return what an unquoted ``text`` is in the YAML 1.2 core schema; text where it is nothing else.

    Leading zeros (``0123``) and sexagesimal numbers (``1:30``) stay text, so do dates and ``yes``, ``no``, ``on``.
    Raises :class:`errors.ValueProblemError` for numbers outside 64 bits and for what is not finite.
    """
    if text in _BOOLS:
        return _BOOLS[text]
    if not text or text[0] not in "+-.0123456789":
        return str(text)
    if len(text) > _NUMBER_LENGTH_MAX:
        if _FLOAT.fullmatch(text) or _RADIX.fullmatch(text):
            raise errors.ValueProblemError("is a number with too many digits", "quote it if it is text")
        return str(text)
    if _INT.fullmatch(text):
        return check_int(int(text))
    if _RADIX.fullmatch(text):
        return check_int(int(text[2:], 8 if text[1] == "o" else 16))
    if _FLOAT.fullmatch(text):
        return check_float(float(text))
    if _NOT_FINITE.fullmatch(text):
        raise errors.ValueProblemError("is not a finite number", "quote it if it is text")
    return str(text)


def resolve_pointed(text: str) -> bool | int | float | str:
    """Return as :func:`resolve`, but a number with an exponent only where it has a point.

    For facts: ``3E001`` is an item of a control list, and no schema is there to say so.
    """
    return str(text) if _POINTLESS.fullmatch(text) else resolve(text)


def check_int(value: int) -> int:
    """Return ``value`` if it fits 64 bits with sign, else raise :class:`errors.ValueProblemError`."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise errors.ValueProblemError("is a whole number outside 64 bits", "quote it if it is text")


def check_float(value: float) -> float:
    """Return ``value`` if it is finite, else raise :class:`errors.ValueProblemError`."""
    if math.isfinite(value):
        return value
    raise errors.ValueProblemError("is not a finite number", "quote it if it is text")


def resolved(value: object, resolve: Resolver = resolve) -> object:
    """Return ``value`` with every :class:`Plain` in it resolved; containers are copied.

    For readers without a schema. A container that aliases share is copied once and stays shared. Depth was bounded by
    the loader. Raises :class:`errors.ValueProblemError` like :func:`resolve`.
    """
    return _resolved(value, resolve, {})


def _resolved(value: object, resolve: Resolver, seen: dict[int, object]) -> object:
    if isinstance(value, Plain):
        return resolve(value)
    if not isinstance(value, dict | list):
        return value
    if id(value) not in seen:
        if isinstance(value, dict):
            seen[id(value)] = {key: _resolved(member, resolve, seen) for key, member in value.items()}
        else:
            seen[id(value)] = [_resolved(member, resolve, seen) for member in value]
    return seen[id(value)]


def free_form(value: object) -> object:
    """Return data whose schema somebody else has (an adapter's settings) with spellings resolved.

    A fraction that would lose its spelling (``1.10``) stays text, and so does a number that cannot be kept.
    """
    if isinstance(value, Plain):
        try:
            number = resolve(value)
        except errors.ValueProblemError:
            return str(value)
        return str(value) if isinstance(number, float) and json.dumps(number) != value else number
    if isinstance(value, dict):
        return {key: free_form(member) for key, member in value.items()}
    if isinstance(value, list):
        return [free_form(member) for member in value]
    return value


def pointed_form(value: object) -> object:
    """Return data that a reader of facts will read (cases of policies), spellings resolved as facts have them.

    A number that cannot be kept stays text, for that reader to refuse.
    """
    if isinstance(value, Plain):
        try:
            return resolve_pointed(value)
        except errors.ValueProblemError:
            return str(value)
    if isinstance(value, dict):
        return {key: pointed_form(member) for key, member in value.items()}
    if isinstance(value, list):
        return [pointed_form(member) for member in value]
    return value
