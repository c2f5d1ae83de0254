"""Options that many commands share, and the client made from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from orchestrator.client import access, clients

FORMATS = ("table", "wide", "json", "yaml", "name")
F = TypeVar("F", bound=Callable[..., Any])


def server(function: F) -> F:
    """Add ``--server``."""
    return click.option(
        "--server", envvar="COMITY_SERVER", metavar="URL", help="The control plane.  [COMITY_SERVER]", default=None
    )(function)


def output(function: F) -> F:
    """Add ``-o``."""
    return click.option(
        "-o",
        "--output",
        "format",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to show it.",
    )(function)


def files(function: F) -> F:
    """Add ``-f``."""
    return click.option(
        "-f", "--file", "sources", multiple=True, required=True, metavar="PATH", help="File, folder, or - for stdin."
    )(function)


def connect(server: str | None, *, timeout_s: float = 30.0) -> clients.Client:
    """Return a client for ``--server`` and the token of the environment or of the state folder."""
    return clients.Client(server or access.server(os.environ), access.token(os.environ), timeout_s=timeout_s)
