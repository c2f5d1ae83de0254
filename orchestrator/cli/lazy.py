"""A click group whose subcommands are imported when they are used, and whose help needs none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from orchestrator.plugins.lazy import lazy


class Entry(NamedTuple):
    """Where a command lives, and what the help of its group says about it. ``module`` is below ``cli.commands``."""

    module: str
    attribute: str
    summary: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """A group over a table of entries."""

    def __init__(self, name: str, entries: Mapping[str, Entry], *, help: str) -> None:
        super().__init__(name=name, help=help, no_args_is_help=True, context_settings=SETTINGS)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module = lazy(f"orchestrator.cli.commands.{entry.module}")
        command = getattr(module, entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was perhaps meant."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}{did_you_mean(args[0], tuple(self.entries))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, from the table."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` or nothing."""
    near = lazy("difflib").get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
