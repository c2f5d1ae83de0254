"""The worked example of writing a backend: installed as a package of its own, run as its reader would, with jobs."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e import rays
from tests.e2e._planes import Plane, backend, job
from tests.e2e.conftest import ROOT

VERSION = "0.27.0"
EXAMPLE = ROOT / "examples" / "comity-hyperqueue"
INSTALL_S = 600
SERVER = """
import sys
from hyperqueue import cluster
cluster.LocalCluster(sys.argv[1], cluster.WorkerConfig(cores=4))
print("ready", flush=True)
sys.stdin.read()
"""


def pip(*arguments: str) -> None:
    """Run pip."""
    command = ["nice", sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)


def engine() -> pathlib.Path:
    """Return the folder of HyperQueue's wheel, made where it is not there; skip, or fail where it is required."""
    folder = rays.cache().with_name(f"hyperqueue-{VERSION}")
    done = folder / "done-1"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                pip("--upgrade", "--target", str(folder / "packages"), f"hyperqueue=={VERSION}")
                done.touch()
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        text = f"HyperQueue {VERSION} is missing and cannot be installed: {said[-1] if said else error}"
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(text)
        pytest.skip(text)
    return folder / "packages"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Install the example, as pip does from a folder, beside the engine; return the search path of both."""
    found, own = engine(), tmp_path_factory.mktemp("hyperqueue")
    shutil.copytree(EXAMPLE, own / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip("--no-deps", "--target", str(own / "packages"), str(own / "source"))
    assert (own / "packages" / "comity_hyperqueue" / "task.py").exists()
    (own / "path").write_text(os.pathsep.join((str(own / "packages"), str(found))))
    return own


@pytest.fixture
def server(installed: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A real server with a worker of four CPUs; return its directory."""
    folder = tmp_path / "server"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": (installed / "path").read_text(), "TMPDIR": str(tmp_path)}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.strip() == b"ready":
            break
    else:
        pytest.fail((tmp_path / "server.log").read_text())
    yield folder
    process.kill()
    process.communicate()


def test_its_own_tests_pass_where_it_is_installed(installed: pathlib.Path) -> None:
    """The whole conformance kit and the faults, on the installed package, from a folder that is not ours."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    path = os.pathsep.join(((installed / "path").read_text(), str(ROOT)))
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=installed / "source",
        env=kept | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout


def test_a_server_places_jobs_there(installed: pathlib.Path, server: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Found by its entry point alone: listed with its settings, registered by a document, decided on, run, read."""
    plane = Plane(tmp_path, environment={"PYTHONPATH": os.pathsep.join(((installed / "path").read_text(), str(ROOT)))})
    listed = plane.shell.run("comity backend types")
    assert "hyperqueue" in listed.stdout, (listed.stdout, listed.stderr)
    plane.init()
    (plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    shared = tmp_path / "shared"
    settings = {"serverDir": str(server), "folder": str(shared), "cpus": 4, "python": sys.executable}
    try:
        plane.start()
        bad = backend("bad", adapter="hyperqueue", settings={**settings, "serverDir": "here", "cpus": 0})
        assert plane.put(bad).status in (200, 201)
        checked = plane.shell.run("comity backend check bad")
        assert checked.returncode != 0
        assert {"serverDir", "cpus"} <= set(re.findall(r"\w+", checked.stdout + checked.stderr)), checked
        assert plane.put(backend("hq", adapter="hyperqueue", settings=settings)).status in (200, 201)
        answer = plane.submit(job("hello", "sh", "-c", "echo from $COMITY_JOB_ID; exit 5"))
        assert answer.status == 202, answer
        found = plane.ended(str(answer.json["id"]), seconds=120)
        (attempt,) = found["status"]["attempts"]
        assert (found["status"]["phase"], attempt["site"]) == ("FAILED", "hq/p"), found
        assert "5" in json.dumps(attempt), attempt
        assert plane.shell.run("comity logs hello").stdout == f"from {answer.json['id']}\n"
        refused = plane.submit(job("files", "true", files={"a": {"content": "eA=="}}))
        assert refused.status == 202, refused
        told = plane.shell.run("comity explain files").stdout
        assert "fit.capability:files" in told, told
    finally:
        plane.close()
