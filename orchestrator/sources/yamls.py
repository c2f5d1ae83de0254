"""Files of facts and rules as plain data with places: the reader of ``wire`` (:mod:`orchestrator.wire.yaml_loader`),
held closer. One document a file, and a number with an exponent needs its point. Files of facts and rules are written
by hand, so they have no aliases; files of cases may be made by a program, so they may have them, and be long.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.wire import bounds, errors, spellings, yaml_loader

LIMITS = bounds.Limits(bytes_max=4 * 2**20, depth_max=32, aliases_max=0, documents_max=1)
CASES = bounds.Limits(
    bytes_max=64 * 2**20,
    depth_max=32,
    nodes_max=5_000_000,
    aliases_max=1_000_000,
    characters_max=128 * 2**20,
    documents_max=1,
)
"""For files of cases: tens of thousands of them."""

PathInFile = errors.Path


class YamlError(ValueError):
    """The file is not what it should be. Each line of the text names file, line, path and what to do."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data. Keys are text."""

    name: str
    data: Any
    loaded: yaml_loader.LoadedDocument | None
    """As read; None for a file without a document."""

    def locate(self, path: PathInFile) -> str:
        """Return ``file:line`` of a path, or of the nearest part of it that exists."""
        line = self.loaded.locate(path, key=True)[0] if self.loaded else 1
        return f"{self.name}:{line}"


def read(path: Path, limits: bounds.Limits = LIMITS) -> Document:
    """Read a file. Raises ``YamlError``, also where the file cannot be opened."""
    try:
        with path.open("rb") as file:
            content = file.read(limits.bytes_max + 1)
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror or error}") from error
    return parse(content, str(path), limits)


def parse(content: bytes, name: str, limits: bounds.Limits = LIMITS) -> Document:
    """Parse the content of one file with at most one document. Raises ``YamlError`` with every error found."""
    try:
        loaded = next(iter(yaml_loader.load(content, file=name, limits=limits)), None)
        data = yaml_loader.plain(loaded, resolve=spellings.resolve_pointed) if loaded else None
    except errors.InvalidDocumentError as error:
        raise YamlError(str(error)) from error
    return Document(name, data, loaded)
