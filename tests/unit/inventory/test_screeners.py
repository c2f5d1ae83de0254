"""Sites carry what the lists in force say of their operators; another set of lists makes another world."""

import datetime as dt
import json

import pytest

from orchestrator.domain import ids, listings
from orchestrator.inventory import catalogues, screeners, sightings, worlds
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.testing import fakes

LEI = "000012INVENTED000096"
DAY = dt.date(2026, 11, 22)
ENTRY = listings.Entry(
    "900001", "us", listings.Kind.ENTITY, ("NORDKAP JSC",), identifiers=(listings.Identifier("lei", LEI),)
)


def screener(*entries, answers=(), as_of=DAY):
    copy = listings.Snapshot("us-sdn", "us", "xml", as_of, 7, ids.NO_DIGEST, entries, digest=ids.NO_DIGEST)
    return screeners.Screener(listings.Loaded((copy,), answers=answers))


class Lists:
    """What is in force; tests change it."""

    now = None

    def __call__(self):
        return self.now


@pytest.fixture
def lists():
    return Lists()


@pytest.fixture
def inventory(lists):
    store = memory.MemoryStore(fakes.VirtualClock())
    documents = [
        ("Operator", "nordkap", {"legalCountry": "FR", "ultimateParentHq": "FR"}),
        ("Operator", "other", {"legalCountry": "FR", "lei": LEI}),
        ("Backend", "a", {"adapter": "x", "operator": "nordkap", "pools": [{"name": "p"}]}),
        ("Backend", "b", {"adapter": "x", "operator": "other", "pools": [{"name": "p"}]}),
        ("Backend", "c", {"adapter": "x", "operator": "nobody", "pools": [{"name": "p"}]}),
    ]
    for kind, name, spec in documents:
        body = {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        store.commit(stores.Changes(documents=[stores.Document(kind, name, "", json.dumps(body), 0, "{}")]))
    return worlds.Inventory(store, None, catalogues.EmptyCatalogue(), sightings.Sightings(), lists=lists)


def test_without_lists_nothing_is_said_of_anybody(inventory):
    """No screening, and what the document leaves open stays open."""
    sites = inventory.world().sites
    assert [site.screening for site in sites] == [None, None, None]
    assert [site.operator and site.operator.listed for site in sites] == [None, None, None]


def test_each_site_is_screened_by_its_operator(inventory, lists):
    """A name asks, a number decides, and who is not registered is looked up nowhere."""
    lists.now = screener(ENTRY)
    named, numbered, nobody = inventory.world().sites
    assert [hit.entry for hit in named.screening.reviews] == ["900001"]
    assert (named.operator.listed, numbered.operator.listed) == (False, True)
    assert [hit.by for hit in numbered.screening.identified] == ["lei"]
    assert (nobody.operator, nobody.screening.configured) == (None, True)


def test_another_set_of_lists_is_another_world(inventory, lists):
    """New lists change the digest of the facts, so whatever was planned before is planned again."""
    lists.now = screener(ENTRY)
    first = inventory.world()
    assert inventory.world() is first
    lists.now = screener(ENTRY, as_of=DAY - dt.timedelta(days=1))
    second = inventory.world()
    assert second is not first
    assert second.facts != first.facts
    lists.now = None
    assert inventory.world().sites[0].screening is None


def test_an_operator_is_screened_once(lists):
    """The answer is kept by operator, as long as the lists are the same."""
    one = screener(ENTRY)
    operator = worlds.site_values.Operator("nordkap")
    assert one.of(operator) is one.of(worlds.site_values.Operator("nordkap"))
