"""From loaded data to a checked document: the one door through which documents come in.

Every error is found and named with its place; a document with any error yields nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import pydantic

from orchestrator.wire import bounds, checks, errors, fields, unsupported, yaml_loader
from orchestrator.wire.documents import common, registry, translations


class Flavour(enum.Enum):
    """Who wrote the document."""

    FILE = "file"
    """A person: ``fromFile``, ``fromDir`` and ``fromEnv`` are allowed, the client resolves them."""
    API = "api"
    """A client, over HTTP: everything is resolved."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document without errors. ``data`` is what was written (with spellings), ``model`` what it means."""

    kind: str
    name: str
    model: common.Document
    data: dict[str, Any]
    file: str = ""
    line: int = 0


def read_text(
    source: str | bytes,
    *,
    file: str = "",
    flavour: Flavour = Flavour.FILE,
    limits: bounds.Limits = bounds.DEFAULT,
) -> list[ReadDocument]:
    """Read every YAML (or JSON) document of a text. Raises :class:`errors.InvalidDocumentError` with all errors."""
    found: list[ReadDocument] = []
    problems: list[errors.DocumentError] = []
    for loaded in yaml_loader.load(source, file=file, limits=limits):
        try:
            found.append(_read(loaded, flavour))
        except errors.InvalidDocumentError as error:
            problems.extend(error.errors)
    if problems:
        raise errors.InvalidDocumentError(problems)
    return found


def read(data: object, *, flavour: Flavour = Flavour.API) -> ReadDocument:
    """Read one document from loaded JSON. Raises :class:`errors.InvalidDocumentError` with all errors."""
    return _read(yaml_loader.LoadedDocument(data), flavour)


def _read(loaded: yaml_loader.LoadedDocument, flavour: Flavour) -> ReadDocument:
    data = loaded.data
    kind, found = _header(data)
    if kind is None:
        raise _refusal(loaded, found)
    model: common.Document | None = None
    try:
        model = registry.MODELS[kind].model_validate(data)
    except pydantic.ValidationError as error:
        found += translations.collect(kind, error, data)
    for path, row in unsupported.find(kind, data):
        code = unsupported.code(kind, path)
        found.append((path, True, errors.DocumentError("is not built yet", errors.render_path(path), row.remedy, code)))
    found += _checked(checks.check(kind, data))
    if kind == "Job" and flavour is Flavour.API:
        found += _checked(checks.check_client_only(data))
    if model is None or found:
        raise _refusal(loaded, found)
    return ReadDocument(kind, model.metadata.name, model, data, loaded.file, loaded.start[0])


_Found = list[translations.Found]


def _checked(entries: Any) -> _Found:
    return [
        (path, False, errors.DocumentError(problem, errors.render_path(path), remedy))
        for path, problem, remedy in entries
    ]


def _header(data: object) -> tuple[str | None, _Found]:
    """Return the kind, or None and why the document cannot even be told apart."""
    if not isinstance(data, dict):
        problem = errors.DocumentError("is not a document", "", "write apiVersion, kind, metadata and spec")
        return None, [((), False, problem)]
    found: _Found = []
    kind = data.get("kind")
    if "kind" not in data:
        found.append(((), False, errors.DocumentError("is required", "kind", f"one of {', '.join(registry.MODELS)}")))
    elif not isinstance(kind, str) or kind not in registry.MODELS:
        word = errors.shorten(kind) if isinstance(kind, str) else "this"
        guess = errors.nearest(word, registry.MODELS)
        remedy = f"did you mean {guess}?" if guess else f"one of {', '.join(registry.MODELS)}"
        problem = errors.DocumentError(f"{word!r} is no kind of document", "kind", remedy, errors.UNKNOWN_KIND)
        found.append((("kind",), False, problem))
    if found and data.get("apiVersion") != fields.API_VERSION:
        problem = errors.DocumentError(f"must be {fields.API_VERSION}", "apiVersion", "")
        found.append((("apiVersion",), False, problem))
    return (None, found) if found else (str(kind), [])


def _refusal(loaded: yaml_loader.LoadedDocument, found: _Found) -> errors.InvalidDocumentError:
    """Return all errors, each at its place, in the order of the text."""
    placed = [_placed(loaded, entry) for entry in found]
    return errors.InvalidDocumentError(sorted(placed, key=lambda error: (error.line, error.column)))


def _placed(loaded: yaml_loader.LoadedDocument, entry: translations.Found) -> errors.DocumentError:
    path, on_key, error = entry
    line, column = loaded.locate(path, key=on_key)
    return errors.DocumentError(error.problem, error.path, error.remedy, error.code, loaded.file, line, column)
