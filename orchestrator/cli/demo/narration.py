"""How the demonstration speaks: headings, commands as one could type them, what was checked."""

from __future__ import annotations

import click

from orchestrator.cli import style

INDENT = "   "


class Narrator:
    """Prints the story to stdout; progress that only matters while waiting goes to stderr, on terminals only."""

    def __init__(self) -> None:
        self.colour = style.enabled()
        self._number = 0

    def heading(self, text: str) -> None:
        """Begin a step."""
        self._number += 1
        self._say("")
        self._say(style.paint(f"{self._number}  {text}", "white", bold=True))

    def plain(self, text: str) -> None:
        """Print a paragraph."""
        self._say(text)

    def command(self, text: str) -> None:
        """Print a command as one could type it."""
        self._say(f"{INDENT}{style.paint('$', 'cyan')} comity {text}")

    def output(self, text: str) -> None:
        """Print what a command said, below it."""
        for line in text.rstrip("\n").splitlines():
            self._say(f"{INDENT}{line}".rstrip())

    def told(self, text: str) -> None:
        """Say something that happened."""
        self._say(f"{INDENT}{text}")

    def checked(self, text: str) -> None:
        """Say something that was checked."""
        self._say(f"{INDENT}{style.paint('ok', 'green', bold=True)} {text}")

    def waiting(self, text: str) -> None:
        """Show a passing word on a terminal."""
        if style.enabled(err=True):
            click.echo(f"\r\x1b[2K{INDENT}{text} ...", err=True, nl=False, color=True)

    def done_waiting(self) -> None:
        """Take the passing word away."""
        if style.enabled(err=True):
            click.echo("\r\x1b[2K", err=True, nl=False, color=True)

    def _say(self, text: str) -> None:
        click.echo(text.rstrip(" "), color=self.colour)
