"""``evidence``: fetch the signed bundle of a job, and hold its head to the one remembered."""

from __future__ import annotations

import os
import pathlib
import sys

import click

from orchestrator.cli import failures, keyfiles, options, style
from orchestrator.client import access, logbooks
from orchestrator.evidence import bundles


@click.command(short_help="Write the signed bundle of a job.")
@click.argument("job")
@click.option("-o", "--output", "target", required=True, metavar="FILE", help="Where to write it; - is stdout.")
@click.option(
    "--open", "opens", multiple=True, metavar="PATH", help="Open this too, e.g. spec.command; `all` opens everything."
)
@click.option("--against", multiple=True, metavar="NOTE", help="Bring proof that the log goes on from this checkpoint.")
@options.server
def evidence(job: str, target: str, opens: tuple[str, ...], against: tuple[str, ...], server: str | None) -> int:
    """Write the evidence of a job into one file: what was decided, on which rules and facts, what was observed, signed
    and tied to the journal. `comity verify` checks it anywhere, without a server. The job's name, command and
    environment stay closed unless you open them.

    \b
    Example:
      comity evidence hello -o hello.evidence.json
      comity evidence hello -o hello.evidence.json --open spec.command
    """
    where = server or access.server(os.environ)
    book = logbooks.Logbook(access.state_folder(os.environ))
    known = book.remembered(where)
    since = [known.point.size] if known else []
    since += [keyfiles.kept(path)[1].size for path in against]
    with options.connect(server) as client:
        data = client.evidence(client.find(job).id, since=sorted(set(since)), opens=opens)
    made = bundles.loads(data)
    head = logbooks.of_bundle(made)
    book.take(where, head)
    if target == "-":
        sys.stdout.buffer.write(data)
    else:
        pathlib.Path(target).write_bytes(data)
    if known is None:
        style.note(f"first head of {head.point.origin} seen; its key is {head.keys.at(head.point.size).hex()}")
    return failures.DONE
