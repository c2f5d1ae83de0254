"""The wrapper of Akash's containers, by a real shell: it runs once, tells the end, keeps the limit, hides addresses."""

import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from backends.akash import wrapper

NEEDED = ("sh", "sleep", "date", "env")


class Store(http.server.ThreadingHTTPServer):
    """Keeps what is put, and fails as often as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, bytes] = {}
        self.fails = 0
        self.told = threading.Event()

    def addresses(self) -> dict[str, str]:
        """Return the addresses that a container is given."""
        base = f"http://127.0.0.1:{self.server_address[1]}"
        return {"look": f"{base}/began", **{name: f"{base}/{name}" for name in ("began", "again", "ended")}}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Store

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer whether it is there."""
        self._end(200 if self.path[1:] in self.server.kept else 404)

    def do_PUT(self) -> None:
        """Keep it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.fails:
            self.server.fails -= 1
            self._end(503)
            return
        self.server.kept[self.path[1:]] = body
        self._end(200)
        if self.path in ("/ended", "/again"):
            self.server.told.set()

    def _end(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def store() -> Iterator[Store]:
    """Give a store."""
    made = Store()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(params=["curl", "python3"])
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Give a folder with what an image has: a shell's tools, and one program that speaks HTTP."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*NEEDED, request.param):
        found = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
        if found is None:
            pytest.skip(f"no {name} on this machine")
        (folder / name).symlink_to(found)
    return folder


def run(store: Store, path: pathlib.Path, *words: str, seconds: int = 600) -> str:
    """Run a container until it has told its end, and return its output."""
    env = {"PATH": str(path), **wrapper.environment(store.addresses(), seconds)}
    output = path.parent / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            wrapper.command(words), env=env, stdout=out, stderr=out, cwd=path.parent, start_new_session=True
        )
    try:
        assert store.told.wait(120), output.read_text()
        assert process.poll() is None, "it rests until it is closed"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return output.read_text()


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_end_is_told_with_its_code(store: Store, path: pathlib.Path, code: int) -> None:
    """And that it began; the command does not see where."""
    said = run(store, path, "sh", "-c", f"env; exit {code}")
    assert wrapper.ended(store.kept["ended"]) == wrapper.Ended(code, late=False)
    assert "began" in store.kept
    assert "PATH=" in said
    assert "COMITY_MARK" not in said


def test_no_word_is_read_by_a_shell(store: Store, path: pathlib.Path) -> None:
    """Hostile words come as they are."""
    words = ["$(echo no)", "`echo no`", "; echo no", "a\nb", '"', "'", "*", "$HOME", "-n", ""]
    show = path.parent / "show"
    show.write_text('#!/bin/sh\nfor each; do printf "[%s]" "$each"; done\n')
    show.chmod(0o755)
    assert "".join(f"[{word}]" for word in words) in run(store, path, str(show), *words)


def test_a_second_start_runs_nothing(store: Store, path: pathlib.Path) -> None:
    """It says that it is one."""
    store.kept["began"] = b"{}"
    assert "ran" not in run(store, path, "sh", "-c", "echo ran")
    assert set(store.kept) == {"began", "again"}


def test_a_store_that_fails_is_asked_again(store: Store, path: pathlib.Path) -> None:
    """The command waits until its beginning is written down."""
    store.fails = 1
    run(store, path, "sh", "-c", "exit 4")
    assert wrapper.ended(store.kept["ended"]) == wrapper.Ended(4, late=False)


def test_what_runs_for_too_long_is_ended(store: Store, path: pathlib.Path) -> None:
    """And told to be late."""
    run(store, path, "sleep", "600", seconds=1)
    assert wrapper.ended(store.kept["ended"]) == wrapper.Ended(128 + signal.SIGTERM, late=True)


def test_a_command_that_is_not_there_is_an_end(store: Store, path: pathlib.Path) -> None:
    """As a shell tells it."""
    run(store, path, "/no/such/program")
    assert json.loads(store.kept["ended"])["code"] == 127


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"null", b'{"v": 2, "code": 0, "late": false}', b'{"v": 1, "code": "0", "late": false}',
     b'{"v": 1, "code": true, "late": false}', b'{"v": 1, "code": 256, "late": false}', b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_what_is_no_end_mark_is_none(raw: bytes) -> None:
    """A provider can write what it likes there."""
    assert wrapper.ended(raw) is None
