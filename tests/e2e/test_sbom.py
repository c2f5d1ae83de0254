"""``make sbom`` lists what an installation holds; the list is made and read here."""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

from tests.contract import test_licences
from tests.e2e.conftest import ROOT

INSTALL_S = 900
TOLD_BY_FILE = {"cedarpy"}
"""States its licence in a file that its metadata do not name, so the list cannot."""
VALIDATE = """
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = pathlib.Path(sys.argv[1]).read_text()
version = SchemaVersion.from_version(sys.argv[2])
print(JsonStrictValidator(version).validate_str(text) or "valid")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Make the list in a folder of its own; the tool's environment stands beside it."""
    folder = tmp_path_factory.mktemp("sbom") / "sbom"
    command = ["nice", "make", "--silent", "sbom", f"PYTHON={sys.executable}", f"SBOM={folder}"]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="module")
def listed(made: pathlib.Path) -> dict[str, Any]:
    """Return the list."""
    found: dict[str, Any] = json.loads(made.with_name("sbom.cdx.json").read_text())
    return found


def name_of(text: str) -> str:
    """Return the name of a distribution as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", text).lower()


def test_it_is_valid_by_the_published_schema(made: pathlib.Path, listed: dict[str, Any]) -> None:
    """By the strict validator of the format's own library."""
    python, file = made / "tool" / "bin" / "python", made.with_name("sbom.cdx.json")
    given = [str(python), "-c", VALIDATE, str(file), listed["specVersion"]]
    ran = subprocess.run(given, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout.strip() == "valid", ran.stdout + ran.stderr


def test_it_names_all_that_runs_and_nothing_that_tests(listed: dict[str, Any]) -> None:
    """Each requirement of the wheel and theirs, with its version and where it is from; no tool of ours."""
    found = {name_of(one["name"]): one for one in listed["components"]}
    needed = test_licences._runtime_distributions()
    here = {name for name in needed if _is_installed(name)}
    assert {"comity", *here} <= set(found), sorted(here - set(found))
    for name in here:
        assert found[name]["version"], name
        assert found[name]["purl"].startswith("pkg:pypi/"), name
    assert not {"pytest", "ruff", "mypy", "cyclonedx-bom", "hypothesis"} & set(found)


def test_each_states_a_licence_and_none_is_copyleft(listed: dict[str, Any]) -> None:
    """By the words of the list itself: what the distribution states, else the first of its licence's text."""
    bad = {}
    for one in listed["components"]:
        stated = [*one.get("licenses", ()), *one.get("evidence", {}).get("licenses", ())]
        words = [word for entry in stated if (word := _words(entry))]
        if not words and name_of(one["name"]) in TOLD_BY_FILE:
            words = test_licences._headings(one["name"])
        if not words or any(test_licences._hardest(word) for word in words):
            bad[one["name"]] = words
    assert bad == {}


def test_it_names_nothing_of_the_machine_that_made_it(made: pathlib.Path) -> None:
    """No folder of the builder, and no host that packages were fetched from."""
    text = made.with_name("sbom.cdx.json").read_text()
    assert str(made.parent) not in text
    assert str(ROOT) not in text
    assert not re.search(r"https?://(localhost|127\\.|10\\.|192\\.168\\.)", text)


def _words(entry: dict[str, Any]) -> str:
    """Return what an entry says, or the beginning of the text that it carries."""
    if "expression" in entry:
        return str(entry["expression"])
    stated = entry["license"]
    if "text" not in stated:
        return str(stated.get("id") or stated["name"])
    content = stated["text"]["content"]
    text = base64.b64decode(content).decode() if stated["text"].get("encoding") == "base64" else content
    return " ".join(text.split())[:60]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
