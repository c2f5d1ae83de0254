"""The demonstration: runs for real, says what it checked, leaves nothing behind, and fails where it should."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from orchestrator.cli.demo import machines, narration, story
from tests.e2e._planes import wait_until
from tests.e2e.conftest import ROOT

DEMO_S = 600.0


def _start(tmp_path: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMITY_")}
    python_path = os.pathsep.join(part for part in (str(ROOT), environment.get("PYTHONPATH", "")) if part)
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "demo", *arguments],
        env=environment | {"TMPDIR": str(tmp_path), "PYTHONPATH": python_path, "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _left_behind(tmp_path: pathlib.Path) -> list[str]:
    """Return processes and files that mention the demonstration's folder."""
    found = [str(path) for path in tmp_path.glob("comity-*")]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes() + bytes((entry / "cwd").readlink())
                words += (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(tmp_path).encode() in words:
                found.append(f"process {entry.name}: {words[:300]!r}")
    return found


def test_demo_tells_the_whole_story_and_cleans_up(tmp_path: pathlib.Path) -> None:
    """All five steps are told and checked, the tour says what is not there yet, and nothing is left running."""
    process = _start(tmp_path, "--tour")
    out, err = process.communicate(timeout=DEMO_S)
    assert process.returncode == 0, out + err
    for words in ("ran on paris/cpu", "ran on singapore/cpu", "refused at every site", "adopted: one attempt", "ok"):
        assert words in out
    assert "(not yet)" in out
    assert "\x1b" not in out
    assert len(re.findall(r"^\d  ", out, re.MULTILINE)) == 6
    wait_until(lambda: not _left_behind(tmp_path), what=f"an end of {_left_behind(tmp_path)}")


def test_demo_cleans_up_after_an_interrupt(tmp_path: pathlib.Path) -> None:
    """Ctrl-C in the middle leaves neither processes nor files."""
    process = _start(tmp_path)
    assert process.stdout is not None
    killer = threading.Timer(DEMO_S, process.kill)
    killer.start()
    try:
        for line in process.stdout:
            if "submit -f" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate()
    finally:
        killer.cancel()
    assert process.returncode == 130
    wait_until(lambda: not _left_behind(tmp_path), what=f"an end of {_left_behind(tmp_path)}")


def test_a_port_that_somebody_took_is_left_for_another(tmp_path: pathlib.Path) -> None:
    """Between an end and the next start anybody may come to lie on the port; the control plane moves then."""
    world = machines.World(tmp_path)
    try:
        with socket.create_server(("127.0.0.1", world.port)) as taken:
            world.start()
            assert world.port != taken.getsockname()[1]
            with world.client() as client:
                assert client.ready()
    finally:
        world.close()


def test_demo_fails_where_a_claim_does_not_hold() -> None:
    """A step whose outcome is another one raises, with what it was."""
    with pytest.raises(machines.DemoError, match="chose"):
        story.claim(False, "the plan chose x")
    sites = [
        {"site": "a/b", "allowed": False, "reasons": [{"code": "x", "effect": "deny"}]},
        {"site": "c", "allowed": True},
    ]
    assert story.refusals(sites) == {"a/b": ["x"]}
    assert narration.INDENT
