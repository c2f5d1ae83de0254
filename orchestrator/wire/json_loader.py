"""JSON of HTTP bodies: as strict as the YAML loader, and as fast as the standard library allows.

Refused: what is not RFC 8259 (NaN, single quotes ...), duplicate keys, numbers outside 64 bits or not finite, NUL and
lone surrogates, and whatever is deeper, longer or has more values than the limits say. Scans that cost time run only
where a cheap count of bytes says that a bound may be crossed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.wire import bounds, errors, spellings

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Possessive, and satisfied by the end of the text: one pass, whatever a stranger leaves unclosed."""
_STRUCTURE = re.compile(r"[\[\]{},]")
_ESCAPED_TROUBLE = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_TROUBLE = re.compile("[\0\ud800-\udfff]")


class _RefusalError(ValueError):
    """Raised by the hooks of the parser; carries a problem and a remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


def load(source: bytes, *, limits: bounds.Limits = bounds.DEFAULT) -> Any:
    """Return the one value that ``source`` holds. Raises :class:`errors.InvalidDocumentError` with one error."""
    text = _decode(source, limits)
    _check_shape(source, text, limits)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _invalid(f"is not JSON: {error.msg}", "", error.lineno, error.colno) from error
    except _RefusalError as error:
        raise _invalid(error.problem, error.remedy) from error
    except errors.ValueProblemError as error:
        raise _invalid(f"a number {error.problem}", error.remedy) from error
    if _ESCAPED_TROUBLE.search(source) and (path := _find_trouble(value)) is not None:
        problem = "holds a NUL character or a lone surrogate, which no document may hold"
        raise errors.InvalidDocumentError([errors.DocumentError(problem, path, "remove it", errors.SYNTAX)])
    return value


def _decode(source: bytes, limits: bounds.Limits) -> str:
    if len(source) > limits.bytes_max:
        raise _invalid(f"is longer than {limits.bytes_max} bytes", "send less at once", code=errors.TOO_LARGE)
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"is not UTF-8 text at byte {error.start}", "send UTF-8") from error


def _check_shape(source: bytes, text: str, limits: bounds.Limits) -> None:
    """Bound depth and number of values before anything recurses or allocates."""
    openings = source.count(b"[") + source.count(b"{")
    commas = source.count(b",")
    if openings <= limits.depth_max and openings + commas + 1 <= limits.nodes_max:
        return
    depth = nodes = 0
    for mark in _STRUCTURE.finditer(_STRING.sub("", text)):
        sign = mark.group()
        if sign in "]}":
            depth -= 1
            continue
        nodes += 1
        if sign != ",":
            depth += 1
        if depth > limits.depth_max:
            raise _invalid(f"nests deeper than {limits.depth_max} levels", "flatten it", code=errors.TOO_COMPLEX)
        if nodes > limits.nodes_max:
            raise _invalid(f"holds more than {limits.nodes_max} values", "send less at once", code=errors.TOO_COMPLEX)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusalError(f"{errors.shorten(key)!r} stands twice in one object", "remove one of them")
            seen.add(key)
    return found


def _integer(text: str) -> int:
    if len(text) > 20:
        raise _RefusalError("a whole number is outside 64 bits", "quote it if it is text")
    return spellings.check_int(int(text))


def _number(text: str) -> float:
    return spellings.check_float(float(text))


def _constant(text: str) -> Any:
    raise _RefusalError(f"is not JSON: {text} is not a number", "leave it out")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _find_trouble(value: Any) -> str | None:
    """Return the path of the first text with NUL or a lone surrogate, keys included; None where there is none."""
    stack: list[tuple[errors.Path, Any]] = [((), value)]
    while stack:
        path, member = stack.pop()
        if isinstance(member, str) and _TROUBLE.search(member):
            return errors.render_path(path)
        if isinstance(member, dict):
            for key, inner in member.items():
                if _TROUBLE.search(key):
                    return errors.render_path(path)
                stack.append(((*path, key), inner))
        elif isinstance(member, list):
            stack.extend(((*path, index), inner) for index, inner in enumerate(member))
    return None


def _invalid(
    problem: str, remedy: str, line: int = 0, column: int = 0, *, code: str = errors.SYNTAX
) -> errors.InvalidDocumentError:
    return errors.InvalidDocumentError([errors.DocumentError(problem, "", remedy, code, "", line, column)])
