"""Where the harness keeps Slurm's programs and what runs: never inside the checkout."""

import os
import pathlib
import stat

from tests.e2e.kube import places

ROOT = places.ROOT
FORMAT = 2
"""Of the unpacked programs; another number unpacks them anew."""


def cache(suite: str = "") -> pathlib.Path:
    """Return the folder below which Debian's packages are unpacked, as ``root``.

    :param suite: of Debian, as ``trixie``; none: that of this machine.
    """
    return places.cache() / "-".join(filter(None, (f"slurm-{FORMAT}", suite)))


def programs(suite: str = "") -> pathlib.Path:
    """Return the folder that is laid over ``/`` inside: Debian's files, where no package manager sees them."""
    return cache(suite) / "root"


def runs() -> pathlib.Path:
    """Return the folder that holds one folder a run, made where it is not there.

    Others may pass through it and not list it: jobs run as users of their own and write below it.

    :raises PermissionError: when somebody else made it: whoever owns it could replace what root runs.
    """
    folder = pathlib.Path("/tmp") / f"comity-slurm-{os.getuid()}"
    try:
        folder.mkdir()
        folder.chmod(0o711)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"{folder} is not ours alone: remove it") from None
    return folder
