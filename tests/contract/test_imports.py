"""The floors of the house: the contracts hold, and each of them catches a planted violation."""

import configparser
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINT = pathlib.Path(sys.executable).with_name("lint-imports")

# contract -> (file the violation is planted in, the line that violates it)
PLANTS = {
    "floors": ("orchestrator/domain/planted.py", "import orchestrator.ports.stores"),
    "cycles": ("orchestrator/ports/planted.py", "import orchestrator.testing"),
    "adapters-unseen": ("orchestrator/plugins/planted.py", "import backends.local"),
    "adapters-apart": ("backends/local/planted.py", "import backends.simulated"),
    "adapters-reach": ("backends/simulated/planted.py", "import orchestrator.store"),
    "pure-core": ("orchestrator/policy/planted.py", "import time"),
    "door-cli": ("orchestrator/service/planted.py", "import click"),
    "door-web": ("orchestrator/client/planted.py", "import starlette.requests"),
    "door-store": ("orchestrator/control/planted.py", "import sqlalchemy"),
    "door-telemetry": ("orchestrator/api/planted.py", "import prometheus_client"),
    "door-retry": ("orchestrator/plugins/planted_retry.py", "import tenacity"),
    "door-documents": ("orchestrator/inventory/planted.py", "import pydantic"),
    "door-cedar": ("orchestrator/policy/planted_cedar.py", "import cedarpy"),
    "door-ray": ("backends/ray/planted.py", "import ray"),
    "door-jose": ("orchestrator/inventory/planted_jose.py", "import joserfc"),
    "door-kubernetes": ("backends/simulated/planted_kubernetes.py", "import kubernetes"),
    "cli-speaks-http": ("orchestrator/cli/planted.py", "import orchestrator.service"),
}


def _contracts() -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return {s.removeprefix(prefix): parser[s]["name"] for s in parser.sections() if s.startswith(prefix)}


def _lint(folder: pathlib.Path) -> tuple[int, dict[str, bool]]:
    run = subprocess.run([LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    verdicts = {
        name: word == "KEPT"
        for name, word in re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", run.stdout, re.MULTILINE)
    }
    return run.returncode, verdicts


def test_every_contract_is_kept() -> None:
    """The imports of this tree break no contract."""
    code, verdicts = _lint(ROOT)
    assert {name for name, kept in verdicts.items() if not kept} == set()
    assert len(verdicts) == len(_contracts())
    assert code == 0


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Lint a copy of the tree with one violation planted for each contract."""
    copy = tmp_path_factory.mktemp("planted")
    # A runner that somebody compiles at this moment lies in a folder that is soon gone.
    ignore = shutil.ignore_patterns("__pycache__", "*.yaml", "comity-runner", ".build-*")
    for package in ("orchestrator", "backends"):
        shutil.copytree(ROOT / package, copy / package, ignore=ignore)
    shutil.copy(ROOT / ".importlinter", copy)
    for path, line in PLANTS.values():
        (copy / path).write_text(line + "\n")
    return _lint(copy)[1]


def test_every_contract_has_a_plant() -> None:
    """No contract goes without proof that it can fail."""
    assert set(PLANTS) == set(_contracts())


@pytest.mark.parametrize("contract", sorted(PLANTS))
def test_a_planted_violation_is_caught(contract: str, planted: dict[str, bool]) -> None:
    """The contract is reported as broken when a module violates it."""
    assert planted[_contracts()[contract]] is False
