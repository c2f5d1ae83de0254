"""Aligned columns of text, without a library: lists must appear at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ANSI = re.compile("\x1b\\[[0-9;]*m")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]")


def width(text: str) -> int:
    """Return how many columns ``text`` takes on a terminal, colours aside."""
    plain = _ANSI.sub("", text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in plain
    )


def clean(text: str) -> str:
    """Return ``text`` without control characters: names come from strangers and must not steer a terminal."""
    return _CONTROL.sub("?", text.replace("\x1b", "?"))


def aligned(
    rows: Sequence[Sequence[str]], *, gap: int = 2, right: frozenset[int] = frozenset(), margin: str = ""
) -> list[str]:
    """Return lines with columns under each other; the last column is not padded, ``right`` ones are flush right."""
    if not rows:
        return []
    widths = [max(width(row[column]) for row in rows if column < len(row)) for column in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = []
        for column, cell in enumerate(row):
            padding = " " * (widths[column] - width(cell))
            last = column == len(row) - 1
            cells.append(padding + cell if column in right else cell if last else cell + padding)
        lines.append((margin + (" " * gap).join(cells)).rstrip())
    return lines
