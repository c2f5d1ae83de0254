"""Stored documents as they would be after a change: what a dry run judges with. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.ports import stores


class Documents(Protocol):
    """What a world is made of; a store is one."""

    def documents(self, kind: str | None = None) -> Sequence[stores.Document]:
        """Return the declared documents."""

    def documents_since(self, version: int) -> tuple[Sequence[stores.Document], int]:
        """Return those of later versions, and how many there are."""

    def documents_version(self) -> int:
        """Return a number that grows with every change."""


class Overlay:
    """Documents with some put in their places, and some gone."""

    def __init__(
        self, real: Documents, changed: Sequence[stores.Document], gone: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        self._version = real.documents_version()
        known = {one.key: one for one in real.documents()}
        known |= {one.key: one for one in changed}
        self._documents = tuple(known[key] for key in sorted(known) if key not in set(gone))

    def documents(self, kind: str | None = None) -> Sequence[stores.Document]:
        """See ``Documents``."""
        return [one for one in self._documents if kind in (None, one.kind)]

    def documents_since(self, version: int) -> tuple[Sequence[stores.Document], int]:
        """See ``Documents``."""
        return [one for one in self._documents if one.version > version], len(self._documents)

    def documents_version(self) -> int:
        """See ``Documents``."""
        return self._version
