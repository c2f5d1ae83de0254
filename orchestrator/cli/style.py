"""Colour, where a terminal shows it and nobody said no (``NO_COLOR``, ``TERM=dumb``)."""

from __future__ import annotations

import os
import sys

import click


def enabled(*, err: bool = False) -> bool:
    """Say whether colour may be written to stdout, or to stderr; ``FORCE_COLOR`` says yes where nobody says no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    stream = sys.stderr if err else sys.stdout
    return bool(stream and stream.isatty())


def paint(text: str, colour: str, *, bold: bool = False, err: bool = False) -> str:
    """Return ``text`` in a colour, or as it is."""
    return click.style(text, fg=colour, bold=bold) if enabled(err=err) else text


def note(text: str) -> None:
    """Print one line of progress to stderr."""
    click.echo(text, err=True, color=enabled(err=True))
