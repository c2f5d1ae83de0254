"""``policy fulfil``: what a placement obliged to was done; a named person shows the evidence."""

from __future__ import annotations

import re

import click

from orchestrator.cli import options, output, style

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}(?:\[\d+\])?", re.ASCII)


@click.command(short_help="Note that an obligation of a job was done, with the evidence.")
@click.argument("job")
@click.argument("code")
@click.option("--evidence", required=True, metavar="REF", help="Where the evidence is: a link, a file, a record.")
@click.option("--digest", metavar="SHA256", help="Its digest: sha256:...")
@click.option("--by", required=True, metavar="PERSON", help="Who answers for it.")
@click.option("--note", default="", metavar="TEXT", help="What else should be known, in one line.")
@options.output
@options.server
def fulfil(
    job: str, code: str, evidence: str, digest: str | None, by: str, note: str, format: str, server: str | None
) -> None:
    """Rules that oblige let a job be placed and ask for something in return: see status.obligations of the job. Say
    that one of them was done. Person and evidence are kept with it and in the journal; it cannot be said twice in
    other words.

    \b
    Example:
      comity policy fulfil hello eu-gdpr.art46:US --evidence "register of transfers, no. 17" --by "A. Martin, DPO"
    """
    with options.connect(server) as client:
        # Who states facts may not read jobs, so an id is taken as it is.
        id_ = job.upper() if _ID.fullmatch(job.upper()) else client.find(job, changes=True).id
        found = client.fulfil(id_, code=code, evidence=evidence, digest=digest, by=by, note=note)
    if format in ("json", "yaml"):
        output.show(found, format)
        return
    click.echo(f"jobs/{found['job']} {code} fulfilled")
    style.note(f"by {found.get('by')}: {found.get('evidence', {}).get('ref')}")
