"""JSON schemas of all kinds, for the documentation, for OpenAPI, and for naming the field a person meant."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from orchestrator.wire import errors
from orchestrator.wire.documents import registry

ANY = "*"


@functools.cache
def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of one kind. Do not change it: it is kept. Raises KeyError for other words."""
    return registry.MODELS[kind].model_json_schema(by_alias=True)


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every kind by its name."""
    return {kind: json_schema(kind) for kind in registry.MODELS}


def known_fields(kind: str, path: errors.Path) -> tuple[str, ...]:
    """Return the names that may stand in the mapping at ``path``; nothing where any name may."""
    schema = json_schema(kind)
    nodes = _options(schema, schema)
    for part in path:
        nodes = [inner for node in nodes for child in _children(node, part) for inner in _options(schema, child)]
    return tuple(dict.fromkeys(name for node in nodes for name in node.get("properties", {})))


@functools.cache
def leaves(kind: str) -> tuple[errors.Path, ...]:
    """Return the path of every leaf of a kind; ``*`` stands for any key or index."""
    schema = json_schema(kind)
    return tuple(dict.fromkeys(_leaves(schema, schema, ())))


def places_of(kind: str, name: str) -> tuple[str, ...]:
    """Return the paths at which a field called ``name`` stands anywhere in the kind."""
    found: dict[str, None] = {}
    for leaf in leaves(kind):
        for index, part in enumerate(leaf):
            if part == name:
                found[errors.render_path([part for part in leaf[: index + 1] if part != ANY])] = None
    return tuple(found)


def _options(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a node, references followed."""
    if "$ref" in node:
        return _options(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf"):
        if word in node:
            return [inner for option in node[word] for inner in _options(schema, option)]
    return [node]


def _children(node: dict[str, Any], part: errors.PathPart) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        if isinstance(items := node.get("items"), dict):
            yield items
    elif part in node.get("properties", {}):
        yield node["properties"][part]
    else:
        yield from _members(node)


def _members(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of the values of a mapping whose keys are free."""
    if isinstance(extra := node.get("additionalProperties"), dict):
        yield extra
    yield from node.get("patternProperties", {}).values()


def _leaves(schema: dict[str, Any], node: dict[str, Any], path: errors.Path) -> Iterator[errors.Path]:
    for option in _options(schema, node):
        if option.get("type") == "null":
            continue
        properties, members = option.get("properties"), list(_members(option))
        if properties:
            for name, child in properties.items():
                yield from _leaves(schema, child, (*path, name))
        elif members:
            for child in members:
                yield from _leaves(schema, child, (*path, ANY))
        elif isinstance(items := option.get("items"), dict) and items:
            yield from _leaves(schema, items, (*path, ANY))
        else:
            yield path
