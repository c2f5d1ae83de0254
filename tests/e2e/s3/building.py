"""Builds Versity's S3 gateway (Apache-2.0), once for each content of its module: a real S3 server over a folder.

Nothing that is built lies in the checkout. Versions are pinned (``go.mod``, ``go.sum``) and never changed by a build.
"""

import os
import pathlib

from tests.e2e.kube import building, packages

HERE = pathlib.Path(__file__).resolve().parent
TOOL = building.Tool(str(HERE / "modules" / "versitygw"), "github.com/versity/versitygw/cmd/versitygw", ("versitygw",))


def program() -> pathlib.Path:
    """Return the path of the gateway's one program, whether it is built or not."""
    return building.folder(TOOL) / "versitygw"


def missing() -> list[str]:
    """Return all that is missing to run a server here, one line each."""
    lines = [] if os.uname().sysname == "Linux" else ["Linux is missing: the server ends with its owner by its means"]
    if packages.find("setpriv") is None:
        lines.append("setpriv is missing (util-linux)")
    toolchain = packages.missing_go()
    return lines + ([toolchain] if toolchain else [])


def ensure() -> None:
    """Build the gateway where it is not, or wait for whoever builds it.

    :raises building.BuildError: when the compiler fails; its last lines are the text.
    """
    building.ensure_tool(TOOL)
