"""What is wrong with a document, said so that a person can repair it: where, what, and what to do.

Every reader of this floor collects errors instead of stopping at the first; :class:`InvalidDocumentError` carries them
all. This module knows no library, so that the YAML loader stays light.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain import words

INVALID = "document.invalid"
"""A value, a missing field or a combination that the schema refuses."""
UNKNOWN_FIELD = "document.unknown-field"
UNKNOWN_KIND = "document.unknown-kind"
SYNTAX = "document.syntax"
"""Not YAML 1.2 or JSON as read here."""
TOO_LARGE = "document.too-large"
"""More bytes than are read."""
TOO_COMPLEX = "document.too-complex"
"""A bound on depth, values, aliases or the length of one value."""
JOB_UNSUPPORTED = "job.unsupported"
"""Prefix of ``job.unsupported:<path>``."""
DOCUMENT_UNSUPPORTED = "document.unsupported"
"""Prefix of ``document.unsupported:<path>`` for every other kind."""

ERRORS_MAX = 200
"""So many errors of one body are kept; more help nobody."""

PathPart = str | int
Path = tuple[PathPart, ...]


@dataclass(frozen=True, slots=True)
class DocumentError:
    """One error. ``line`` and ``column`` count from 1; 0 means that the place is unknown (a JSON body)."""

    problem: str
    path: str = ""
    """Whole document path, e.g. ``spec.resources.cpus`` or ``spec.outputs[0].path``."""
    remedy: str = ""
    code: str = INVALID
    file: str = ""
    line: int = 0
    column: int = 0

    def render(self) -> str:
        """Return one line: ``file:line: path: problem (remedy)``; parts that are unknown are left out."""
        place = self.file
        if self.line:
            place = f"{place or '-'}:{self.line}"
        text = ": ".join(part for part in (place, self.path, self.problem) if part)
        return f"{text} ({self.remedy})" if self.remedy else text

    def as_json(self) -> dict[str, str | int]:
        """Return the entry of a problem's ``errors``; empty parts are left out."""
        entry: dict[str, str | int] = {"code": self.code, "path": self.path, "problem": self.problem}
        for key, value in (("remedy", self.remedy), ("file", self.file)):
            if value:
                entry[key] = value
        if self.line:
            entry["line"], entry["column"] = self.line, self.column
        return entry


class InvalidDocumentError(Exception):
    """At least one document cannot be read. ``errors`` holds every error found, in the order of the text."""

    def __init__(self, errors: Iterable[DocumentError]) -> None:
        self.errors: tuple[DocumentError, ...] = tuple(errors)[:ERRORS_MAX]
        super().__init__("\n".join(error.render() for error in self.errors))


class ValueProblemError(ValueError):
    """A value that a field cannot take. Raised inside validators; becomes a :class:`DocumentError` with its path."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem)


def render_path(path: Sequence[PathPart]) -> str:
    """Return ``spec.outputs[0].path`` for ``("spec", "outputs", 0, "path")``.

    A key that is not a plain word (it holds a dot, say) is written ``["a.b"]``, so that a path stays one line.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and part.replace("-", "a").replace("_", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{shorten(part)!a}]"
    return text


_PART = re.compile(
    r"""\[(?P<index>[0-9]{1,9})\]                                     # [0]
      | \[(?P<quoted>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*")\]         # ['a.b']
      | \.?(?P<word>[^.\[]+)                                         # .name""",
    re.VERBOSE,
)


def parse_path(text: str) -> Path:
    """Return the parts of a path that :func:`render_path` wrote; keys that were cut for display stay cut."""
    path: list[PathPart] = []
    for found in _PART.finditer(text[:4096]):
        if found["index"] is not None:
            path.append(int(found["index"]))
        elif found["quoted"] is not None:
            try:
                path.append(str(ast.literal_eval(found["quoted"])))
            except (ValueError, SyntaxError):
                break
        else:
            path.append(found["word"])
    return tuple(path)


def shorten(text: str, *, length: int = 60) -> str:
    """Return ``text``, cut to ``length`` characters, for use in a message."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` most looks like, letter case aside, or None."""
    return words.nearest(word, known)
