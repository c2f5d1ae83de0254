"""The documents as they were read last, brought up to date by those that changed since. Not thread-safe.

Every placement that counts towards a threshold writes a tally, and each is a new world. Reading all documents anew for
each would cost what was ever counted; so only later versions are read, and what was deleted is seen by the number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.inventory import ledgers, previews, readings
from orchestrator.ports import stores

NOTHING = -1
"""Below every version, also that of documents that are only imagined (0)."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A stored document, and what it says: a domain value, or ``readings.BrokenDocument``; None for others."""

    document: stores.Document
    value: object


class Shelf:
    """Keeps every document, those of the ledger apart. Used by one inventory, under its lock."""

    def __init__(self, store: previews.Documents) -> None:
        self._store = store
        self._version = NOTHING
        self._kept: dict[tuple[str, str, str], Shelved] = {}
        self._tallies: dict[tuple[str, str, str], Shelved] = {}
        self._order: tuple[Shelved, ...] | None = None
        self._ledger: ledgers.Ledger | None = None

    @property
    def documents(self) -> Sequence[Shelved]:
        """Return all documents but tallies, by kind, name and tenant."""
        if self._order is None:
            keys = sorted(self._kept, key=lambda key: (key[0], key[2], key[1]))
            self._order = tuple(self._kept[key] for key in keys)
        return self._order

    @property
    def ledger(self) -> ledgers.Ledger:
        """Return the tallies that can be read, by name. Another object once one changed; it is never changed itself."""
        if self._ledger is None:
            self._ledger = {
                one.document.name: one.value  # type: ignore[misc]  # what ``readings`` makes of a tally
                for one in self._tallies.values()
                if not isinstance(one.value, readings.BrokenDocument)
            }
        return self._ledger

    @property
    def lost(self) -> Sequence[readings.BrokenDocument]:
        """Return the tallies that cannot be read, by name."""
        if len(self.ledger) == len(self._tallies):
            return ()
        found = [one.value for one in self._tallies.values() if isinstance(one.value, readings.BrokenDocument)]
        return sorted(found, key=lambda one: one.name)

    def update(self, kinds: frozenset[str]) -> None:
        """Read what changed; documents of other ``kinds`` are kept unread. Raises StoreError, and keeps what it had."""
        changed, count = self._store.documents_since(self._version)
        self._put(changed, kinds, {})
        if len(self._kept) + len(self._tallies) == count:
            return
        known = {**self._kept, **self._tallies}
        changed, _ = self._store.documents_since(NOTHING)
        self._kept, self._tallies = {}, {}
        self._order = self._ledger = None
        self._put(changed, kinds, known)

    def _put(
        self,
        changed: Sequence[stores.Document],
        kinds: frozenset[str],
        known: Mapping[tuple[str, str, str], Shelved],
    ) -> None:
        for document in changed:
            old = known.get(document.key)
            if old is not None and old.document.version == document.version:
                value = old.value
            else:
                value = readings.read(document) if document.kind in kinds else None
            if document.kind == ledgers.KIND:
                self._tallies[document.key], self._ledger = Shelved(document, value), None
            else:
                self._kept[document.key], self._order = Shelved(document, value), None
        self._version = max((one.version for one in changed), default=self._version)
