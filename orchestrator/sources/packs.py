"""Reads packs from a folder: one sub-folder a pack, with ``rules.yaml`` and, where it has facts, ``facts.yaml``.

A pack that cannot be read is named in the book's ``failed`` list, with file, line and path; it is never skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orchestrator.policy
from orchestrator.policy import rulebook
from orchestrator.sources import countries, yamls

BUILT_IN = Path(orchestrator.policy.__file__).parent / "packs"
"""The packs that ship with Comity."""


def load(
    folder: Path = BUILT_IN,
    *,
    off: Iterable[str] = (),
    on: Iterable[str] = (),
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    expected: Iterable[str] = rulebook.PLANNED_PACKS,
) -> rulebook.RuleBook:
    """Read every pack below ``folder`` and build the rule book; blocking file reads, at start and on reload.

    ``off`` and ``on`` are the packs that the house switches off, and the previews that it switches on.

    ``expected`` are packs that must be there: one whose folder has vanished counts as failed. Problems of packs are
    in the book (``failed``), not exceptions.
    """
    found: list[rulebook.RawPack] = []
    failed: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not path.is_dir() or path.name.startswith(("_", ".")):
            continue
        try:
            found.append(_read(path))
        except yamls.YamlError as error:
            failed[path.name] = str(error)
    names = {pack.name for pack in found} | set(failed)
    failed |= {name: f"{folder / name}: the pack is missing" for name in expected if name not in names}
    return rulebook.build(found, countries=countries.names(), off=off, on=on, failed=failed, parameters=parameters)


def _read(path: Path) -> rulebook.RawPack:
    documents = {"rules.yaml": yamls.read(path / "rules.yaml")}
    if (path / "facts.yaml").exists():
        documents["facts.yaml"] = yamls.read(path / "facts.yaml")
    facts = documents.get("facts.yaml")

    def locate(file: str, inside: yamls.PathInFile) -> str:
        document = documents.get(file)
        return document.locate(inside) if document else file

    return rulebook.RawPack(path.name, documents["rules.yaml"].data, facts.data if facts else None, locate)


def problem_of(path: Path) -> str | None:
    """Return what is wrong with the pack in a folder, read beside those that ship; None: nothing. Blocking reads."""
    try:
        own = _read(path)
        others = [_read(each) for each in sorted(BUILT_IN.iterdir()) if each.is_dir() and each.name != path.name]
    except yamls.YamlError as error:
        return str(error)
    book = rulebook.build([*others, own], countries=countries.names())
    return dict(book.failed).get(path.name)
