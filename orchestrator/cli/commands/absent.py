"""Commands of the interface that are not built yet: refused by name, never silently absent, never pretending."""

from __future__ import annotations

import click

from orchestrator.cli import failures


def _absent(name: str, what: str, instead: str) -> click.Command:
    """Return a command that takes anything and refuses."""

    @click.command(
        name.rpartition(" ")[2],
        short_help=f"{what} (not built yet)",
        help=f"{what}\n\nNot built yet: this version refuses it with exit code 2. {instead}\n\n\b\n"
        f"Example:\n  comity {name}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> int:
        failures.say(f"`comity {name}` is not built yet")
        failures.hint(instead)
        return failures.USAGE

    return refuse


audit = _absent("audit", "Inventory of AI workloads.", "`comity plan -f FILE` judges one job.")
drain = _absent("backend drain", "Move a backend's jobs elsewhere.", "`comity backend cordon NAME` stops new ones.")
