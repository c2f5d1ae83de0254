"""Where the example files are: inside an installed package, or at the root of a checkout."""

from __future__ import annotations

import pathlib
import shutil

NAMES = ("digits", "hospital", "networks")


def folder() -> pathlib.Path:
    """Return the folder of examples. Raises FileNotFoundError."""
    here = pathlib.Path(__file__).resolve()
    for candidate in (here.parent / "files", here.parents[3] / "examples"):
        if (candidate / "digits" / "train.py").is_file():
            return candidate
    raise FileNotFoundError("the examples are missing from this installation; reinstall comity")


def copy(target: pathlib.Path) -> None:
    """Copy the examples that the demonstration uses."""
    for name in NAMES:
        shutil.copytree(folder() / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
