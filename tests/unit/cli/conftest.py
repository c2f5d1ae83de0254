"""A stub of the control plane and a way to run one command line against it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.cli import main
from tests.unit.client import stubs


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[stubs.Server]:
    """Give a server that answers as the test says."""
    made = stubs.Server()
    yield made
    made.close()


@pytest.fixture
def run(
    server: stubs.Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Any
) -> Callable[..., Ran]:
    """Give a function that runs ``comity`` in this process, in an empty folder, against the stub."""
    for name in ("COMITY_TOKEN", "COMITY_DEBUG", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COMITY_SERVER", server.url)
    monkeypatch.setenv("COMITY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        code = main.run(arguments)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
