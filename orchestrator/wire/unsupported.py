"""What a document may say that has no meaning yet: refused by name, never accepted and ignored.

Whoever builds a feature deletes its line here. Constraints on places whose pack is missing (``seal``, ``tee``,
``minAssurance`` ...) do not stand here: they travel with the job and are judged, ``core.unsupported:<path>``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.wire import errors

ANY = "*"
"""Stands for any key or index in a path."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A path of a kind that is refused, and what a person should do meanwhile."""

    kind: str
    path: errors.Path
    remedy: str = "leave it out: it has no effect in this version"


TABLE: tuple[Unsupported, ...] = (
    Unsupported("Job", ("spec", "checkpoint"), "no adapter writes checkpoints yet; leave it out"),
)

_BY_KIND: dict[str, tuple[Unsupported, ...]] = {
    kind: tuple(row for row in TABLE if row.kind == kind) for kind in {row.kind for row in TABLE}
}


def find(kind: str, data: object) -> Iterator[tuple[errors.Path, Unsupported]]:
    """Yield each place of ``data`` that is refused. Null, an empty list and an empty mapping say nothing."""
    for row in _BY_KIND.get(kind, ()):
        for path in _matches(data, row.path, ()):
            yield path, row


def code(kind: str, path: errors.Path) -> str:
    """Return ``job.unsupported:<path>`` or ``document.unsupported:<path>``."""
    prefix = errors.JOB_UNSUPPORTED if kind == "Job" else errors.DOCUMENT_UNSUPPORTED
    return f"{prefix}:{errors.render_path(path)}"


def is_unsupported(kind: str, pattern: errors.Path) -> bool:
    """Say whether the leaf at ``pattern`` (with :data:`ANY`) lies at or below a refused path."""
    return any(row.path == pattern[: len(row.path)] for row in _BY_KIND.get(kind, ()))


def _matches(value: object, rest: errors.Path, path: errors.Path) -> Iterator[errors.Path]:
    if not rest:
        if value is not None and value != [] and value != {}:
            yield path
        return
    part, rest = rest[0], rest[1:]
    if isinstance(value, dict):
        if part != ANY:
            if part in value:
                yield from _matches(value[part], rest, (*path, part))
            return
        for key, member in value.items():
            yield from _matches(member, rest, (*path, key))
    elif isinstance(value, list) and part == ANY:
        for index, member in enumerate(value):
            yield from _matches(member, rest, (*path, index))
