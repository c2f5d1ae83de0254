"""Builds Bacalhau, once for each content of its module, and the small WebAssembly that tests run.

Nothing that is built lies in the checkout. Versions are pinned (``go.mod``, ``go.sum``) and never changed by a build.
"""

import os
import pathlib

import wasmtime

from tests.e2e.kube import building, packages

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "v1.9.3"
TOOL = building.Tool(
    str(HERE / "modules" / "bacalhau"),
    ".",
    ("bacalhau",),
    {"github.com/bacalhau-project/bacalhau/pkg/version.GITVERSION": VERSION},
)
PROGRAM = HERE / "programs" / "job.wat"


def program() -> pathlib.Path:
    """Return the path of Bacalhau's one program, whether it is built or not."""
    return building.folder(TOOL) / "bacalhau"


def missing() -> list[str]:
    """Return all that is missing to run a network here, one line each."""
    lines = [] if os.uname().sysname == "Linux" else ["Linux is missing: parts end with their owner by its means"]
    if packages.find("setpriv") is None:
        lines.append("setpriv is missing (util-linux)")
    toolchain = packages.missing_go()
    return lines + ([toolchain] if toolchain else [])


def ensure() -> None:
    """Build Bacalhau where it is not, or wait for whoever builds it.

    :raises building.BuildError: when the compiler fails; its last lines are the text.
    """
    building.ensure_tool(TOOL)


def module() -> bytes:
    """Return the test program as a WebAssembly module of WASI preview 1, with its names.

    It is written in the text format, for what compilers make of a few lines of another language is too large for a job
    of Bacalhau (ADR 0031).
    """
    return bytes(wasmtime.wat2wasm(PROGRAM.read_text()))
