"""``policy declassify``: what a data set inherits is taken off by a named person, with a reason."""

from __future__ import annotations

import click

from orchestrator.cli import options, output, style


@click.command(short_help="Take off what a data set inherits, by name and with a reason.")
@click.argument("dataset")
@click.option("--from", "source", required=True, metavar="SOURCE", help="What it inherits from: see status.inherits.")
@click.option("--by", required=True, metavar="PERSON", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why the rules of the source need not follow any more.")
@options.output
@options.server
def declassify(dataset: str, source: str, by: str, reason: str, format: str, server: str | None) -> None:
    """A data set that a job wrote inherits the rules of all that the job read. Take one source off again: the person
    and the reason are kept in the journal. A later job that reads the source and writes the data set brings it back.

    \b
    Example:
      comity policy declassify weights-fr --from patients-fr --by "A. Martin, DPO" --reason "no personal data left"
    """
    with options.connect(server) as client:
        document = client.declassify(dataset, source=source, by=by, reason=reason)
    if format in ("json", "yaml"):
        output.show(document, format)
        return
    click.echo(f"datasets/{dataset} declassified")
    rest = [str(one["from"]) for one in document.get("status", {}).get("inherits", [])]
    style.note(f"it still inherits from: {', '.join(rest)}" if rest else "it inherits from nothing any more")
