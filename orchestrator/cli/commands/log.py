"""``log``: the journal's chain, its newest signed head, its key."""

from __future__ import annotations

import os

import click

from orchestrator.cli import failures, index, lazy, options, output, style
from orchestrator.client import access, results
from orchestrator.plugins import lazy as lazy_import

log = lazy.LazyGroup("log", index.LOG, help="Check the journal.\n\n\b\nExample:\n  comity log verify")


@click.command(short_help="Check the journal's chain; needs no server.")
@click.option("--state", "state_dir", metavar="DIR", help="State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]")
@click.option("--against", multiple=True, metavar="NOTE", help="A checkpoint you kept: the journal must agree with it.")
@options.output
def verify(state_dir: str | None, against: tuple[str, ...], format: str) -> int:
    """Check every link of the journal's chain, and hold it to the last signed head and to checkpoints you kept,
    reading the database itself. Exit 1 names the first bad entry.

    \b
    Example:
      comity log verify
      comity log verify --against kept.note
    """
    folder = state_dir or str(access.state_folder(os.environ))
    kept = [lazy_import.lazy("orchestrator.cli.keyfiles").kept(path)[0].note for path in against]
    report = lazy_import.lazy("orchestrator.bootstrap").verify_log(folder, against=kept)
    document = {
        "entries": report.entries,
        "ok": report.ok,
        "firstBad": report.first_bad,
        "problems": list(report.problems),
        "compared": report.compared,
    }
    if format in ("json", "yaml"):
        output.show(document, format)
    elif report.ok:
        more = f", {report.compared} signed heads agree" if report.compared else ""
        click.echo(f"{report.entries} entries, every link holds{more}")
    else:
        if report.first_bad is not None:
            failures.say(f"the chain breaks at entry {report.first_bad} of {report.entries}")
        for problem in report.problems:
            failures.say(problem)
    return failures.DONE if report.ok else failures.FAILED


@click.command(short_help="Show the newest signed head.")
@click.option("--since", type=click.IntRange(0), multiple=True, metavar="SIZE", help="Prove that it goes on from SIZE.")
@click.option("--note", is_flag=True, help="Print the signed note itself: the form to keep.")
@options.output
@options.server
def checkpoint(since: tuple[int, ...], note: bool, format: str, server: str | None) -> None:
    """Show the newest head of the journal. Keep it elsewhere: it proves later that nothing before it was changed.

    \b
    Example:
      comity log checkpoint --note > kept.note
      comity log checkpoint -o json
    """
    head = _fetch(server, since)
    if note:
        click.echo(head["note"], nl=False)
    elif format in ("json", "yaml"):
        output.show(head, format)
    else:
        click.echo(f"{head.get('size')} {head.get('hash')}")


@click.command(short_help="Let a new key sign the journal.")
@options.server
def rotate_key(server: str | None) -> None:
    """Make a new key for the journal. An entry that both keys sign hands over; the old key is destroyed, and counts
    only for checkpoints before that entry. Publish the key that this prints.

    \b
    Example:
      comity log rotate-key
    """
    _fetch(server, ())  # the old key's last head is remembered before the new one takes over
    with options.connect(server) as client:
        head = client.rotate_key()
    click.echo(head["key"])
    style.note(f"the key counts from entry {head['size']} on; earlier heads stay signed by the keys before it")


def _fetch(server: str | None, since: tuple[int, ...]) -> results.JsonObject:
    """Return the newest head, held to the one remembered of this server; raises ForkError."""
    logbooks = lazy_import.lazy("orchestrator.client.logbooks")
    where = server or access.server(os.environ)
    book = logbooks.Logbook(access.state_folder(os.environ))
    known = book.remembered(where)
    sizes = sorted({*since, *([known.point.size] if known else [])})
    with options.connect(server) as client:
        head = client.checkpoint(since=sizes)
    book.take(where, logbooks.of_answer(head))
    return head
