"""``witness``: cosign the head of a log from another machine or folder."""

from __future__ import annotations

import pathlib

import click

from orchestrator.cli import failures, keyfiles, options, style
from orchestrator.client import logbooks, witnesses
from orchestrator.telemetry import clocks


@click.command(short_help="Cosign the journal's head with a key of your own.")
@click.argument("folder")
@click.option("--name", metavar="NAME", help="Make the witness of this folder, once, e.g. witness.example/eu-1.")
@click.option("--trust", metavar="KEY", required=True, help="The log's public key, as its operator published it.")
@click.option("--head", metavar="FILE", help="What `comity log checkpoint -o json` printed; else a server is asked.")
@click.option("-o", "--output", "target", default="-", metavar="FILE", help="Where to write the note; - is stdout.")
@options.server
def witness(folder: str, name: str | None, trust: str, head: str | None, target: str, server: str | None) -> int:
    """Cosign a log's newest head, if it goes on from the one cosigned last; FOLDER keeps the witness's key and what it
    has seen. Run it on another machine than the log. Exit 1 where the head is not signed or does not go on.

    \b
    Example:
      comity witness ~/witness --name witness.example/eu-1 --trust log.pub -o cosigned.note
    """
    believed = keyfiles.key(trust)
    mine = witnesses.Witness(pathlib.Path(folder), name=name)
    if head is not None:
        shown = keyfiles.head(head)
    else:
        with options.connect(server) as client:
            shown = logbooks.of_answer(client.checkpoint(since=mine.sizes()))
    seconds = int(clocks.SystemClock().now().timestamp())
    signed = mine.cosign(shown, trusted=believed, seconds=seconds)
    if target == "-":
        click.echo(signed.note, nl=False)
    else:
        pathlib.Path(target).write_text(signed.note, encoding="utf-8", newline="")
    begins = f"goes on from {signed.since}" if signed.since else "the first head of this log"
    style.note(f"cosigned {signed.size} entries ({begins}) as {mine.verifier.text()}")
    return failures.DONE
