"""``freeze`` and ``unfreeze``: new placements stop now, and begin again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from orchestrator.cli import failures, options, output, style
from orchestrator.cli.rendering import tables

F = TypeVar("F", bound=Callable[..., Any])


def _extent(command: F) -> F:
    for name, text in (
        ("country", "What lies in a country, or is logged, administered or ruled from there (ISO 3166-1)."),
        ("operator", "What an operator runs."),
        ("backend", "One backend."),
    ):
        command = click.option(f"--{name}", metavar="CC" if name == "country" else "NAME", help=text)(command)
    return command


@click.command(short_help="Stop new placements now.")
@_extent
@click.option("--reason", metavar="TEXT", help="Why; it is shown to everybody whose job waits.")
@click.option("--list", "listing", is_flag=True, help="Show what is stopped, and stop nothing.")
@options.output
@options.server
def freeze(
    backend: str | None,
    operator: str | None,
    country: str | None,
    reason: str | None,
    listing: bool,
    format: str,
    server: str | None,
) -> int | None:
    """Nothing new is placed from the next plan on; what runs goes on, and what waits says why. Without an option that
    narrows it everything stops; several together narrow it further. Needs the role operate or policy.

    \b
    Example:
      comity freeze --country XX --reason "sanctions announced, lists not out yet"
      comity freeze --list
    """
    extent = _given(backend, operator, country)
    if listing and (extent or reason):
        failures.say("--list shows every stop and takes nothing else")
        return failures.USAGE
    if not listing and not reason:
        failures.say("say why: --reason TEXT; it is shown to everybody whose job waits, and journaled")
        return failures.USAGE
    with options.connect(server) as client:
        found = client.freezes() if listing else [client.freeze(extent, reason=str(reason))]
    if format in ("json", "yaml"):
        output.show({"items": found} if listing else found[0], format)
    elif listing:
        _show(found)
    else:
        _tell(found[0])
    return None


@click.command(short_help="Allow new placements again.")
@_extent
@options.output
@options.server
def unfreeze(backend: str | None, operator: str | None, country: str | None, format: str, server: str | None) -> None:
    """Ends the stop that was called with the same options, and no other; other stops stay.

    \b
    Example:
      comity unfreeze --country XX
    """
    with options.connect(server) as client:
        found = client.unfreeze(_given(backend, operator, country))
    if format in ("json", "yaml"):
        output.show(found, format)
        return
    click.echo(f"freezes/{_words(found)} ended")
    if left := found["left"]:
        style.note(f"still in force: {'; '.join(map(_words, left))}")


def _given(backend: str | None, operator: str | None, country: str | None) -> dict[str, str]:
    given = {"backend": backend, "operator": operator, "country": country}
    return {name: value for name, value in given.items() if value is not None}


def _tell(stop: Mapping[str, Any]) -> None:
    click.echo(f"freezes/{_words(stop)} in force")
    count = len(stop["sites"])
    style.note(f"nothing new is placed at {count} site{'' if count == 1 else 's'}; what runs there goes on")


def _show(found: Any) -> None:
    if not found:
        style.note("nothing is stopped")
        return
    head = ("STOPPED", "SINCE", "BY", "SITES", "REASON")
    rows = [
        (_words(one), one["at"] if one["by"] else "-", one["by"] or "-", str(len(one["sites"])), one["reason"])
        for one in found
    ]
    for line in tables.aligned([head, *(tuple(map(tables.clean, row)) for row in rows)]):
        click.echo(line)


def _words(stop: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={stop[name]}" for name in ("backend", "operator", "country") if stop.get(name)) or "all"
