"""Where the harness keeps what it builds and what it runs: never inside the checkout."""

import os
import pathlib
import stat

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
    """Return the folder that holds one folder a run, made where it is not there.

    It is short on purpose: socket paths end at 107 characters.

    :raises PermissionError: when somebody else made it: whoever owns it could replace what root runs.
    """
    folder = pathlib.Path("/tmp") / f"comity-kube-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"{folder} is not ours alone: remove it") from None
    return folder
