"""``submit``: jobs from documents to the queue, and if asked for to their end."""

from __future__ import annotations

import click

from orchestrator.cli import documents, failures, follow, options, output, style
from orchestrator.client import errors as client_errors


@click.command(short_help="Submit jobs and print their ids.")
@options.files
@click.option(
    "--wait", "waits", is_flag=True, help="Follow to the end: output on stdout, exit 0 or 1; 3 if no site may."
)
@click.option("--cancel-if-unplaceable", is_flag=True, help="With --wait: cancel what no site will ever take.")
@click.option("--plan", "digest", metavar="DIGEST", help="Submit only if the decision is still the one of this plan.")
@click.option("--idempotency-key", "key", metavar="K", help="The same key and document make one job, however often.")
@follow.exit_code_option
@options.output
@options.server
def submit(
    sources: tuple[str, ...],
    waits: bool,
    cancel_if_unplaceable: bool,
    digest: str | None,
    key: str | None,
    exit_code: str,
    format: str,
    server: str | None,
) -> int:
    """Submit jobs; prints the id of each. What the document names here (files, folders, variables) is sent along.

    \b
    Example:
      comity submit -f job.yaml
      comity submit -f job.yaml --wait
    """
    found = documents.read_jobs(sources)
    if key is not None and len(found) > 1:
        raise click.UsageError(f"--idempotency-key stands for one job; the files hold {len(found)}")
    if cancel_if_unplaceable and not waits:
        raise click.UsageError("--cancel-if-unplaceable needs --wait")
    with options.connect(server) as client:
        ready = [documents.prepare(client, one) for one in found]
        if digest is not None and len(ready) > 1:
            raise click.UsageError(f"--plan stands for one job; the files hold {len(ready)}")
        made = []
        for document in ready:
            try:
                job = client.submit(document, key=key, plan=digest)
            except client_errors.ProblemError as error:
                if error.code != "plan.changed":
                    raise
                failures.say(error.detail)
                return failures.REFUSED
            made.append(job)
            for text in job.warnings:
                style.note(f"note: {text}")
            if format in ("table", "wide", "name"):
                click.echo(job.id if format != "name" else f"jobs/{job.id}")
        if format in ("json", "yaml"):
            output.show(made[0].document if len(made) == 1 else {"items": [dict(job.document) for job in made]}, format)
        if not waits:
            return failures.DONE
        codes = [
            follow.follow_one(
                client,
                job.id,
                own_code=exit_code == "job",
                stop_if_unplaceable=True,
                cancel_if_unplaceable=cancel_if_unplaceable,
            )
            for job in made
        ]
        return next((code for code in codes if code), failures.DONE)
