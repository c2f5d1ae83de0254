"""Where the harness keeps what it builds and what it runs: never inside the checkout."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = pathlib.Path(__file__).resolve().parent / "modules"


def cache() -> pathlib.Path:
    """Return the folder for what is built once and kept: binaries and images, each under the digest of its source."""
    given = os.environ.get("COMITY_CACHE_DIR")
    if given:
        return pathlib.Path(given) / "e2e"
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base) / "comity" / "e2e"


def runs() -> pathlib.Path:
    """Return the folder that holds one folder a run. Short on purpose: socket paths end at 107 characters."""
    return pathlib.Path("/tmp") / f"comity-kube-{os.getuid()}"
