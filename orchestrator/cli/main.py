"""The entry point: what is said when something fails, and with which exit code, is decided once, here.

Codes: 0 done, 1 the job or the request failed, 2 usage, 3 policy or capacity says no, 4 server unreachable;
130 after Ctrl-C, as shells have it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from orchestrator import version
from orchestrator.cli import index, lazy
from orchestrator.plugins import lazy as lazy_import

_ROOT_HELP = """Comity places AI jobs on compute of different countries and operators, and proves that each placement
was allowed. It is engineering, not legal advice.

\b
Example:
  comity init --country FR --operator me
  comity serve &
  comity run -- python -c "print('hello')"
"""


def root() -> lazy.LazyGroup:
    """Return the command ``comity``."""
    group = lazy.LazyGroup("comity", index.ROOT, help=_ROOT_HELP)
    group.params.append(
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version.",
        )
    )
    return group


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"comity {version.__version__}")
        ctx.exit()


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; never raises what a user could see as a traceback."""
    try:
        result = root().main(args=list(arguments), prog_name="comity", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # The reader had enough. Nothing more may be written, not even by the interpreter's own flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("COMITY_DEBUG"):
            raise
        return int(lazy_import.lazy("orchestrator.cli.failures").report(error))


def main() -> NoReturn:
    """Run ``comity`` with the arguments of the process."""
    sys.exit(run(sys.argv[1:]))
