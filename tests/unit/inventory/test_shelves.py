"""Documents kept in memory are those of the store, and only what changed is read again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import tallies
from orchestrator.inventory import ledgers, readings, shelves
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.telemetry import clocks

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
KINDS = frozenset({*readings.CONVERTERS, ledgers.KIND})
COUNTED = 50


class Counting:
    """A store that counts how many documents were read from it."""

    def __init__(self) -> None:
        self.real = memory.MemoryStore(clocks.SystemClock())
        self.read = 0

    def documents(self, kind: str | None = None) -> Sequence[stores.Document]:
        """See the port."""
        raise AssertionError("all documents are read only when something was deleted")

    def documents_since(self, version: int) -> tuple[Sequence[stores.Document], int]:
        """See the port."""
        found, count = self.real.documents_since(version)
        self.read += len(found)
        return found, count

    def documents_version(self) -> int:
        """See the port."""
        return self.real.documents_version()

    def count(self, *names: str, operations: float = 1.0) -> None:
        """Count jobs towards a threshold."""
        found = [tallies.Tally("counter", "model/t/m", name, NOW, operations=operations) for name in names]
        self.real.commit(stores.Changes(documents=tuple(ledgers.documents(found, self.real))))


@pytest.fixture
def store() -> Counting:
    """Return a store in which a queue was declared and many jobs were counted."""
    made = Counting()
    made.real.commit(stores.Changes(documents=[stores.Document("Queue", "q", "", "{}")]))
    made.count(*(f"job/{number}" for number in range(COUNTED)))
    return made


def test_one_more_tally_is_one_document_read(store: Counting) -> None:
    """What was counted before is not read again; what is counted again counts by its new amount."""
    shelf = shelves.Shelf(store)
    shelf.update(KINDS)
    assert store.read == COUNTED + 1
    before = shelf.ledger
    store.count("job/7", operations=9.0)
    shelf.update(KINDS)
    shelf.update(KINDS)
    assert store.read == COUNTED + 2
    found = {tally.item: tally.operations for tally, _ in shelf.ledger.values()}
    assert (len(found), found["job/7"], found["job/8"]) == (COUNTED, 9.0, 1.0)
    assert {tally.operations for tally, _ in before.values()} == {1.0}, "a world that was made does not change"


def test_a_tally_that_cannot_be_read_is_lost_until_it_can(store: Counting) -> None:
    """It leaves the ledger, and is named; mended, it counts again."""
    shelf = shelves.Shelf(store)
    shelf.update(KINDS)
    (first, *_) = store.real.documents(ledgers.KIND)
    (broken,) = store.real.commit(stores.Changes(documents=[_with(first, "{}")])).documents
    shelf.update(KINDS)
    assert [one.name for one in shelf.lost] == [first.name]
    assert first.name not in shelf.ledger
    store.real.commit(stores.Changes(documents=[_with(broken, first.body)]))
    shelf.update(KINDS)
    assert (shelf.lost, len(shelf.ledger)) == ((), COUNTED)


OPERATIONS = st.lists(
    st.lists(st.tuples(st.sampled_from(["Queue", "Other", ledgers.KIND]), st.sampled_from("abcd"), st.booleans())),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_whatever_was_changed_and_deleted_the_shelf_is_the_store(turns: list[list[tuple[str, str, bool]]]) -> None:
    """After any commits between two looks: the same documents in the same order, and no tally but the stored ones."""
    store = Counting()
    shelf = shelves.Shelf(store)
    for turn in turns:
        for kind, name, keep in turn:
            known = store.real.document(kind, name)
            if keep:
                new = stores.Document(kind, name, "", "{}", known.version if known else 0)
                store.real.commit(stores.Changes(documents=[new]))
            elif known is not None:
                store.real.commit(stores.Changes(delete_documents=[(*known.key, known.version)]))
        shelf.update(KINDS)
        stored = store.real.documents()
        assert [one.document for one in shelf.documents] == [one for one in stored if one.kind != ledgers.KIND]
        assert [one.name for one in shelf.lost] == [one.name for one in stored if one.kind == ledgers.KIND]


def _with(document: stores.Document, body: str) -> stores.Document:
    return stores.Document(document.kind, document.name, document.tenant, body, document.version)
