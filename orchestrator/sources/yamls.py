"""YAML 1.2 core schema with line numbers, and nothing that surprises: ``NO`` is Norway, dates stay text.

Duplicate keys, tags, anchors and merge keys are refused; size, depth and number of nodes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BYTES_MAX = 4 * 1024 * 1024
DEPTH_MAX = 32
NODES_MAX = 200_000

PathInFile = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?")
# A number with an exponent needs its point here: 3E001 is an item of a control list, not thirty.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class YamlError(ValueError):
    """The file is not what it should be. The text names file, line and, where there is one, the path."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data, and the line on which each path starts."""

    name: str
    data: Any
    lines: Mapping[PathInFile, int]

    def locate(self, path: PathInFile) -> str:
        """Return ``file:line`` of a path, or of the nearest part of it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


class _Loader(yaml.SafeLoader):
    """Composes nodes only; every plain scalar keeps its text."""


_Loader.yaml_implicit_resolvers = {}


def read(path: Path) -> Document:
    """Read a file. Raises ``YamlError``, also where the file cannot be opened."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror or error}") from error
    return parse(content, str(path))


def parse(content: bytes, name: str) -> Document:
    """Parse the content of one file with one document. Raises ``YamlError``."""
    if len(content) > BYTES_MAX:
        raise YamlError(f"{name}: larger than {BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8")
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise YamlError(f"{name}:{line}: anchors and aliases are not allowed")
        node = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise YamlError(f"{name}: not UTF-8 text") from error
    except RecursionError as error:
        raise YamlError(f"{name}: nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlError(f"{name}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise YamlError(f"{name}: {error}") from error
    builder = _Builder(name)
    data = builder.build(node, (), 0) if node is not None else None
    return Document(name, data, builder.lines)


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[PathInFile, int] = {}
        self.count = 0

    def build(self, node: yaml.Node, path: PathInFile, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        self.count += 1
        if depth > DEPTH_MAX or self.count > NODES_MAX:
            raise YamlError(f"{self.name}:{line}: nested too deeply or too large")
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rpartition(":")[2] not in ("str", "seq", "map"):
            raise YamlError(f"{self.name}:{line}: tags are not allowed ({node.tag})")
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key_line = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode) or (key_node.value == "<<" and key_node.style is None):
                    raise YamlError(f"{self.name}:{key_line}: a key must be plain text")
                if key_node.value in found:
                    raise YamlError(f"{self.name}:{key_line}: the key {key_node.value!r} appears twice")
                found[key_node.value] = self.build(value_node, (*path, key_node.value), depth + 1)
                self.lines[(*path, key_node.value)] = key_line
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return _scalar(node.value) if plain else node.value


def _scalar(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= 40 and _INT.fullmatch(text):
        return int(text)
    if len(text) <= 40 and _FLOAT.fullmatch(text):
        return float(text)
    return text
