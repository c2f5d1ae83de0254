"""``policy export``: the packs in another engine's words, and the fence that a cluster holds by itself."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
from collections.abc import Mapping

import click

from orchestrator.cli import failures
from orchestrator.plugins import lazy as lazy_import
from orchestrator.telemetry import clocks

FILES = {"packs.cedar": "policies", "packs.cedarschema": "schema"}
FENCE = "second-fence.yaml"


@click.command(short_help="The packs in another engine's words; a cluster's own fence.")
@click.option("--to", "language", required=True, metavar="LANGUAGE", help="The language: cedar or kubernetes.")
@click.option("-o", "--output", "folder", metavar="DIR", help="Write files there: policies, schema and sets.")
@click.option("--at", "day", metavar="DATE", help="Sets of countries as they stand on this day.  [today]")
@click.option("--schema", "is_schema", is_flag=True, help="cedar: only what rules of your own may read.")
@click.option("--namespace", "namespaces", multiple=True, metavar="NAME", help="kubernetes: where jobs run.")
@click.option(
    "--country", "countries", multiple=True, metavar="CODE", help="kubernetes: where nodes may stand; or EEA."
)
@click.option("--service-account", metavar="NAMESPACE/NAME", help="kubernetes: Comity's own.  [comity/comity]")
@click.option("--name", "prefix", metavar="NAME", help="kubernetes: how names of policies begin.  [comity]")
@click.option("--job-controller", "controllers", multiple=True, metavar="USER", help="kubernetes: who makes pods.")
@click.option("--scheduler", "schedulers", multiple=True, metavar="USER", help="kubernetes: who binds pods to nodes.")
def export(
    language: str,
    folder: str | None,
    day: str | None,
    is_schema: bool,
    namespaces: tuple[str, ...],
    countries: tuple[str, ...],
    service_account: str | None,
    prefix: str | None,
    controllers: tuple[str, ...],
    schedulers: tuple[str, ...],
) -> int:
    """The packs in force as Cedar: a rule a `forbid`, with the rule's id. For checking us by another evaluator; what
    decides is the engine. Prints the policies, or with -o writes policies, schemas and dated sets. Needs no server.

    To kubernetes: a second fence that the API server of a cluster holds by itself. Jobs in the namespaces come from
    Comity's account only, as they were decided, for nodes in the countries. Apply it before the first job.

    \b
    Example:
      comity policy export --to cedar -o exported/
      comity policy export --to cedar --schema
      comity policy export --to kubernetes --namespace comity-jobs --country FR -o exported/
    """
    of_fence = (*namespaces, *countries, service_account, prefix, *controllers, *schedulers)
    if language == "cedar" and any(of_fence):
        options = "--namespace, --country, --service-account, --name, --job-controller and --scheduler"
        raise click.UsageError(f"{options} belong to kubernetes")
    if language == "kubernetes" and is_schema:
        raise click.UsageError("--schema belongs to cedar")
    try:
        at = dt.date.fromisoformat(day) if day else clocks.SystemClock().now().date()
    except ValueError:
        raise click.UsageError(f"--at {day}: expected a date, YYYY-MM-DD") from None
    match language:
        case "cedar":
            return _as_cedar(folder, at, is_schema)
        case "kubernetes":
            account = service_account or "comity/comity"
            text = _as_fence(at, namespaces, countries, account, prefix, controllers, schedulers)
            return _written(folder, {FENCE: text}) if folder is not None else _printed(text)
        case _:
            failures.say(f"`--to {language}` is not built yet")
            failures.hint("cedar and kubernetes are")
            return failures.USAGE


def _as_cedar(folder: str | None, at: dt.date, is_schema: bool) -> int:
    book = lazy_import.lazy("orchestrator.sources.packs").load()
    own = lazy_import.lazy("orchestrator.policy.cedar.schemas").text(book.public_sets)
    if is_schema:
        return _printed(own)
    made = lazy_import.lazy("orchestrator.policy.cedar.exports").export(book, at)
    if folder is None:
        return _printed(made.policies)
    texts = {name: getattr(made, part) for name, part in FILES.items()}
    texts["packs.entities.json"] = json.dumps(made.entities, indent=1, sort_keys=True) + "\n"
    texts["policies.cedarschema"] = own
    return _written(folder, texts)


def _as_fence(
    at: dt.date,
    namespaces: tuple[str, ...],
    countries: tuple[str, ...],
    service_account: str,
    prefix: str | None,
    controllers: tuple[str, ...],
    schedulers: tuple[str, ...],
) -> str:
    """Return the documents of the second fence; raises UsageError with everything that is wrong."""
    fence = lazy_import.lazy("orchestrator.policy.admission")
    codes, unknown = lazy_import.lazy("orchestrator.sources.packs").load().countries(countries, at)
    namespace, slash, name = service_account.partition("/")
    problems = [f"--country {code}: neither a country nor a set of countries" for code in unknown]
    if not slash:
        problems.append(f"--service-account {service_account}: write NAMESPACE/NAME")
    if problems:
        raise click.UsageError("; ".join(problems))
    try:
        terms = fence.Terms(
            account=(namespace, name),
            namespaces=namespaces,
            countries=tuple(sorted(codes)),
            controllers=controllers or fence.CONTROLLERS,
            schedulers=schedulers or fence.SCHEDULERS,
            prefix=prefix or fence.PREFIX,
        )
    except fence.TermsError as error:
        raise click.UsageError(str(error)) from error
    shown = " ".join(f"--country {name}" for name in countries)
    head = f"# The second fence, {at.isoformat()}: {shown}. Engineering, not legal advice.\n"
    dump = lazy_import.lazy("orchestrator.cli.rendering.documents").dump
    return head + "---\n".join(dump(each) for each in fence.documents(terms))


def _printed(text: str) -> int:
    click.echo(text, nl=False)
    return failures.DONE


def _written(folder: str, texts: Mapping[str, str]) -> int:
    where = pathlib.Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (where / name).write_text(text, encoding="utf-8")
        click.echo(str(where / name))
    return failures.DONE
