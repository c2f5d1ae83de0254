"""The ledger as stored: one document of the store's own kind ``Tally`` for each thing that was counted.

Nobody declares or reads that kind over HTTP. It shares the documents' versions, so that a tally is a new world, and is
committed in the transaction of the placement that it counts.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.domain import tallies
from orchestrator.evidence import canonical
from orchestrator.policy import rulebook
from orchestrator.policy import tallies as ledger_views
from orchestrator.ports import stores

KIND = "Tally"
VERSION = 1

Ledger = Mapping[str, tuple[tallies.Tally, int]]
"""Tallies by the name they are stored under, with the version of the document."""


def name_of(tally: tallies.Tally) -> str:
    """Return the name that a tally is stored under: names of what is counted are people's own, and long."""
    return str(canonical.digest(list(tally.key))).removeprefix("sha256:")


def view(ledger: Ledger | None, book: rulebook.RuleBook, at: dt.datetime) -> ledger_views.View | None:
    """Return what counts on the day of ``at``, as jobs are judged by it; None: some of it cannot be read."""
    if ledger is None:
        return None
    counted = (tally for tally, _ in ledger.values())
    return ledger_views.view(counted, book.counters, at.astimezone(dt.UTC).date())


def of_document(document: stores.Document) -> tallies.Tally:
    """Return the tally of a stored document. Raises ValueError for damage and for another version."""
    try:
        value: dict[str, Any] = json.loads(document.body)
        if value.pop("v") != VERSION:
            raise ValueError(f"a stored tally of another version than {VERSION}")
        value["at"], value["classes"] = dt.datetime.fromisoformat(value["at"]), tuple(value["classes"])
        return tallies.Tally(**value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a tally: {error!r}") from error


def documents(counted: Iterable[tallies.Tally], store: stores.Store) -> Sequence[stores.Document]:
    """Return the documents that add tallies to what is stored; the same thing counted twice is one, the larger.

    Raises ValueError for a stored tally that cannot be read: it is not written over.
    """
    found: dict[str, stores.Document] = {}
    united: dict[str, tallies.Tally] = {}
    for tally in counted:
        name = name_of(tally)
        stored = store.document(KIND, name, tenant="")
        version = stored.version if stored is not None else 0
        old = of_document(stored) if stored is not None else tally
        united[name] = united.get(name, old).united(tally)
        found[name] = stores.Document(kind=KIND, name=name, tenant="", body=_body(united[name]), version=version)
    return tuple(found.values())


def _body(tally: tallies.Tally) -> str:
    value = {
        "v": VERSION,
        "counter": tally.counter,
        "scope": tally.scope,
        "item": tally.item,
        "at": tally.at.isoformat(),
        "classes": list(tally.classes),
        "persons": tally.persons,
        "sensitive": tally.sensitive,
        "operations": tally.operations,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
