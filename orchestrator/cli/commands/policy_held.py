"""``policy changes`` and ``policy confirm``: changes that would stop many running jobs, and a person's word on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from orchestrator.cli import options, output, style
from orchestrator.cli.rendering import tables


@click.command(short_help="Changes that are held because they would stop many running jobs.")
@options.output
@options.server
def changes(format: str, server: str | None) -> None:
    """What was changed, by which codes it would stop running jobs, how many and whose. Until somebody confirms it these
    jobs run on; new placements obey it at once. Undo the change, and nothing was held.

    \b
    Example:
      comity policy changes
    """
    with options.connect(server) as client:
        found = client.changes()
    if format in ("json", "yaml"):
        output.show({"items": found}, format)
    elif format == "name":
        for one in found:
            click.echo(one["id"])
    elif not found:
        style.note("no change is held")
    else:
        head = ("CHANGE", "STATE", "SINCE", "STOPS", "CODES", "DOCUMENTS")
        for line in tables.aligned([head, *map(_row, found)]):
            click.echo(line)


@click.command(short_help="Let a held change go on, by name and with a reason.")
@click.argument("change")
@click.option("--by", required=True, metavar="PERSON", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why the jobs may be stopped.")
@options.output
@options.server
def confirm(change: str, by: str, reason: str, format: str, server: str | None) -> None:
    """The jobs that the change holds are stopped within a turn, each as it says itself (drain, stop, hold). Person and
    reason are kept in the journal. `clock` says that the time is right where it went back.

    \b
    Example:
      comity policy confirm ch-3f9a0c1d2e4b --by "A. Martin" --reason "the licence did end"
    """
    with options.connect(server) as client:
        found = client.confirm_change(change, by=by, reason=reason)
    if format in ("json", "yaml"):
        output.show(found, format)
        return
    click.echo(f"changes/{change} confirmed")


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    words = [", ".join(map(str, one[member])) or "-" for member in ("codes", "documents")]
    return tuple(map(tables.clean, (one["id"], one["state"], one["at"], str(one["stops"]), *words)))
