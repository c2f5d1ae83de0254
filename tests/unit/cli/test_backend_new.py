"""``backend new``: the package it writes stands on its own and passes the conformance tests at once."""

import os
import pathlib
import subprocess
import sys
import tomllib

from tests.unit.cli.conftest import Run

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_new_package_passes_the_conformance_tests(run: Run) -> None:
    """The package, as written, passes the whole kit in a process of its own."""
    ran = run("backend", "new", "my-cloud")
    assert ran.code == 0
    folder = pathlib.Path("comity-my-cloud")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout


def test_new_package_announces_its_adapter(run: Run) -> None:
    """The entry point names the plugin, and no placeholder is left anywhere."""
    run("backend", "new", "my-cloud")
    folder = pathlib.Path("comity-my-cloud")
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["orchestrator.backends"] == {"my-cloud": "comity_my_cloud:plugin"}
    for path in folder.rglob("*"):
        assert "@" not in path.name
        if path.is_file():
            assert not any(word in path.read_text() for word in ("@NAME@", "@MODULE@", "@CLASS@"))


def test_existing_folder_is_left_alone(run: Run) -> None:
    """A folder that exists is not written into, and a name that is no package name is a usage error."""
    pathlib.Path("comity-mine").mkdir()
    assert run("backend", "new", "mine").code == 1
    assert list(pathlib.Path("comity-mine").iterdir()) == []
    assert run("backend", "new", "../Mine").code == 2
