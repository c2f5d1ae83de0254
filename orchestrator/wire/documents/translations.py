"""Errors of the validation library, said in our words: what is wrong here and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from orchestrator.wire import errors, fields
from orchestrator.wire.documents import schemas

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "too_short": ("min_length", "must have at least {} entries"),
    "too_long": ("max_length", "must have at most {} entries"),
}
Found = tuple[errors.Path, bool, errors.DocumentError]
"""A path in the data, whether its key is meant, and the error, not placed yet."""

_SERVER_ONLY = {("status",), ("metadata", "id")}


def translate(kind: str, error: Mapping[str, Any], data: object) -> Found:
    """Return path, whether the *key* at that path is meant, and the error without its place."""
    path = path_in(data, error["loc"], missing=error["type"] in ("missing", "extra_forbidden"))
    on_key = error["type"] == "extra_forbidden" or "[key]" in error["loc"]
    text = errors.render_path(path)
    match error["type"]:
        case "missing":
            return path, False, errors.DocumentError("is required", text, "add it")
        case "extra_forbidden":
            return path, True, _unknown(kind, path)
        case "value_error" if isinstance(cause := error.get("ctx", {}).get("error"), errors.ValueProblemError):
            return path, on_key, errors.DocumentError(cause.problem, text, cause.remedy)
    problem, remedy = _say(error)
    return path, on_key, errors.DocumentError(problem, text, remedy)


def path_in(data: object, location: tuple[errors.PathPart, ...], *, missing: bool) -> errors.Path:
    """Return the part of ``location`` that walks ``data``; the library's own marks (union tags, ``[key]``) fall out."""
    path: list[errors.PathPart] = []
    value: Any = data
    for index, part in enumerate(location):
        in_mapping = isinstance(value, dict) and part in value
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_mapping or in_list:
            value = value[part]
        elif not (missing and index == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _unknown(kind: str, path: errors.Path) -> errors.DocumentError:
    text, name = errors.render_path(path), str(path[-1])
    if path in _SERVER_ONLY:
        return errors.DocumentError("is set by the server", text, "leave it out", errors.UNKNOWN_FIELD)
    known = schemas.known_fields(kind, path[:-1])
    if guess := errors.nearest(name, known):
        remedy = f"did you mean {guess}?"
    elif elsewhere := schemas.places_of(kind, name):
        remedy = f"it stands at {' or '.join(elsewhere[:3])}"
    elif len(known) <= 12:
        remedy = f"known here: {', '.join(known)}"
    else:
        remedy = "leave it out"
    return errors.DocumentError("unknown field", text, remedy, errors.UNKNOWN_FIELD)


def _say(error: Mapping[str, Any]) -> tuple[str, str]:
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind in _WANTED:
        quote = "quote it" if kind == "string_type" and not isinstance(value, list | dict) else ""
        return f"must be {_WANTED[kind]}, not {_name(value)}", quote
    if kind in _BOUNDS:
        key, sentence = _BOUNDS[kind]
        return sentence.format(_number(context[key])), ""
    if kind == "string_pattern_mismatch":
        hint = fields.HINTS.get(context["pattern"], "")
        return f"{errors.shorten(str(value))!r} does not fit here", f"write {hint}" if hint else ""
    if kind == "literal_error":
        words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        guess = errors.nearest(value, words) if isinstance(value, str) else None
        remedy = f"did you mean {guess}?" if guess else ""
        return f"must be {' or '.join(words)}, not {_name(value)}", remedy
    return str(error["msg"]), ""


def _number(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and value < 1e15 else str(value)


def _name(value: object) -> str:
    """Return what ``value`` is, for a person; long text is cut."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(errors.shorten(str(value)))
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return errors.shorten(str(value))


def collect(
    kind: str, error: pydantic.ValidationError, data: object
) -> list[tuple[errors.Path, bool, errors.DocumentError]]:
    """Return every error of a failed validation, one a path and problem."""
    found = (translate(kind, entry, data) for entry in error.errors(include_url=False))
    return list({(entry[0], entry[2].problem): entry for entry in found}.values())
