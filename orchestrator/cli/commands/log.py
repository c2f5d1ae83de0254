"""``log``: the journal's chain, its newest signed head, its key."""

from __future__ import annotations

import os

import click

from orchestrator.cli import failures, index, lazy, options, output, style
from orchestrator.client import access, results
from orchestrator.plugins import lazy as lazy_import

log = lazy.LazyGroup("log", index.LOG, help="Check the journal.\n\n\b\nExample:\n  comity log verify")


_STATE = click.option(
    "--state", "state_dir", metavar="DIR", help="State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]"
)


@click.command(short_help="Check the journal's chain, and the tables by it; needs no server.")
@_STATE
@click.option("--against", multiple=True, metavar="NOTE", help="A checkpoint you kept: the journal must agree with it.")
@options.output
def verify(state_dir: str | None, against: tuple[str, ...], format: str) -> int:
    """Check every link of the journal's chain, hold it to the last signed head and to checkpoints you kept, and hold
    each row that decides placements or rights to what the journal says of it, reading the database itself. Exit 1
    names the first bad entry, and each row that differs.

    \b
    Example:
      comity log verify
      comity log verify --against kept.note
    """
    folder = state_dir or str(access.state_folder(os.environ))
    kept = [lazy_import.lazy("orchestrator.cli.keyfiles").kept(path)[0].note for path in against]
    bootstrap = lazy_import.lazy("orchestrator.bootstrap")
    report = bootstrap.verify_log(folder, against=kept)
    # Tables are told from the journal: nothing is told from one that does not hold.
    rows = bootstrap.verify_tables(folder) if report.first_bad is None else None
    problems = [*report.problems, *(rows.problems if rows is not None else ())]
    differences = list(rows.differences) if rows is not None else []
    ok = report.ok and rows is not None and rows.ok
    document = {
        "entries": report.entries,
        "ok": ok,
        "firstBad": report.first_bad,
        "problems": problems,
        "compared": report.compared,
        "rows": rows.compared if rows is not None else None,
        "differences": differences,
    }
    if format in ("json", "yaml"):
        output.show(document, format)
    elif ok and rows is not None:
        more = f", {report.compared} signed heads agree" if report.compared else ""
        click.echo(f"{report.entries} entries, every link holds{more}")
        style.note(_compared(rows.compared))
    else:
        if report.first_bad is not None:
            failures.say(f"the chain breaks at entry {report.first_bad} of {report.entries}")
        for problem in [*problems, *differences]:
            failures.say(problem)
    return failures.DONE if ok else failures.FAILED


def _compared(rows: int | None) -> str:
    if rows is None:
        return "the tables were not compared: this journal is from before rows were stated"
    return f"{rows} rows and jobs of the tables are what the journal says"


@click.command(short_help="Accept tables that are not what the journal says.")
@_STATE
@click.option("--by", required=True, metavar="PERSON", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why the tables are right as they are.")
def accept(state_dir: str | None, by: str, reason: str) -> int:
    """Take the tables as they are, where a server says that they differ from the journal and you know why: an older
    backup was put back, a row was repaired by hand. Each row that differs is stated in the journal with your name and
    the reason. Stop the server first. Look at `comity log verify` before: whatever an intruder wrote would be accepted
    too.

    \b
    Example:
      comity log accept --by "J. Doe" --reason "backup of Sunday put back after a disk failure"
    """
    folder = state_dir or str(access.state_folder(os.environ))
    if not (by.strip().isprintable() and by.strip() and reason.strip().isprintable() and reason.strip()):
        raise click.UsageError("--by and --reason: one line each that says something")
    try:
        taken = lazy_import.lazy("orchestrator.bootstrap").accept_tables(folder, by=by.strip(), reason=reason.strip())
    except (ValueError, OSError, lazy_import.lazy("orchestrator.bootstrap.states").StateError) as error:
        failures.say(str(error))
        return failures.FAILED
    for one in taken:
        click.echo(one)
    style.note(f"{len(taken)} accepted" if taken else "nothing differs: there is nothing to accept")
    return failures.DONE


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
