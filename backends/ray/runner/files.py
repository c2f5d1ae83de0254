"""What the runner does with files: the folder of an attempt, what was sent, and what is kept of it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Sequence

from backends.ray.runner import words


def prepare(*, content: bool) -> str:
    """Make the folder of this attempt, with what was sent in it; return its path. Raises Refused."""
    try:
        folder = tempfile.mkdtemp(prefix="comity-")
        for name in ("work", "out"):
            os.mkdir(os.path.join(folder, name))
        source, work = os.getcwd(), os.path.join(folder, "work")
        for name in os.listdir(source) if content else ():
            path = os.path.join(source, name)
            if name in (words.SELF, words.MANIFEST):
                continue
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(work, name), symlinks=True)
            else:
                shutil.copy(path, os.path.join(work, name))
        if content:
            _finish(pathlib.Path(source) / words.MANIFEST, work)
    except (OSError, ValueError, KeyError, shutil.Error) as error:
        text = f"the working folder cannot be prepared: {str(error)[:300]}"
        raise words.Refused("setup-failed", text) from error
    return folder


def keep(folder: str, wanted: Sequence[str], target: str | None) -> list[str]:
    """Copy outputs to ``target``, and return the declared ones that are nowhere. Raises Refused."""
    roots = [os.path.join(folder, name) for name in ("out", "work")]
    found = {path: next((root for root in roots if _there(root, path)), None) for path in wanted}
    if target:
        part = f"{target}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            _copy(roots[0], "", part)
            for path, root in found.items():
                if root == roots[1]:
                    _copy(root, path, part)
            os.rename(part, target)
        except OSError as error:
            raise words.Refused("setup-failed", f"outputs cannot be kept: {str(error)[:300]}") from error
    return [path for path, root in found.items() if root is None]


def _finish(manifest: pathlib.Path, work: str) -> None:
    """Make links and executables, which the package cannot carry."""
    told = json.loads(manifest.read_text("utf-8"))
    for path in told["executable"]:
        os.chmod(os.path.join(work, path), 0o755)  # noqa: S103 -- as in the archive
    for path in told["folders"]:
        os.makedirs(os.path.join(work, path), exist_ok=True)
    for path, target in told["links"]:
        os.symlink(target, os.path.join(work, path))


def _there(root: str, path: str) -> bool:
    """Say whether a plain file or a folder lies there, not by way of a link."""
    at = root
    for part in [part for part in path.split("/") if part not in ("", ".")]:
        at = os.path.join(at, part)
        try:
            mode = os.lstat(at).st_mode
        except OSError:
            return False
        if part == ".." or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return False
    return True


def _copy(root: str, path: str, target: str) -> None:
    """Copy a file or a folder, its plain files alone."""
    source, wanted = os.path.join(root, path), os.path.normpath(os.path.join(target, path))
    if os.path.isfile(source):
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        shutil.copyfile(source, wanted, follow_symlinks=False)
        return
    os.makedirs(wanted, exist_ok=True)
    for folder, _, names in os.walk(source):
        below = os.path.normpath(os.path.join(wanted, os.path.relpath(folder, source)))
        os.makedirs(below, exist_ok=True)
        for name in names:
            one = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(one).st_mode):
                shutil.copyfile(one, os.path.join(below, name), follow_symlinks=False)
