"""What a plugin may add to its port: reading somebody else's inventory of places into drafts of ``Backend`` documents.

A draft is for a person: nothing registers it, and what is not known in it is a hole that the documents' schema refuses.
Asked by the command line, never by a server; it may block, within the times that the adapter bounds its calls by.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

HOLE = "FILL IN: "
"""How a value begins that only a person can give. With the words behind it, it is no name, no country and no number."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One place as an inventory has it. ``name`` is that of the document, and of its files.

    ``notes`` are single printable lines about what was found and not believed; ``warnings`` are those that nobody may
    miss. ``files`` (ending -> text) lie beside the document: what its settings name, as far as it is known.
    """

    name: str
    spec: Mapping[str, object]
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class InventoryPlugin(Protocol):
    """A plugin that reads inventories. ``inventory_sources``: name of a source -> one line about it."""

    inventory_sources: Mapping[str, str]

    def read_inventory(self, source: str, settings: Mapping[str, object], now: dt.datetime) -> Sequence[Draft]:
        """Return a draft for each place of a source, in order of name. Idempotent, changes nothing anywhere.

        Raises ``SettingsError`` with every problem at once, and ``BackendError`` where the source does not answer, has
        none of that kind, or too many.
        """
