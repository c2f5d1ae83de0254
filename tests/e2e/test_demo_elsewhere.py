"""The demonstration on a real Slurm cluster and a real Bacalhau network: told, checked, and all of it ended."""

import base64
import json
import os
import pathlib
import re
import signal
import threading

import pytest
import wasmtime

from orchestrator.cli.demo import components
from orchestrator.wire import jsonable, yaml_loader
from tests.e2e import test_demo
from tests.e2e._planes import wait_until
from tests.e2e.bacalhau import building
from tests.e2e.conftest import ROOT
from tests.e2e.slurm import packages

DEMO_S = 1800.0
"""Where neither Slurm nor Bacalhau was ever built here."""
BOTH = ("--with", "slurm,bacalhau")


@pytest.fixture
def able() -> None:
    """Skip where this machine cannot run them, with what is missing."""
    problem = "; ".join([*packages.missing_machine(), *building.missing()])
    if problem and os.environ.get("COMITY_E2E") != "required":
        pytest.skip(problem)


def _gone(folder: pathlib.Path) -> None:
    wait_until(lambda: not test_demo._left_behind(folder), what=f"an end of {test_demo._left_behind(folder)}")


@pytest.mark.usefixtures("able")
def test_both_are_used_refuse_private_data_and_are_ended(tmp_path: pathlib.Path) -> None:
    """One command from a checkout: a job ran on each, the same job with health data was refused on each."""
    process = test_demo._start(tmp_path, *BOTH)
    out, err = process.communicate(timeout=DEMO_S)
    assert process.returncode == 0, out + err
    for words in (
        r"ok ran on hpc/(fr|de), a Slurm cluster",
        r"hello from partition (fr|de), job \d+",
        r"ok French health data was refused at every site of hpc: fr-hds.certificate",
        r"ok ran on network/(alpha|beta), a Bacalhau network",
        r"hello from a module",
        r"x network/gamma .* eu-gdpr.transfer:US",
        r"ok French health data was refused at every site of network: fr-hds.certificate",
        r"nothing is left running",
    ):
        assert re.search(words, out), f"{words}:\n{out}"
    _gone(tmp_path)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
@pytest.mark.parametrize("when", ["starting", "running"])
def test_an_interrupt_ends_what_was_started(tmp_path: pathlib.Path, when: str, number: signal.Signals) -> None:
    """While they start, and when all of it runs: neither processes nor files are left."""
    process = test_demo._start(tmp_path, *BOTH)
    assert process.stdout is not None
    killer = threading.Timer(DEMO_S, process.kill)
    killer.start()
    try:
        if when == "starting":
            wait_until(lambda: list(tmp_path.glob("comity-bacalhau-*")), seconds=DEMO_S, what="a start")
        else:
            for line in process.stdout:
                if "control plane: process" in line:
                    break
        process.send_signal(number)
        _, err = process.communicate()
    finally:
        killer.cancel()
    assert process.returncode == 130, err
    _gone(tmp_path)


@pytest.mark.usefixtures("able")
def test_a_demonstration_that_is_killed_leaves_no_cluster(tmp_path: pathlib.Path) -> None:
    """kill -9, when all of it runs: clusters and networks see that nobody is there any more."""
    process = test_demo._start(tmp_path, *BOTH)
    assert process.stdout is not None
    killer = threading.Timer(DEMO_S, process.kill)
    killer.start()
    try:
        for line in process.stdout:
            if "control plane: process" in line:
                break
        server = int(line.split("process ")[1].split()[0])
        process.kill()
        process.communicate()
    finally:
        killer.cancel()
        os.kill(server, signal.SIGKILL)
    wait_until(
        lambda: not [one for one in test_demo._left_behind(tmp_path) if "tests.e2e" in one or "bacalhau" in one],
        what="an end of both",
    )


def test_what_it_cannot_start_is_said_in_one_line(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, one without such a place, a name that is none: what, and how to name one."""
    (tmp_path / "other.yaml").write_text("{apiVersion: comity.dev/v1, kind: Backend, spec: {adapter: ray}}")
    for file, text in ((tmp_path / "none.yaml", "No such file"), (tmp_path / "other.yaml", "one Backend of adapter")):
        monkeypatch.setenv("COMITY_DEMO_SLURM", str(file))
        with pytest.raises(components.MissingError, match=text) as found:
            components._named("slurm")
        assert "\n" not in str(found.value)
        assert found.value.advice.startswith("COMITY_DEMO_SLURM=FILE")
    process = test_demo._start(tmp_path, "--with", "slurm,nomad")
    _, err = process.communicate(timeout=DEMO_S)
    assert (process.returncode, "'nomad' is none of slurm, bacalhau" in err) == (2, True), err


def test_a_named_place_is_taken_as_it_is(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its documents and its secrets, and nothing is started for it."""
    monkeypatch.setenv("COMITY_DEMO_SLURM", str(tmp_path / "own.yaml"))
    monkeypatch.setenv("COMITY_SECRET_OWN", "x")
    place = {
        "apiVersion": "comity.dev/v1",
        "kind": "Backend",
        "metadata": {"name": "own"},
        "spec": {"adapter": "slurm"},
    }
    (tmp_path / "own.yaml").write_text(json.dumps(place))
    found = components._named("slurm")
    assert found is not None
    assert (found.backend, found.documents, found.environment["COMITY_SECRET_OWN"]) == ("own", [place], "x")


@pytest.mark.parametrize("name", ["module", "private-module"])
def test_the_module_is_what_its_text_says(name: str) -> None:
    """The bytes in the document are what the text beside it becomes."""
    folder = ROOT / "examples" / "networks"
    (loaded,) = yaml_loader.load((folder / f"{name}.yaml").read_bytes(), file=name)
    content = jsonable.to_json(loaded.data)["spec"]["files"]["hello.wasm"]["content"]
    assert base64.b64decode(content) == bytes(wasmtime.wat2wasm((folder / "hello.wat").read_text()))
