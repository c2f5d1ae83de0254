"""Data on stdout, in the format asked for; field names are the API's in every format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from orchestrator.cli import style
from orchestrator.cli.rendering import columns, tables
from orchestrator.plugins.lazy import lazy

_COLOURS = {
    "SUCCEEDED": "green",
    "RUNNING": "cyan",
    "STARTING": "cyan",
    "PLACED": "cyan",
    "QUEUED": "yellow",
    "STOPPING": "yellow",
    "FAILED": "red",
    "CANCELLED": "magenta",
}


def show_list(kind: str, items: Sequence[Mapping[str, Any]], format: str) -> None:
    """Print a list of one kind."""
    if format == "name":
        for item in items:
            click.echo(name_of(kind, item))
    elif format in ("json", "yaml"):
        show({"items": list(items)}, format)
    elif not items:
        click.echo(f"no {kind}", err=True)
    else:
        rows = [
            [_paint(tables.clean(cell)) for cell in row] for row in columns.rows(kind, items, wide=format == "wide")
        ]
        click.echo("\n".join(tables.aligned(rows)), color=True)


def show_one(kind: str, item: Mapping[str, Any], format: str) -> None:
    """Print one document."""
    if format in ("json", "yaml"):
        show(item, format)
    else:
        show_list(kind, [item], format)


def show(value: object, format: str) -> None:
    """Print any value as JSON or YAML."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False) if format == "json" else to_yaml(value))


def to_yaml(value: object) -> str:
    """Return YAML that this program reads back as the same value."""
    return str(lazy("orchestrator.cli.rendering.documents").dump(value)).rstrip("\n")


def name_of(kind: str, item: Mapping[str, Any]) -> str:
    """Return ``kind/name``, or what else tells an item from the others."""
    metadata = item.get("metadata") or {}
    found = metadata.get("id") or metadata.get("name") or item.get("id") or item.get("site") or item.get("seq")
    return f"{kind}/{found}"


def _paint(cell: str) -> str:
    return style.paint(cell, _COLOURS[cell]) if cell in _COLOURS else cell
