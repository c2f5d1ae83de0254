"""Sites carry what the lists in force say of their operators; another set of lists makes another world."""

import datetime as dt
import json

import pytest

from orchestrator.domain import ids, listings
from orchestrator.inventory import catalogues, screeners, sightings, worlds
from orchestrator.policy import conversions
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.testing import fakes

LEI = "000012INVENTED000096"
DAY = dt.date(2026, 11, 22)
ENTRY = listings.Entry(
    "900001", "us", listings.Kind.ENTITY, ("NORDKAP JSC",), identifiers=(listings.Identifier("lei", LEI),)
)


def screener(*entries, as_of=DAY):
    copy = listings.Snapshot("us-sdn", "us", "xml", as_of, 7, ids.NO_DIGEST, entries, digest=ids.NO_DIGEST)
    return screeners.Screener(listings.Loaded((copy,)))


class Lists:
    """What is in force; tests change it."""

    now = None

    def __call__(self):
        return self.now


@pytest.fixture
def lists():
    return Lists()


@pytest.fixture
def store():
    return memory.MemoryStore(fakes.VirtualClock())


@pytest.fixture
def inventory(store, lists):
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
    assert [conversions.of_site(site).listed for site in sites] == [None, None, None]


def test_each_site_is_screened_by_its_operator(inventory, lists):
    """A name asks, a number decides, and who is not registered is looked up nowhere."""
    lists.now = screener(ENTRY)
    named, numbered, nobody = inventory.world().sites
    assert [hit.entry for hit in named.screening.reviews] == ["900001"]
    judged = [conversions.of_site(site) for site in (named, numbered)]
    assert [(site.listed, site.listed_by) for site in judged] == [(False, frozenset()), (True, {"us"})]
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


def answer(hit, **more):
    values = {
        "list": hit.list, "entry": hit.entry, "party": hit.party, "same": False, "reason": "another register",
        "by": "A. Martin", "at": dt.datetime(2026, 11, 20, tzinfo=dt.UTC), "entry_digest": hit.entry_digest,
        "party_digest": hit.party_digest, "recorded": "t1", "valid_to": dt.date(2027, 11, 20),
    }  # fmt: skip
    return listings.Answer(**(values | more))


def say(store, operator, *said):
    known = store.document("Operator", operator)
    status = json.dumps({screeners.ANSWERS: [*said]})
    changed = stores.Document("Operator", operator, known.tenant, known.body, known.version, status)
    store.commit(stores.Changes(documents=[changed]))


def test_an_answer_stands_in_the_status_of_its_operator(store, inventory, lists):
    """It clears the match at every site of that operator, and comes back from JSON as it was written."""
    lists.now = screener(ENTRY)
    (hit,) = inventory.world().screenings["nordkap"].reviews
    said = screeners.answer_document(answer(hit))
    assert screeners.answers_of({screeners.ANSWERS: [json.loads(json.dumps(said))]}) == (answer(hit),)
    say(store, "nordkap", said)
    assert inventory.world().sites[0].screening.open(DAY) == ()
    assert inventory.world().sites[0].screening.open(dt.date(2027, 11, 21)) == (hit,)


@pytest.mark.parametrize("spoiled", [{"same": "false"}, {"same": None}, {"at": "yesterday"}, {"list": None}, "text", 7])
def test_an_answer_that_cannot_be_read_is_none(store, inventory, lists, spoiled):
    """The match is open again: a half-understood yes opens nothing."""
    lists.now = screener(ENTRY)
    (hit,) = inventory.world().screenings["nordkap"].reviews
    whole = screeners.answer_document(answer(hit))
    say(store, "nordkap", whole | spoiled if isinstance(spoiled, dict) else spoiled)
    assert inventory.world().sites[0].screening.open(DAY) == (hit,)


def test_an_answer_may_say_that_it_is_the_same(store, inventory, lists):
    """Then the operator is listed."""
    lists.now = screener(ENTRY)
    (hit,) = inventory.world().screenings["nordkap"].reviews
    say(store, "nordkap", screeners.answer_document(answer(hit, same=True)))
    assert conversions.of_site(inventory.world().sites[0]).listed_by == {"us"}
