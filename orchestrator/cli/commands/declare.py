"""``apply`` and ``delete``: declare, withdraw."""

from __future__ import annotations

import click

from orchestrator.cli import documents, lazy, options, output, style
from orchestrator.cli.rendering import impacts, tables
from orchestrator.client import clients, errors, kinds, results


@click.command(short_help="Declare what documents say.")
@options.files
@click.option("--dry-run", is_flag=True, help="Say what would change and whom it would hit; write nothing.")
@click.option("--reason", metavar="TEXT", help="Why, where it loosens something; journaled with your token.")
@options.output
@options.server
def apply(sources: tuple[str, ...], dry_run: bool, reason: str | None, format: str, server: str | None) -> None:
    """Declare every document of files, folders or stdin, in an order that keeps references whole. Applying the same
    again changes nothing. A Job is submitted, once per tenant, name and spec.

    \b
    Example:
      comity apply -f comity.d/
      comity apply -f backend.yaml --dry-run
    """
    found = documents.read(sources)
    answers = []
    with options.connect(server) as client:
        for one in found:
            answer = apply_one(client, one, dry_run=dry_run, reason=reason)
            answers.append(answer)
            plural = kinds.plural(one.kind) or one.kind
            if format in ("table", "wide"):
                suffix = " (dry run)" if dry_run else ""
                click.echo(f"{plural}/{one.name} {answer.get('change', 'applied')}{suffix}")
            elif format == "name":
                click.echo(f"{plural}/{one.name}")
            for hit in answer.get("hits") or []:
                style.note(f"  hits {hit if isinstance(hit, str) else hit.get('id') or hit.get('name') or hit}")
            _tell_loosened(answer)
            _tell_impact(answer)
            for text in answer.get("warnings") or []:
                style.note(f"note: {text}")
    if format in ("json", "yaml"):
        output.show(answers[0] if len(answers) == 1 else {"items": answers}, format)


def _tell_loosened(answer: results.JsonObject) -> None:
    for one in answer.get("loosens") or []:
        style.note(f"this loosens: {tables.clean(one['path'])}: {tables.clean(one['text'])}")


def _tell_impact(answer: results.JsonObject) -> None:
    for line in impacts.lines(answer["impact"]) if answer.get("impact") else ():
        style.note(f"  {line}")


def apply_one(
    client: clients.Client, one: documents.SourceDocument, *, dry_run: bool, reason: str | None = None
) -> results.JsonObject:
    """Declare one document; a Job is not submitted by a dry run, only read."""
    if one.kind == "Job" and dry_run:
        plan = client.plan(documents.prepare(client, one))
        return {"change": "would be submitted", "plan": dict(plan.document)}
    document = documents.prepare(client, one) if one.kind == "Job" else one.data
    answer = client.apply(document, dry_run=dry_run, reason=None if one.kind == "Job" else reason)
    if one.kind == "Job":
        return {"change": "submitted", "document": answer, "warnings": answer.get("warnings")}
    return answer


@click.command(short_help="Withdraw a document.")
@click.argument("kind")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
@click.option("--reason", metavar="TEXT", help="Why, where it loosens something; journaled with your token.")
@options.server
def delete(kind: str, name: str, dry_run: bool, reason: str | None, server: str | None) -> None:
    """Withdraw a document. What others refer to is refused, with the list of them.

    \b
    Example:
      comity delete backend old-cluster
    """
    plural = kinds.plural(kind)
    if plural is None:
        raise click.UsageError(f"no kind {kind!r}{lazy.did_you_mean(kind, kinds.known())}")
    if plural == "jobs":
        raise click.UsageError("a job's record stays; `comity cancel JOB` ends a job")
    with options.connect(server) as client:
        try:
            answer = client.delete(plural, name, dry_run=dry_run, reason=reason)
        except errors.ProblemError as problem:
            if problem.status == 404:
                raise click.UsageError(f"there is no {plural}/{name}") from problem
            raise
        click.echo(f"{plural}/{name} {'would be deleted (dry run)' if dry_run else 'deleted'}")
        _tell_loosened(answer)
        _tell_impact(answer)
