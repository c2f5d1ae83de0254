"""``plan`` and ``explain``: where a job goes, and why nowhere else."""

from __future__ import annotations

import click

from orchestrator.cli import documents, failures, options, output, style
from orchestrator.cli.rendering import answers


@click.command(short_help="Say where a job would go, and why nowhere else.")
@options.files
@click.option("--at", metavar="DATE", help="Judge by the facts and rules of another day, e.g. 2027-07-01.")
@options.output
@options.server
def plan(sources: tuple[str, ...], at: str | None, format: str, server: str | None) -> int:
    """Say where a job would go, and why nowhere else; submits nothing. Exit 0: placeable, 3: not.

    \b
    Example:
      comity plan -f job.yaml
      comity plan -f job.yaml --at 2027-07-01
    """
    found = documents.read_jobs(sources)
    code = failures.DONE
    with options.connect(server) as client:
        for index, one in enumerate(found):
            document = documents.prepare(client, one)
            answer = client.plan(document, at=at)
            for text in answer.warnings:
                style.note(f"note: {text}")
            if format in ("json", "yaml"):
                output.show(answer.document, format)
            elif format == "name":
                click.echo(answer.chosen or "none")
            else:
                if index:
                    click.echo()
                source = None if at else one.file
                text = answers.plan(answer.document, document, source=source, wide=format == "wide")
                click.echo(text, color=style.enabled())
            code = code if answer.placeable else failures.REFUSED
    return code


@click.command(short_help="Tell why a job is where it is: every site, every reason, every fact.")
@click.argument("job")
@click.option("--backend", metavar="B", help="Only the sites of one backend.")
@options.output
@options.server
def explain(job: str, backend: str | None, format: str, server: str | None) -> None:
    """Tell why a job is where it is, or waits: every site, every reason, the facts with source and date, and the
    nearest change.

    \b
    Example:
      comity explain hello
      comity explain hello --backend eusc-de
    """
    with options.connect(server) as client:
        found = client.find(job)
        answer = client.explain(found.id, backend=backend)
        if format in ("json", "yaml"):
            output.show(answer.document, format)
            return
        if format == "name":
            click.echo(answer.chosen or "none")
            return
        click.echo(answers.explain(answer.document, found.document, backend=backend), color=style.enabled())
