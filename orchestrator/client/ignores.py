"""Which files of a folder travel with a job: patterns as Git's ignore files write them.

Supported: comments, ``!`` to take back, a trailing ``/`` for folders, a leading or inner ``/`` to anchor, ``*``,
``?``, ``[...]`` within one name, ``**`` across folders. One file of patterns at the top of the folder; no nested ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ALWAYS = (".git/", ".hg/", ".svn/", "__pycache__/", ".venv/")
"""Left out unless the patterns take them back."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file."""

    expression: re.Pattern[str]
    takes_back: bool
    folders_only: bool


def parse(lines: Iterable[str]) -> tuple[Pattern, ...]:
    """Return the patterns of an ignore file's lines; what always stays home comes first."""
    return tuple(found for line in (*ALWAYS, *lines) if (found := _pattern(line)) is not None)


def ignored(path: str, patterns: Sequence[Pattern], *, folder: bool) -> bool:
    """Say whether ``path``, relative with ``/``, is left out; the last pattern that matches decides."""
    for pattern in reversed(patterns):
        if (folder or not pattern.folders_only) and pattern.expression.fullmatch(path):
            return not pattern.takes_back
    return False


def _pattern(line: str) -> Pattern | None:
    text = line.rstrip("\r\n")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    if not text or text.startswith("#"):
        return None
    takes_back = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    if not text:
        return None
    anchored = "/" in text
    expression = _translate(text.lstrip("/"))
    return Pattern(re.compile(expression if anchored else rf"(?:.*/)?{expression}"), takes_back, folders_only)


def _translate(text: str) -> str:
    """Return the regular expression of one pattern."""
    out, index = "", 0
    while index < len(text):
        rest = text[index:]
        if rest.startswith("**/"):
            out, index = out + "(?:.*/)?", index + 3
        elif rest == "**" or rest.startswith("**"):
            out, index = out + ".*", index + 2
        elif rest[0] == "*":
            out, index = out + "[^/]*", index + 1
        elif rest[0] == "?":
            out, index = out + "[^/]", index + 1
        elif rest[0] == "[" and (end := text.find("]", index + 2)) > 0:
            inner = text[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out += f"(?!/)[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            index = end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            out, index = out + re.escape(rest[1]), index + 2
        else:
            out, index = out + re.escape(rest[0]), index + 1
    return out
