"""``log``: the journal's chain and its newest signed head."""

from __future__ import annotations

import os

import click

from orchestrator.cli import failures, index, lazy, options, output
from orchestrator.client import access
from orchestrator.plugins import lazy as lazy_import

log = lazy.LazyGroup("log", index.LOG, help="Check the journal.\n\n\b\nExample:\n  comity log verify")


@click.command(short_help="Check the journal's chain; needs no server.")
@click.option("--state", "state_dir", metavar="DIR", help="State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]")
@options.output
def verify(state_dir: str | None, format: str) -> int:
    """Check every link of the journal's chain, reading the database itself. Exit 1 names the first bad entry.

    \b
    Example:
      comity log verify
    """
    folder = state_dir or str(access.state_folder(os.environ))
    report = lazy_import.lazy("orchestrator.bootstrap").verify_log(folder)
    document = {"entries": report.entries, "ok": report.ok, "firstBad": report.first_bad}
    if format in ("json", "yaml"):
        output.show(document, format)
    elif report.ok:
        click.echo(f"{report.entries} entries, every link holds")
    else:
        failures.say(f"the chain breaks at entry {report.first_bad} of {report.entries}")
    return failures.DONE if report.ok else failures.FAILED


@click.command(short_help="Show the newest signed head.")
@options.output
@options.server
def checkpoint(format: str, server: str | None) -> None:
    """Show the newest head of the journal. Keep it elsewhere: it proves later that nothing before it was changed.

    \b
    Example:
      comity log checkpoint -o json
    """
    with options.connect(server) as client:
        head = client.checkpoint()
    if format in ("json", "yaml"):
        output.show(head, format)
        return
    click.echo(f"{head.get('size')} {head.get('hash')}")
    if not head.get("signed"):
        click.echo(f"not signed: {head.get('note') or 'signatures are not built yet'}", err=True)
