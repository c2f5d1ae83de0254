"""Help: every command has one, with an example, and showing it loads nothing heavy."""

import re
import subprocess
import sys

import click
import pytest

from orchestrator.cli import index, lazy, main
from tests.unit.cli.conftest import Run

GROUPS = {"backend": index.BACKEND, "policy": index.POLICY, "log": index.LOG, "token": index.TOKEN}
COMMANDS = [(name,) for name in index.ROOT if name not in GROUPS]
COMMANDS += [(group, name) for group, entries in GROUPS.items() for name in entries]
HEAVY = ("pydantic", "rich", "fastapi", "numpy", "sqlalchemy", "yaml", "starlette", "dataclasses", "inspect")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(run: Run, command: tuple[str, ...]) -> None:
    """``--help`` of every command shows how to use it."""
    ran = run(*command, "--help")
    assert ran.code == 0
    assert re.search(rf"Example:\n\s+comity {' '.join(command)}\b", ran.out)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_entry_names_its_command(command: tuple[str, ...]) -> None:
    """The table of commands points at commands of the right name."""
    group: click.Command | None = main.root()
    for word in command:
        assert isinstance(group, lazy.LazyGroup)
        group = group.get_command(click.Context(group), word)
    assert group is not None
    assert group.name == command[-1]


@pytest.mark.parametrize(
    "code",
    [
        "from orchestrator.cli import main; main.run(['--help'])",
        "from orchestrator.cli import main; import orchestrator.cli.commands.read",
    ],
    ids=["help", "get"],
)
def test_cold_start_loads_nothing_heavy(code: str) -> None:
    """``--help`` and ``get`` import no library that takes long."""
    script = f"import sys; {code}; print('LOADED', *sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded = out.rpartition("LOADED")[2].split()
    allowed = {"dataclasses", "inspect"} if "read" in code else {"inspect"}
    assert [name for name in HEAVY if name in loaded and name not in allowed] == []
