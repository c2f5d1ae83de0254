"""How clusters that were started by hand are ended: one run alone, or by Ctrl-C, with nothing left."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from tests.e2e.kube import api, clusters, places, runs
from tests.e2e.test_kube import DONE_S, files_of, owner, processes_of


def test_down_ends_the_run_that_is_named_and_no_other(kube: object) -> None:
    """The other one's API server answers on, and its owner lives."""
    meant, other = f"d{os.getpid()}", f"e{os.getpid()}"
    words = ("--name", "fr", "--nodes", "0")
    with owner(meant, *words) as ends, owner(other, *words) as stays:
        command = [sys.executable, "-m", "tests.e2e.kube", "down", meant]
        done = subprocess.run(command, cwd=places.ROOT, capture_output=True, text=True, timeout=DONE_S, check=False)
        assert meant not in done.stderr, done.stderr
        assert ends.wait(DONE_S) == 0
        api.until(lambda: not files_of(meant) and not processes_of(meant), "the end of one run", timeout_s=DONE_S)
        assert stays.poll() is None
        assert other in runs.living()
        api.until(clusters.Cluster.load(places.runs() / other / "fr.json").api.ready, "the other", timeout_s=DONE_S)


def test_nobody_looks_at_a_run_while_it_is_swept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries its lock makes the file of it again, and the folder could not be removed."""
    alone = []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "owner").write_text("1")
    monkeypatch.setattr(places, "runs", lambda: tmp_path)

    def hold(_: pathlib.Path) -> None:
        with (places.runs() / ".sweeping").open("w") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                alone.append(True)
            else:
                alone.append(False)

    monkeypatch.setattr(runs, "hold", hold)
    assert runs.living() == {"mine": 1}
    assert alone == [True]


def test_clusters_of_make_end_at_an_interrupt_and_leave_nothing(kube: object) -> None:
    """Ctrl-C reaches make, its shell and the owner at once, as a terminal sends it."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is missing")
    # What is installed is what runs these tests: nothing is installed again on the way.
    installed = f"BIN={pathlib.Path(sys.executable).parent}"
    command = [make, "--no-print-directory", "--old-file", ".venv/.installed", installed, "clusters"]
    # These tests may be run by make themselves, and another make below that one is none of its parts.
    own = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    with subprocess.Popen(
        command, cwd=places.ROOT, env=own, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            told = dict(line.split() for line in (process.stdout.readline() for _ in range(2)))
            assert list(told) == ["fr", "de"]
            (run,) = {pathlib.Path(path).parents[1].name for path in told.values()}
            assert files_of(run)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(DONE_S)
            api.until(lambda: not files_of(run) and not processes_of(run), "the end of the run", timeout_s=DONE_S)
            assert run not in runs.living()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
