"""``policy replay`` and ``policy diff``: what other rules or days would have answered. Neither needs a server."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from orchestrator.cli import failures, options, output, style
from orchestrator.cli.rendering import policy_changes
from orchestrator.client import access
from orchestrator.plugins import lazy as lazy_import

F = TypeVar("F", bound=Callable[..., Any])


def _book_options(function: F) -> F:
    """Add the options that say which rule book judges."""
    for option in (
        click.option("--policy", "policies", multiple=True, metavar="FILE", help="Judge by the policies in it, too."),
        click.option("--on", multiple=True, metavar="PACK", help="Judge as if this preview were switched on."),
        click.option("--off", multiple=True, metavar="PACK", help="Judge as if this pack were switched off."),
        click.option("--packs", metavar="DIR", help="Judge by the packs in this folder.  [those installed]"),
    ):
        function = option(function)
    return function


def _state(function: F) -> F:
    return click.option("--state", metavar="DIR", help="State folder of a control plane.")(function)


def _book(folder: str | None, off: tuple[str, ...], on: tuple[str, ...], policies: tuple[str, ...] = ()) -> Any:
    packs = lazy_import.lazy("orchestrator.sources.packs")
    if folder is not None and not pathlib.Path(folder).is_dir():
        raise click.UsageError(f"{folder} is not a folder of packs")
    book = packs.load(pathlib.Path(folder) if folder else packs.BUILT_IN, off=off, on=on)
    known = {pack.name for pack in (*book.packs, *book.resting)} | {name for name, _ in book.failed}
    for name in (*off, *on):
        if name not in known:
            raise click.UsageError(f"no pack is called {name!r}; there are {', '.join(sorted(known))}")
    for name, problem in book.failed:
        failures.say(f"the pack {name} failed to load and denies everything: {problem}")
    try:
        own = lazy_import.lazy("orchestrator.bootstrap.policies")
        return own.with_policies(book, [pathlib.Path(file) for file in policies]) if policies else book
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None


def _clock(day: str | None) -> dt.datetime | None:
    if day is None:
        return None
    try:
        return dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC)
    except ValueError:
        raise click.UsageError(f"--at {day}: expected a date, YYYY-MM-DD") from None


def _progress(done: int) -> None:
    if style.enabled(err=True):
        click.echo(f"\r{done} placements judged", nl=False, err=True)


def _replay(folder: str, book: Any, at: dt.datetime | None) -> Any:
    try:
        report = lazy_import.lazy("orchestrator.bootstrap.replays").replay(folder, book, at=at, progress=_progress)
    except OSError as error:
        raise click.UsageError(str(error)) from None
    if style.enabled(err=True):
        click.echo("", err=True)
    return report


@click.command(short_help="Judge recorded placements by other rules.")
@_state
@_book_options
@click.option("--at", "day", metavar="DATE", help="Judge all as of this day.  [the day of each placement]")
@options.output
def replay(
    state: str | None,
    packs: str | None,
    off: tuple[str, ...],
    on: tuple[str, ...],
    policies: tuple[str, ...],
    day: str | None,
    format: str,
) -> int:
    """Judge every placement that the journal of a state folder records, by the packs of this installation, by others,
    or on another day: which would be refused now, which sites open or shut. Nothing is changed. Exit 1 if any
    placement would be refused, or its record is gone.

    \b
    Example:
      comity policy replay
      comity policy replay --on us-affiliates-50 --at 2027-01-01
    """
    report = _replay(state or str(access.state_folder(os.environ)), _book(packs, off, on, policies), _clock(day))
    if format in ("json", "yaml"):
        output.show(policy_changes.replayed(report), format)
    else:
        click.echo("\n".join(policy_changes.replay_page(report)))
    return failures.FAILED if report.refused or report.unreadable else failures.DONE


@click.command(short_help="What two sets of rules answer differently.")
@click.option("--base", metavar="DIR", help="The packs before the change.  [those installed]")
@_book_options
@click.option("--cases", multiple=True, metavar="FILE", help="Cases to answer by both.")
@_state
@click.option("--at", "day", metavar="DATE", help="Judge recorded placements as of this day.")
@click.option("--markdown", is_flag=True, help="A summary for a merge request.")
@options.output
def diff(
    base: str | None,
    packs: str | None,
    off: tuple[str, ...],
    on: tuple[str, ...],
    policies: tuple[str, ...],
    cases: tuple[str, ...],
    state: str | None,
    day: str | None,
    markdown: bool,
    format: str,
) -> int:
    """Show a change of rules or dated facts before it is merged: what is written differently, which cases get another
    answer, and which recorded placements (--state) would be refused. Exit 1 if any answer differs, 0 if none does.

    \b
    Example:
      comity policy diff --off eu-seal --markdown
      comity policy diff --base packs-before --packs packs-after --cases cases.yaml --markdown
      comity policy diff --policy own.yaml --cases cases.yaml
    """
    before, after = _book(base, (), ()), _book(packs, off, on, policies)
    changes = lazy_import.lazy("orchestrator.policy.comparisons").differences(before, after)
    answers = [one for file in cases for one in _answers(file, before, after)]
    report = _replay(state, after, _clock(day)) if state else None
    if format in ("json", "yaml"):
        output.show(policy_changes.difference(changes, answers, report), format)
    else:
        page = policy_changes.markdown if markdown else policy_changes.diff_page
        click.echo("\n".join(page(changes, answers, report)))
    changed = any(one["before"] != one["after"] for one in answers)
    return failures.FAILED if changed or (report is not None and report.changed) else failures.DONE


def _answers(file: str, before: Any, after: Any) -> list[dict[str, Any]]:
    cases = lazy_import.lazy("orchestrator.policy.cases")
    yamls = lazy_import.lazy("orchestrator.sources.yamls")
    try:
        document = yamls.read(pathlib.Path(file), yamls.CASES)
        found = cases.read(document.data, documents=lazy_import.lazy("orchestrator.bootstrap.cases").reader())
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    except yamls.YamlError as error:
        raise click.UsageError(str(error)) from None
    except cases.CaseError as error:
        lines = [f"{document.locate(path)}: {text}" for path, text in error.problems]
        raise click.UsageError("\n".join(lines)) from None
    return [
        {
            "case": case.id,
            "title": case.title,
            "before": cases.answers(case, before),
            "after": cases.answers(case, after),
        }
        for case in found
    ]
