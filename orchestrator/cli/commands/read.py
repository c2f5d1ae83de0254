"""``get`` and ``describe``: look, change nothing."""

from __future__ import annotations

import json
import threading

import click

from orchestrator.cli import lazy as lazy_groups
from orchestrator.cli import options, output, style
from orchestrator.client import clients, kinds, results
from orchestrator.plugins.lazy import lazy

WATCH_S = 1.0
LIST_MAX = 10_000


def _kind(word: str) -> str:
    if word in kinds.READ_ONLY:
        return word
    if plural := kinds.plural(word):
        return plural
    known = ", ".join([*kinds.PLURALS, *kinds.READ_ONLY])
    raise click.UsageError(f"no kind {word!r}{lazy_groups.did_you_mean(word, kinds.known())} (known: {known})")


@click.command(short_help="List documents, jobs and sites, or show one.")
@click.argument("kind")
@click.argument("name", required=False)
@click.option(
    "--filter",
    "filter_",
    metavar="EXPR",
    help="label=k:v; for jobs also phase=RUNNING,QUEUED;queue=q; for obligations state=open,overdue",
)
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=500, show_default=True)
@click.option("-w", "--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
@options.output
@options.server
def get(
    kind: str, name: str | None, filter_: str | None, limit: int, watch: bool, format: str, server: str | None
) -> None:
    """List one kind, or show one of it. Kinds: jobs, backends, operators, datasets, tenants, queues, policies,
    controlplanes, sites, decisions JOB, obligations [JOB], events.

    \b
    Example:
      comity get jobs
      comity get backends -o wide
      comity get job hello -o yaml
    """
    word = _kind(kind)
    with options.connect(server) as client:
        if word == "events":
            _events(client, watch=watch, format=format)
            return
        shown = None
        while True:
            items = _items(client, word, name, filter_, limit)
            stamp = json.dumps(items, sort_keys=True)
            if stamp != shown:
                if shown is not None:
                    click.echo()
                single = name is not None and word not in ("decisions", "obligations")
                if single:
                    output.show_one(word, items[0], format)
                else:
                    output.show_list(word, items, format)
                shown = stamp
            if not watch:
                return
            threading.Event().wait(WATCH_S)


def _items(
    client: clients.Client, word: str, name: str | None, filter_: str | None, limit: int
) -> list[results.JsonObject]:
    if word == "decisions":
        if name is None:
            raise click.UsageError("decisions belong to a job: comity get decisions JOB")
        return list(client.decisions(client.find(name).id).items)
    if word == "obligations" and name is not None:
        filter_ = ";".join(part for part in (filter_, f"job={client.find(name).id}") if part)
        return list(client.list_all(word, filter=filter_, at_most=limit))
    if word == "jobs" and name is not None:
        return [dict(client.find(name).document)]
    if name is not None and word != "sites":
        return [client.get(word, name)]
    if word == "sites":
        found = list(client.list("sites").items)
        return [item for item in found if name is None or name in (item.get("site"), item.get("name"))]
    return list(client.list_all(word, filter=filter_, at_most=limit))


def _events(client: clients.Client, *, watch: bool, format: str) -> None:
    """Print the journal's entries; machine formats get one JSON object a line, as a stream must."""
    for event in client.events(follow=watch):
        if format == "table":
            body = event.body
            click.echo(f"{body.get('seq', ''):>6}  {body.get('at', ''):27}  {event.kind:28}  {body.get('subject', '')}")
        else:
            click.echo(json.dumps(event.body, ensure_ascii=False))


@click.command(short_help="Tell all about one document or job.")
@click.argument("kind")
@click.argument("name")
@options.server
def describe(kind: str, name: str, server: str | None) -> None:
    """Tell all about one document or job: what was asked, what happened, why.

    \b
    Example:
      comity describe job hello
      comity describe backend local
    """
    word = _kind(kind)
    with options.connect(server) as client:
        items = _items(client, word, name, None, 1)
        if not items:
            raise click.UsageError(f"no {word} {name!r}")
        rendering = lazy("orchestrator.cli.rendering.descriptions")
        for item in items:
            click.echo(rendering.describe(word, item), color=style.enabled())
