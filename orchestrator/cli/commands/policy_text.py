"""``policy check``: rules of the house's own before they hold."""

from __future__ import annotations

import pathlib

import click

from orchestrator.cli import failures
from orchestrator.plugins import lazy as lazy_import


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
