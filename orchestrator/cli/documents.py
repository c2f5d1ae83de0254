"""Documents as a person keeps them: files, folders, stdin; read with line numbers, resolved, ready to send.

All errors of all files are found before anything is sent. What the server finds besides is put back to its line.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from orchestrator.client import clients, errors, resolution
from orchestrator.wire import errors as wire_errors
from orchestrator.wire import jsonable
from orchestrator.wire.documents import reading, registry

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document and where it came from; ``folder`` is what its relative paths are relative to."""

    kind: str
    name: str
    data: dict[str, Any]
    folder: pathlib.Path
    file: str
    line: int


def read(sources: Sequence[str]) -> list[SourceDocument]:
    """Read every document, in the order in which they can be applied. Raises InvalidDocumentError, UsageError."""
    found: list[SourceDocument] = []
    problems: list[wire_errors.DocumentError] = []
    for file, text, folder in _texts(sources):
        try:
            found += [
                SourceDocument(one.kind, one.name, jsonable.to_json(one.data), folder, file, one.line)
                for one in reading.read_text(text, file=file)
            ]
        except wire_errors.InvalidDocumentError as error:
            problems += error.errors
    if problems:
        raise wire_errors.InvalidDocumentError(problems)
    if not found:
        raise click.UsageError(f"no document in {', '.join(sources)}")
    order = {kind: index for index, kind in enumerate(registry.MODELS)}
    return sorted(found, key=lambda one: order[one.kind])


def read_jobs(sources: Sequence[str]) -> list[SourceDocument]:
    """Read documents that must all be Jobs."""
    found = read(sources)
    for one in found:
        if one.kind != "Job":
            place = f"{one.file}:{one.line}"
            raise click.UsageError(f"{place}: {one.kind} {one.name!r} is not a Job; declare it with `comity apply -f`")
    return found


def prepare(client: clients.Client, source: SourceDocument) -> dict[str, Any]:
    """Resolve what the document names here, send its archives, and return it ready to send."""
    resolved = _resolve(source)
    for archive in resolved.archives:
        client.put_blob(archive.digest, archive.content)
    return resolved.document


def preview(source: SourceDocument) -> dict[str, Any]:
    """Resolve what the document names here, and send nothing: for judging it only."""
    return _resolve(source).document


def _resolve(source: SourceDocument) -> resolution.Resolved:
    try:
        return resolution.resolve(source.data, folder=source.folder, environ=os.environ)
    except errors.ResolutionError as error:
        raise wire_errors.InvalidDocumentError(
            wire_errors.DocumentError(what, path, file=source.file, line=source.line, code="document.unreadable")
            for path, what in error.problems
        ) from error


def _texts(sources: Sequence[str]) -> Iterator[tuple[str, bytes, pathlib.Path]]:
    for source in sources:
        if source == STDIN:
            yield "stdin", sys.stdin.buffer.read(), pathlib.Path.cwd()
            continue
        path = pathlib.Path(source)
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in _SUFFIXES and one.is_file())
            if not inside:
                raise click.UsageError(f"{path} holds no {', '.join(_SUFFIXES)} file")
            for one in inside:
                yield str(one), one.read_bytes(), one.parent
        elif path.exists():
            yield str(path), path.read_bytes(), path.parent
        else:
            raise click.UsageError(f"{source} does not exist")
