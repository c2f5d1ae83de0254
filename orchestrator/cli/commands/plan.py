"""``plan`` and ``explain``: where a job goes, and why nowhere else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import click

from orchestrator.cli import documents, failures, options, output, style
from orchestrator.cli.rendering import answers
from orchestrator.client import results
from orchestrator.plugins import lazy as lazy_import


@click.command(short_help="Say where a job would go, and why nowhere else.")
@options.files
@click.option("--at", metavar="DATE", help="Judge by the facts and rules of another day, e.g. 2027-07-01.")
@click.option(
    "--with",
    "world",
    multiple=True,
    metavar="PATH",
    help="Judge with the documents of these files or folders, without a server.",
)
@click.option("--tenant", metavar="T", help="Who asks, with --with.  [default: default]")
@options.output
@options.server
def plan(
    sources: tuple[str, ...],
    at: str | None,
    world: tuple[str, ...],
    tenant: str | None,
    format: str,
    server: str | None,
) -> int:
    """Say where a job would go, and why nowhere else; submits nothing. Exit 0: placeable, 3: not.

    With --with no server is asked: the documents of those files are the world, every place in it is taken to answer
    and to be empty, and lists, running jobs and what was counted before are not there.

    \b
    Example:
      comity plan -f job.yaml
      comity plan -f job.yaml --at 2027-07-01
      comity plan -f job.yaml --with places/ --tenant hospital
    """
    if tenant and not world:
        raise click.UsageError("--tenant goes with --with: a server knows who asks by the token")
    found = documents.read_jobs(sources)
    code = failures.DONE
    if world:
        ask = _without_server(world, tenant=tenant or "default", at=at)
        for index, one in enumerate(found):
            document = documents.preview(one)
            answer = ask(document)
            _show(answer, document, index, format=format, source=None)
            code = code if answer.placeable else failures.REFUSED
        return code
    with options.connect(server) as client:
        for index, one in enumerate(found):
            document = documents.prepare(client, one)
            answer = client.plan(document, at=at)
            _show(answer, document, index, format=format, source=None if at else one.file)
            code = code if answer.placeable else failures.REFUSED
    return code


def _show(answer: results.PlanView, document: answers.Item, index: int, *, format: str, source: str | None) -> None:
    for text in answer.warnings:
        style.note(f"note: {text}")
    if format in ("json", "yaml"):
        output.show(answer.document, format)
    elif format == "name":
        click.echo(answer.chosen or "none")
    else:
        if index:
            click.echo()
        text = answers.plan(answer.document, document, source=source, wide=format == "wide")
        click.echo(text, color=style.enabled())


def _without_server(world: Sequence[str], *, tenant: str, at: str | None) -> Callable[[answers.Item], results.PlanView]:
    """Return what answers from files alone."""
    offline = lazy_import.lazy("orchestrator.bootstrap.offline")
    moment = _moment(at)
    declared = offline.read([one.data for one in documents.read(world)], tenant=tenant, at=moment)
    return lambda job: results.PlanView.of(offline.plan(job, declared, tenant=tenant, at=moment))


def _moment(at: str | None) -> dt.datetime:
    if at is None:
        now: dt.datetime = lazy_import.lazy("orchestrator.telemetry.clocks").SystemClock().now()
        return now
    try:
        found = dt.datetime.fromisoformat(at)
    except ValueError as error:
        raise click.UsageError(f"--at {at!r} is no day such as 2027-07-01") from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


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
