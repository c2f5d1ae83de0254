"""What a Job's document names on the user's machine, put into it before it is sent.

``fromFile`` becomes content, ``fromDir`` an archive known by its digest, ``fromEnv`` text. The server refuses all
three: it must never read a path that a stranger wrote. Relative paths are below the folder of the document.
"""

from __future__ import annotations

import base64
import copy
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.client import archives, errors, ignores

FILE_BYTES_MAX = 2**20
"""Largest file sent inside the document; larger ones belong into the workdir."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A document ready to send, and the archives that must be there first."""

    document: dict[str, Any]
    archives: tuple[archives.Archive, ...] = field(default=(), repr=False)


def resolve(document: Mapping[str, Any], *, folder: pathlib.Path, environ: Mapping[str, str]) -> Resolved:
    """Return ``document`` without local names. Raises ResolutionError with every problem at once."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    spec = made.get("spec")
    if made.get("kind") != "Job" or not isinstance(spec, dict):
        return Resolved(made)
    problems: list[tuple[str, str]] = []
    packed = _workdir(spec, folder, problems)
    _files(spec, folder, problems)
    _environment(spec, environ, problems)
    if problems:
        raise errors.ResolutionError(problems)
    return Resolved(made, packed)


def _workdir(
    spec: dict[str, Any], folder: pathlib.Path, problems: list[tuple[str, str]]
) -> tuple[archives.Archive, ...]:
    workdir = spec.get("workdir")
    if not isinstance(workdir, dict) or "fromDir" not in workdir:
        return ()
    root = folder / str(workdir["fromDir"])
    lines: list[str] = []
    if name := workdir.get("ignore"):
        try:
            lines = (root / str(name)).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            if str(name) != ".gitignore":
                problems.append(("spec.workdir.ignore", f"{root / str(name)} does not exist"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(("spec.workdir.ignore", f"{root / str(name)}: {_words(error)}"))
    try:
        archive = archives.pack(root, ignores.parse(lines))
    except archives.ArchiveError as error:
        problems.append(("spec.workdir.fromDir", str(error)))
        return ()
    except OSError as error:
        problems.append(("spec.workdir.fromDir", f"{root}: {_words(error)}"))
        return ()
    spec["workdir"] = {"digest": archive.digest}
    return (archive,)


def _files(spec: dict[str, Any], folder: pathlib.Path, problems: list[tuple[str, str]]) -> None:
    files = spec.get("files")
    if not isinstance(files, dict):
        return
    for name, source in files.items():
        if not isinstance(source, dict) or "fromFile" not in source:
            continue
        path = folder / str(source["fromFile"])
        where = f"spec.files[{name!r}].fromFile"
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            problems.append((where, f"{path}: {_words(error)}"))
            continue
        if len(content) > FILE_BYTES_MAX:
            problems.append((where, f"{path} is larger than {FILE_BYTES_MAX // 2**20} MiB; put it into the workdir"))
            continue
        files[name] = {"content": base64.b64encode(content).decode("ascii")}


def _environment(spec: dict[str, Any], environ: Mapping[str, str], problems: list[tuple[str, str]]) -> None:
    variables = spec.get("env")
    if not isinstance(variables, dict):
        return
    for name, source in variables.items():
        if isinstance(source, dict) and "fromEnv" in source:
            wanted = str(source["fromEnv"])
            if wanted in environ:
                variables[name] = environ[wanted]
            else:
                problems.append((f"spec.env.{name}.fromEnv", f"the variable {wanted} is not set here; export it"))


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
