"""Real clusters and networks for the demonstration: started from a checkout, or named by whoever has one.

A checkout has harnesses that start them (``python -m tests.e2e.NAME up --for-demo``); an installation has none, and the
package imports none of them. Both ways end in documents that the demonstration applies (ADR 0037).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from orchestrator.cli.demo import machines, narration
from orchestrator.wire import errors, jsonable, yaml_loader

END_S = 240.0
TITLES: Mapping[str, str] = {"slurm": "a Slurm cluster", "bacalhau": "a Bacalhau network"}
"""What can be added, by the name of its adapter."""
SECRETS = "COMITY_SECRET_"


class MissingError(Exception):
    """A component cannot be had here; the text is one line that says what is missing, ``advice`` how to name one."""

    def __init__(self, name: str, what: str) -> None:
        """Say it of a component."""
        super().__init__(f"no {name} for the demonstration: {what}")
        self.advice = f"{variable(name)}=FILE names one that you have: documents of its place, as `comity apply` reads"


@dataclasses.dataclass(frozen=True)
class Component:
    """One that is there."""

    name: str
    documents: Sequence[Mapping[str, Any]]
    """Of its operators and its place."""
    environment: Mapping[str, str]
    """Secrets to which the documents refer."""

    @property
    def backend(self) -> str:
        """Return the name of its place."""
        return str(next(one["metadata"]["name"] for one in self.documents if one["kind"] == "Backend"))


def variable(name: str) -> str:
    """Return the variable that names a file with documents."""
    return f"COMITY_DEMO_{name.upper()}"


@contextlib.contextmanager
def started(names: Sequence[str], say: narration.Narrator) -> Iterator[list[Component]]:
    """Give the components of these names, and end what was started for them.

    :raises MissingError: where one cannot be had; nothing runs then.
    """
    with contextlib.ExitStack() as stack:
        ways = [(name, _named(name) or stack.enter_context(_harness(name))) for name in names]
        found = []
        for name, way in ways:
            say.waiting(f"starting {TITLES[name]}")
            found.append(way if isinstance(way, Component) else _heard(name, *way))
        say.done_waiting()
        try:
            yield found
        finally:
            say.waiting("ending what was started")


def _named(name: str) -> Component | None:
    """Return the component that the environment names, None where it names none."""
    file = os.environ.get(variable(name))
    if not file:
        return None
    try:
        loaded = yaml_loader.load(pathlib.Path(file).read_bytes(), file=file)
    except OSError as error:
        raise MissingError(name, f"{file}: {error.strerror}") from error
    except errors.InvalidDocumentError as error:
        raise MissingError(name, error.errors[0].render()) from error
    documents = [jsonable.to_json(one.data) for one in loaded]
    if [one["spec"].get("adapter") for one in documents if one.get("kind") == "Backend"] != [name]:
        raise MissingError(name, f"{file} does not hold one Backend of adapter {name}")
    return Component(name, documents, {key: text for key, text in os.environ.items() if key.startswith(SECRETS)})


@contextlib.contextmanager
def _harness(name: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Start the harness of a checkout, and end it, and with it all that it started."""
    root = pathlib.Path(__file__).resolve().parents[3]
    if not (root / "tests" / "e2e" / name / "__main__.py").is_file():
        raise MissingError(name, "this installation starts none, only a checkout of the project does")
    process: subprocess.Popen[str] | None = None
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            with machines.held():
                process = subprocess.Popen(  # noqa: S603 -- our own program, fixed arguments
                    [sys.executable, "-m", f"tests.e2e.{name}", "up", "--for-demo"],
                    cwd=root,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                    start_new_session=True,
                )
            yield process, said
        finally:
            if process is not None:
                with machines.deaf():
                    _end(process)


def _heard(name: str, process: subprocess.Popen[str], said: IO[str]) -> Component:
    """Wait for what a harness hands over. It bounds its own start."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        said.seek(0)
        lines = said.read().strip().splitlines()
        raise MissingError(name, lines[-1] if lines else "its harness said nothing")
    given = json.loads(line)
    return Component(name, given["documents"], given["environment"])


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a harness to end, and wait until all that it started is gone; its input stays open, so it is asked once."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
