"""``policy lists``: sanctions and entity lists, imported from files, shown, and answered about."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import click

from orchestrator.cli import failures, index, lazy, options, output, style
from orchestrator.cli.rendering import tables
from orchestrator.client import access
from orchestrator.plugins import lazy as lazy_import


class ListsGroup(lazy.LazyGroup):
    """The group; without a command it shows the lists."""

    def __init__(self) -> None:
        text = "Sanctions and entity lists: show them, import copies, answer name matches."
        super().__init__("lists", index.LISTS, help=f"{text}\n\n\b\nExample:\n  comity policy lists")
        self.no_args_is_help = False
        self.invoke_without_command = True

    def invoke(self, ctx: click.Context) -> Any:
        """Show the lists where no command is named."""
        if ctx._protected_args or ctx.args:  # noqa: SLF001 -- click has no other word for "a command was named"
            return super().invoke(ctx)
        return ctx.invoke(show, state_dir=None, format="table")


lists = ListsGroup()


def state_option(function: options.F) -> options.F:
    """Add ``--state``."""
    text = "State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]"
    return click.option("--state", "state_dir", metavar="DIR", help=text)(function)


def _folder(state_dir: str | None) -> pathlib.Path:
    return pathlib.Path(state_dir).absolute() if state_dir else access.state_folder(os.environ)


@click.command(short_help="The lists in force, and for how long.")
@state_option
@options.output
def show(state_dir: str | None, format: str) -> int:
    """The lists in force: whose law, how many entries, of which day, and the last day on which they may be relied on. A
    list that is too old, or that cannot be read, refuses new placements. Needs no server; exit 1 if one is wrong.

    \b
    Example:
      comity policy lists show
      comity policy lists show -o json
    """
    loaded = lazy_import.lazy("orchestrator.sources.lists.folders").load(_folder(state_dir))
    today = lazy_import.lazy("orchestrator.telemetry.clocks").SystemClock().now().date()
    items = [_item(one, today) for one in loaded.snapshots]
    problems = [{"list": one.list, "problem": one.text, "lastGoodKept": one.kept} for one in loaded.problems]
    if format in ("json", "yaml"):
        output.show({"items": items, "missing": list(loaded.missing), "problems": problems}, format)
    elif format == "name":
        click.echo("\n".join(str(one["list"]) for one in items))
    elif items or loaded.missing:
        rows = [["LIST", "REGIME", "ENTRIES", "AS OF", "GOOD UNTIL", "STATE", "DIGEST"]]
        rows += [
            [
                str(one["list"]),
                str(one["regime"]),
                str(one["entries"]),
                str(one["asOf"]),
                str(one["goodUntil"]),
                "STALE" if one["stale"] else "in force",
                str(one["digest"])[:19],
            ]
            for one in items
        ]
        rows += [[name, "", "", "", "", "MISSING", ""] for name in loaded.missing]
        click.echo("\n".join(tables.aligned(rows, right=frozenset({2}))))
    else:
        style.note("no list is in force: every answer says that nobody looked (caveat.lists-none)")
    for problem in loaded.problems:
        kept = "; the last good copy is in force" if problem.kept else "; it refuses every placement"
        failures.say(f"{problem.text}{kept}")
    return failures.FAILED if problems or any(one["stale"] for one in items) else failures.DONE


def _item(snapshot: Any, today: Any) -> dict[str, Any]:
    return {
        "list": snapshot.list,
        "regime": snapshot.regime,
        "format": snapshot.format,
        "entries": len(snapshot.entries),
        "published": snapshot.published.isoformat() if snapshot.published else None,
        "asOf": snapshot.as_of.isoformat(),
        "ageDays": (today - snapshot.as_of).days,
        "goodUntil": snapshot.fresh_to.isoformat(),
        "stale": today > snapshot.fresh_to,
        "digest": snapshot.digest,
        "raw": snapshot.raw,
    }


@click.command("import", short_help="Take a published file into force.")
@click.option("--list", "list_", required=True, metavar="LIST", help="eu-fsf, uk-sl, un-sc, us-csl or us-sdn.")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="A day on which the file was the current one.")
@click.option("--max-age", type=click.IntRange(1, 90), default=7, show_default=True, help="Days it may be relied on.")
@click.option("--anyway", is_flag=True, help="Although it is older, or much shorter, than the copy in force.")
@state_option
@options.output
def import_(list_: str, file: str, as_of: Any, max_age: int, anyway: bool, state_dir: str | None, format: str) -> int:
    """Read a list as its publisher gives it out (JSON, CSV or XML), check it as a whole, keep it under its digest and
    pin it. A running server takes it over within seconds. Needs no server. Nothing is fetched: download the file
    yourself, from the publisher.

    \b
    Example:
      comity policy lists import --list us-sdn SDN.XML
      comity policy lists import --list us-csl consolidated.csv --as-of 2026-11-22
    """
    catalogue = lazy_import.lazy("orchestrator.sources.lists.catalogue")
    base = lazy_import.lazy("orchestrator.sources.lists.base")
    folders = lazy_import.lazy("orchestrator.sources.lists.folders")
    clock = lazy_import.lazy("orchestrator.telemetry.clocks").SystemClock()
    with pathlib.Path(file).open("rb") as opened:
        raw = opened.read(base.BYTES_MAX + 1)
    try:
        made = folders.take(
            _folder(state_dir),
            list_,
            raw,
            file,
            now=clock.now(),
            by=_account(),
            as_of=as_of.date() if as_of else None,
            age_days_max=max_age,
            anyway=anyway,
        )
    except (catalogue.UnknownListError, base.ListError, folders.FolderError) as error:
        failures.say(str(error))
        return failures.FAILED
    item = _item(made, clock.now().date())
    if format in ("json", "yaml"):
        output.show(item, format)
    else:
        click.echo(f"{made.list}: {len(made.entries)} entries as of {made.as_of}, good until {made.fresh_to}")
        style.note(f"pinned {made.digest}")
    if item["stale"]:
        style.note("it is too old already: it refuses new placements; say --as-of if it was the current one later")
    return failures.DONE


@click.command(short_help="Say whether a name match is the party.")
@click.argument("entry", metavar="LIST:ENTRY")
@click.option("--operator", required=True, metavar="NAME", help="The operator whose name, or owner, matches.")
@click.option("--party", metavar="OWNER", help="The owner that matches, if it is one.")
@click.option("--same/--not-the-same", "same", default=None, help="Whether it is the listed party.")
@click.option("--by", required=True, metavar="PERSON", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="What was looked at.")
@click.option("--valid-to", type=click.DateTime(["%Y-%m-%d"]), help="Last day on which the answer holds.")
@options.output
@options.server
def answer(
    entry: str,
    operator: str,
    party: str | None,
    same: bool | None,
    by: str,
    reason: str,
    valid_to: Any,
    format: str,
    server: str | None,
) -> None:
    """A name that matches a list stops new placements until a person has looked at both parties. Say here what came of
    it: the person and the reason are kept in the journal, with what exactly was looked at; when the list or the
    operator changes, it is asked again. A match by number (LEI) cannot be answered away. Needs role policy or facts.

    \b
    Example:
      comity policy lists answer us-sdn:900001 --operator nordkap --not-the-same --by "A. Martin" --reason "other LEI"
    """
    list_, colon, id_ = entry.partition(":")
    if same is None:
        raise click.UsageError("say --same or --not-the-same")
    if not colon or not id_:
        raise click.UsageError(f"{entry!r} is not LIST:ENTRY, e.g. us-sdn:900001")
    with options.connect(server) as client:
        document = client.answer_match(
            operator,
            list=list_,
            entry=id_,
            same=same,
            by=by,
            reason=reason,
            party=party,
            valid_to=valid_to.date().isoformat() if valid_to else None,
        )
    if format in ("json", "yaml"):
        output.show(document, format)
        return
    click.echo(f"operators/{operator} answered: {entry} is {'the same party' if same else 'another party'}")
    rest = document.get("status", {}).get("screening", {}).get("review", [])
    open_ = ", ".join(f"{one['list']}:{one['entry']}" for one in rest)
    style.note(f"still open: {open_}" if rest else "no match is open any more")


def _account() -> str:
    """Return the account that imports; it stands beside the pin."""
    try:
        return str(lazy_import.lazy("pwd").getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return f"uid:{os.geteuid()}"
