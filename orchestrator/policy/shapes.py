"""Small readers of plain data (what a YAML file holds): each returns the value or says what is wrong, and where."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Path = tuple[str | int, ...]


class BadShapeError(Exception):
    """One problem at one path. Readers collect them; it never leaves this package."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.path = path
        self.text = text


class PackError(ValueError):
    """A file cannot be used. ``problems`` pairs the path inside the file with the sentence."""

    def __init__(self, problems: Sequence[tuple[Path, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{render_path(path)}: {text}" for path, text in self.problems))


def render_path(path: Path) -> str:
    """Return a path as a person reads it: ``rules[2].when``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the whole file"


def names(found: Iterable[str]) -> str:
    """Return names as a sorted list for a sentence."""
    return ", ".join(sorted(found))


def mapping(raw: Any, path: Path, keys: set[str]) -> Mapping[str, Any]:
    """Return ``raw`` if it is a mapping of known keys."""
    if not isinstance(raw, Mapping):
        raise BadShapeError(path, "expected a mapping")
    for key in raw:
        if key not in keys:
            raise BadShapeError((*path, key), f"unknown key; known are {names(tuple(keys))}")
    return raw


def items(raw: Any, path: Path) -> list[Any]:
    """Return ``raw`` if it is a list."""
    if not isinstance(raw, list):
        raise BadShapeError(path, "expected a list")
    return raw


def text(row: Mapping[str, Any], key: str, path: Path) -> str:
    """Return a text that must be there."""
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise BadShapeError((*path, key), "expected text")
    return value


def choice(kind: type[Any], row: Mapping[str, Any], key: str, path: Path) -> Any:
    """Return the member of an enumeration that the text names."""
    try:
        return kind(row.get(key))
    except ValueError:
        raise BadShapeError((*path, key), f"expected one of {names([item.value for item in kind])}") from None


def day_or_none(raw: Any, path: Path) -> dt.date | None:
    """Return a date written ``YYYY-MM-DD``; None stays None."""
    if raw is None:
        return None
    try:
        return dt.date.fromisoformat(raw)
    except (TypeError, ValueError):
        raise BadShapeError(path, f"{raw!r} is not a date (YYYY-MM-DD)") from None
