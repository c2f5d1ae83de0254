"""``policy check`` and ``policy export``: rules of the house's own before they hold, the packs in others' words."""

from __future__ import annotations

import datetime as dt
import json
import pathlib

import click

from orchestrator.cli import failures
from orchestrator.plugins import lazy as lazy_import
from orchestrator.telemetry import clocks


@click.command(short_help="Check policies and packs before they hold.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> int:
    """Check Policy documents and packs against schema and grammar; needs no server. Each problem is told with file,
    line and column, the attribute and the nearest known name; exit 1 if there is any. A folder stands for all that it
    holds.

    \b
    Example:
      comity policy check policies/
    """
    paths = [pathlib.Path(file) for file in files]
    for path in paths:
        if not path.exists():
            raise click.UsageError(f"{path} does not exist")
    book = lazy_import.lazy("orchestrator.sources.packs").load()
    report = lazy_import.lazy("orchestrator.bootstrap.policies").check(paths, book)
    for problem in report.problems:
        failures.say(problem)
    if not report.policies and not report.packs and not report.problems:
        raise click.UsageError(f"neither a Policy nor a pack in {', '.join(files)}")
    wrong = f"{len(report.problems)} problems" if len(report.problems) != 1 else "1 problem"
    click.echo(f"{report.policies} policies, {report.packs} packs, {wrong}")
    return failures.FAILED if report.problems else failures.DONE


FILES = {"packs.cedar": "policies", "packs.cedarschema": "schema"}


@click.command(short_help="The packs in the words of another policy engine.")
@click.option("--to", "language", required=True, metavar="cedar", help="The language.")
@click.option("-o", "--output", "folder", metavar="DIR", help="Write policies, schema and sets there.")
@click.option("--at", "day", metavar="DATE", help="Sets of countries as they stand on this day.  [today]")
@click.option("--schema", "is_schema", is_flag=True, help="Only what rules of your own may read.")
def export(language: str, folder: str | None, day: str | None, is_schema: bool) -> int:
    """The packs in force as Cedar: a rule a `forbid`, with the rule's id. For checking us by another evaluator; what
    decides is the engine. Prints the policies, or with -o writes policies, schemas and dated sets. Needs no server.

    \b
    Example:
      comity policy export --to cedar -o exported/
      comity policy export --to cedar --schema
    """
    if language != "cedar":
        failures.say(f"`--to {language}` is not built yet")
        failures.hint("cedar is")
        return failures.USAGE
    try:
        at = dt.date.fromisoformat(day) if day else clocks.SystemClock().now().date()
    except ValueError:
        raise click.UsageError(f"--at {day}: expected a date, YYYY-MM-DD") from None
    book = lazy_import.lazy("orchestrator.sources.packs").load()
    own = lazy_import.lazy("orchestrator.policy.cedar.schemas").text(book.public_sets)
    if is_schema:
        click.echo(own, nl=False)
        return failures.DONE
    made = lazy_import.lazy("orchestrator.policy.cedar.exports").export(book, at)
    if folder is None:
        click.echo(made.policies, nl=False)
        return failures.DONE
    where = pathlib.Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    texts = {name: getattr(made, part) for name, part in FILES.items()}
    texts["packs.entities.json"] = json.dumps(made.entities, indent=1, sort_keys=True) + "\n"
    texts["policies.cedarschema"] = own
    for name, text in texts.items():
        (where / name).write_text(text, encoding="utf-8")
        click.echo(str(where / name))
    return failures.DONE
