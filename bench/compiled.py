"""The small C programs of the benchmarks: built once a run, into a folder that the end of the run removes.

C, because both share the cores with what they measure: a load generator in Python would cost more than the server.
"""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

SOURCES = pathlib.Path(__file__).parent / "programs"
GROUND = os.environ.get("COMITY_BENCH_DIR", "/var/tmp")
"""Below it every folder of a benchmark is made: on a disk, because fsync costs nothing on tmpfs."""

_built: dict[str, pathlib.Path] = {}


class NoCompilerError(Exception):
    """There is no C compiler, or it cannot build the program; the message is its own."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator saw. ``rate`` is answers a second."""

    answers: int
    rate: float
    p50_ms: float
    p99_ms: float


def folder(name: str) -> pathlib.Path:
    """Make a folder that this process removes when it ends."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"comity-bench-{name}-", dir=GROUND))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def program(name: str) -> pathlib.Path:
    """Return the built program ``name``, which anybody may execute. Raises NoCompilerError."""
    if name not in _built:
        into = folder("programs")
        into.chmod(0o755)
        said = ""
        for linking in (["-static"], []):
            command = ["cc", "-O2", "-s", *linking, "-o", str(into / name), str(SOURCES / f"{name}.c")]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError as error:
                raise NoCompilerError("no C compiler: cc is not on the PATH") from error
            if done.returncode == 0:
                _built[name] = into / name
                break
            said = done.stderr
        else:
            raise NoCompilerError(said[-400:])
    return _built[name]


def load(port: int, request: bytes, *, connections: int, warm_s: float, seconds: float) -> Load:
    """Send ``request`` again and again for ``seconds`` and return what came back.

    Each ``@@@@@@@@`` in it becomes a number of its own. Raises RuntimeError if anything was refused.
    """
    path = folder("request") / "request"
    path.write_bytes(request)
    timing = [str(int(each * 1e3)) for each in (warm_s, seconds)]
    command = [str(program("load")), str(port), str(connections), *timing, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    found = json.loads(done.stdout)
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} requests failed, the first with {found['failure']}")
    if not found["answers"]:
        raise RuntimeError("no request was answered in the time measured")
    return Load(found["answers"], found["answers"] / found["seconds"], found["p50_ms"], found["p99_ms"])
