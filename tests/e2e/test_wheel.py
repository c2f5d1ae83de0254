"""The wheel works outside the checkout: it carries the runner, the packs, the demonstration and the entry points."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Build the wheel as pip would, and unpack it into a folder of its own."""
    built = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, ROOT]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    (wheel,) = built.glob("comity-*.whl")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        for info in archive.infolist():
            if (info.external_attr >> 16) & 0o111:
                (folder / info.filename).chmod(0o755)
    return folder


def _comity(folder, *words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(folder), "COMITY_STATE_DIR": str(cwd / "state")}
    script = "import sys; from orchestrator.cli.main import main; sys.exit(main())"
    # -P: the checkout must not be found by way of the working folder.
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_the_wheel_carries_what_it_needs_and_no_more(unpacked):
    """Packages, data, typing marks and the compiled runner are inside; tests and benchmarks are not."""
    assert (unpacked / "backends/local/runner/comity-runner").stat().st_mode & 0o111
    for name in ("orchestrator/py.typed", "backends/py.typed", "orchestrator/policy/packs/eu-gdpr/facts.yaml"):
        assert (unpacked / name).is_file()
    assert {path.name for path in unpacked.iterdir() if path.is_dir() and "dist-info" not in path.name} == {
        "orchestrator",
        "backends",
    }


def test_policy_is_judged_from_the_wheel(unpacked, tmp_path):
    """Packs and facts are found from a folder that is no checkout."""
    run = _comity(unpacked, "policy", "packs", "-o", "name", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert {"core", "eu-gdpr", "us-ear", "vn"} <= set(run.stdout.split())


def test_the_code_that_runs_is_that_of_the_wheel(unpacked, tmp_path):
    """The modules come from the unpacked wheel, and the local backend says what it can do."""
    script = "import orchestrator, backends.local; print(orchestrator.__file__); print(backends.local.__file__)"
    run = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert all(line.startswith(str(unpacked)) for line in run.stdout.split())


def test_what_only_a_checkout_starts_is_said_by_the_wheel(unpacked, tmp_path):
    """The demonstration says in one line that no cluster is started from here, and how to name one."""
    run = _comity(unpacked, "demo", "--with", "slurm", cwd=tmp_path)
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 2), run.stderr
    assert "no slurm for the demonstration: this installation starts none" in run.stderr
    assert "COMITY_DEMO_SLURM=FILE" in run.stderr
