"""The documents of a folder (``comity.d``), applied when the server starts. A bad file is told, and stops no server:
a control plane must come back after a crash, whatever somebody wrote into a file meanwhile.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from orchestrator.service import access, contexts, documents, problems, submissions
from orchestrator.wire import errors
from orchestrator.wire.documents import reading, registry

FILES_MAX = 1_000
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def apply(context: contexts.Context, folder: pathlib.Path) -> tuple[int, list[str]]:
    """Apply every document below ``folder``; returns how many hold now, and what is wrong with the others."""
    found: list[reading.ReadDocument] = []
    wrong: list[str] = []
    for path in _files(folder):
        try:
            found += reading.read_text(path.read_bytes(), file=str(path), flavour=reading.Flavour.API)
        except errors.InvalidDocumentError as error:
            wrong += [one.render() for one in error.errors]
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
    order = {kind: number for number, kind in enumerate(registry.MODELS)}
    done = 0
    for document in sorted(found, key=lambda one: order[one.kind]):
        try:
            _apply(context, document)
            done += 1
        except problems.ServiceError as error:
            wrong.append(f"{document.file}:{document.line}: {document.kind} {document.name}: {error.message}")
    return done, wrong


def _apply(context: contexts.Context, document: reading.ReadDocument) -> None:
    if document.kind == "Job":
        submissions.apply(context, access.SYSTEM, document.name, document.data)
    else:
        documents.put(context, access.SYSTEM, document.kind, document.name, document.data)


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    if folder.is_dir():
        files = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
        # A mounted ConfigMap holds each file twice, once below a folder whose name begins with dots.
        files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        yield from files[:FILES_MAX]
