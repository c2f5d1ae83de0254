"""What a site is: documents and sightings put together, once a version."""

import dataclasses
import datetime as dt
import json

import pytest

from orchestrator.domain import facts, ids, offers, sites
from orchestrator.domain import freezes as extents
from orchestrator.evidence import canonical
from orchestrator.inventory import assembly, catalogues, freezes, inboxes, sightings, worlds
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.testing import fakes
from tests.sim import worlds as sim_worlds

PLACE = {
    "adapter": "a",
    "operator": "o",
    "location": {"country": "FR"},
    "logStore": {"country": "DE"},
    "adminFrom": ["FR", "IE"],
    "pools": [{"name": "p"}],
}


@pytest.fixture
def clock():
    return fakes.VirtualClock()


@pytest.fixture
def store(clock):
    return memory.MemoryStore(clock)


@pytest.fixture
def seen():
    return sightings.Sightings()


@pytest.fixture
def inventory(store, seen):
    return worlds.Inventory(store, None, catalogues.EmptyCatalogue(), seen)


def put(store, kind, name, spec, status="{}"):
    body = {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    known = store.document(kind, name)
    document = stores.Document(kind, name, "", json.dumps(body), known.version if known else 0, status)
    store.commit(stores.Changes(documents=[document]))


def offer(site, pool=None, slots=4, **more):
    room = offers.Room(slots=slots)
    return offers.Offer(ids.SiteName(site), room, room, fakes.START, pool=pool, **more)


def test_the_world_is_made_once_a_version(store, inventory, seen):
    """The same object while nothing changed; offers that only change in size change nothing."""
    put(store, "Backend", "b", {"adapter": "a", "pools": [{"name": "p"}]})
    seen.record_offers("b", [offer("b/p", slots=4)], at=fakes.START)
    first = inventory.world()
    seen.record_offers("b", [offer("b/p", slots=1)], at=fakes.START)
    assert inventory.world() is first
    put(store, "Operator", "o", {"legalCountry": "FR"})
    assert inventory.world() is not first


def test_amounts_that_no_decision_can_record_are_taken_down(seen):
    """60,000 accelerators have more bytes beside them than canonical JSON can hold; the offer stays, with less."""
    huge = offers.Room(memory_bytes=60_400 * 2**39, accelerators=60_400, slots=None)
    seen.record_offers("b", [offers.Offer(ids.SiteName("b/p"), huge, huge, fakes.START)], at=fakes.START)
    kept = seen.of("b").offers["b/p"]
    assert kept.free == kept.total == offers.Room(memory_bytes=2**53 - 1, accelerators=60_400, slots=None)
    canonical.dumps(kept.free.memory_bytes)


def test_a_pool_overrides_its_backend(store, inventory):
    """Location, operator and administrators of the pool win; what it leaves out is the backend's."""
    put(store, "Operator", "o", {"legalCountry": "DE"})
    pool = {"name": "p", "location": {"country": "DE"}, "operator": "o"}
    put(store, "Backend", "b", {"adapter": "a", "location": {"country": "FR"}, "adminFrom": ["FR"], "pools": [pool]})
    (site,) = inventory.world().sites
    assert (site.location.country, site.operator.legal_country, site.admin_from) == ("DE", "DE", ("FR",))


def test_a_pool_never_raises_the_assurance_of_its_backend():
    """The weaker of the two stamps counts, and the earlier end."""
    strong = facts.FactStamp(assurance=facts.Assurance.ATTESTED, valid_to=dt.date(2030, 1, 1))
    weak = facts.FactStamp(assurance=facts.Assurance.DECLARED, valid_to=dt.date(2027, 1, 1))
    backend = sites.Backend("b", "a", pools=(sites.Pool("p", facts=strong),), facts=weak)
    (site,) = assembly.sites_of(
        backend,
        operators={},
        seen=sightings.Facts(None, (), frozenset()),
        catalogue=catalogues.EmptyCatalogue(),
        owner_tenant=None,
    )
    assert (site.facts.assurance, site.facts_valid_to) == (facts.Assurance.DECLARED, dt.date(2027, 1, 1))


def test_discovered_pools_count_where_none_is_declared(store, inventory, seen):
    """A backend without pools has those its adapter found."""
    put(store, "Backend", "b", {"adapter": "a"})
    assert inventory.world().sites == ()
    seen.record_offers("b", [offer("b/x", sites.Pool("x", count=3))], at=fakes.START)
    assert [site.name for site in inventory.world().sites] == ["b/x"]


def test_declared_wins_over_discovered(store, inventory, seen):
    """A discovery fills gaps of a declared pool, and adds none."""
    put(store, "Backend", "b", {"adapter": "a", "pools": [{"name": "p", "count": 2}]})
    found = [
        offer("b/p", sites.Pool("p", count=9, cpu_milli=5000, interconnect="nvlink")),
        offer("b/q", sites.Pool("q")),
    ]
    seen.record_offers("b", found, at=fakes.START)
    (site,) = inventory.world().sites
    assert (site.count, site.interconnect) == (2, "nvlink")


def test_a_broken_document_takes_nobody_down(store, inventory):
    """A stored document that cannot be read is told with its problems; the others are there."""
    put(store, "Backend", "bad", {"nonsense": 1})
    put(store, "Backend", "good", {"adapter": "a", "pools": [{"name": "p"}]})
    world = inventory.world()
    assert list(world.backends) == ["good"]
    assert [(one.kind, one.name, len(one.problems) >= 1) for one in world.broken] == [("Backend", "bad", True)]


def test_equal_facts_have_equal_digests_and_others_not(store, inventory):
    """The digest of a site moves with what is judged of it, and with nothing else."""
    spec = {"adapter": "a", "location": {"country": "FR"}, "pools": [{"name": "p"}]}
    put(store, "Backend", "b", spec)
    first = inventory.world()
    put(store, "Backend", "b", spec, status='{"cordoned": true}')
    second = inventory.world()
    assert (second.sites, second.facts) == (first.sites, first.facts)
    put(store, "Backend", "b", {**spec, "location": {"country": "DE"}})
    third = inventory.world()
    assert third.sites[0].digest != first.sites[0].digest
    assert third.facts != first.facts


def test_a_cordon_closes_sites(store, inventory):
    """What the system keeps beside documents closes sites for new work."""
    put(store, "Backend", "b", PLACE)
    site = inventory.world().sites[0]
    assert not inventory.world().closed(site)
    put(store, "Backend", "b", PLACE, status='{"cordoned": true}')
    assert inventory.world().closed(site)


@pytest.mark.parametrize(
    ("extent", "way"),
    [
        ({}, "everything"),
        ({"backend": "b"}, "named"),
        ({"backend": "c"}, None),
        ({"operator": "o"}, "named"),
        ({"operator": "b"}, None),
        ({"country": "FR"}, "lies there"),
        ({"country": "DE"}, "logs"),
        ({"country": "IE"}, "administered"),
        ({"country": "NL"}, "seat"),
        ({"country": "US"}, "headquarters"),
        ({"country": "SG"}, None),
        ({"country": "US", "backend": "b"}, "headquarters"),
        ({"country": "US", "backend": "c"}, None),
    ],
)
def test_a_stop_covers_what_touches_its_extent(store, inventory, extent, way):
    """The digest of a site moves with it, and comes back when the stop ends."""
    put(store, "Operator", "o", {"legalCountry": "NL", "ultimateParentHq": "US"})
    put(store, "Backend", "b", PLACE)
    before = inventory.world()
    stop = sites.Frozen(*(extent.get(name) for name in ("backend", "operator", "country")), "why", "t1", fakes.START)
    made = store.commit(stores.Changes(documents=[freezes.to_document(stop, None)])).documents[0]
    (site,) = inventory.world().sites
    assert (inventory.world().closed(site), site.digest != before.sites[0].digest) == (way is not None,) * 2
    if way is not None:
        assert site.frozen == stop
        assert way in extents.touch(stop, site)
    store.commit(stores.Changes(delete_documents=[(*made.key, made.version)]))
    assert inventory.world().sites == before.sites


def test_a_place_that_is_not_stated_may_lie_in_the_country(store, inventory):
    """Unknown is no: a stop of any country covers it."""
    put(store, "Backend", "b", {"adapter": "a", "pools": [{"name": "p"}]})
    stop = sites.Frozen(None, None, "SG", "why", "t1", fakes.START)
    store.commit(stores.Changes(documents=[freezes.to_document(stop, None)]))
    (site,) = inventory.world().sites
    assert (site.frozen, extents.touch(stop, site)) == (stop, "it may lie there: its country is not stated")


@pytest.mark.parametrize(
    ("unsaid", "told"),
    [
        ("logStore", "its logs may lie there"),
        ("adminFrom", "it may be administered from there"),
        ("legalCountry", "may have its seat there"),
        ("ultimateParentHq", "parent may have its headquarters there"),
    ],
)
def test_whatever_is_not_stated_may_be_in_the_country(store, inventory, unsaid, told):
    """Logs, administrators, seat and parent, as the place itself; where all are stated, a stop elsewhere is none."""
    seat = {"legalCountry": "FR", "ultimateParentHq": "FR"}
    where = {"location": {"country": "FR"}, "logStore": {"country": "FR"}, "adminFrom": ["FR"]}
    stop = sites.Frozen(None, None, "SG", "why", "t1", fakes.START)
    store.commit(stores.Changes(documents=[freezes.to_document(stop, None)]))
    for gone in (None, unsaid):
        put(store, "Operator", "o", {name: value for name, value in seat.items() if name != gone})
        kept = {name: value for name, value in where.items() if name != gone}
        put(store, "Backend", "b", {"adapter": "a", "operator": "o", "pools": [{"name": "p"}], **kept})
        (site,) = inventory.world().sites
        assert (site.frozen == stop) is (gone is not None)
        assert gone is None or told in extents.touch(stop, site)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"v": 2}', '{"v": 1, "reason": "r", "by": "t", "at": "now"}'])
def test_a_stop_that_cannot_be_read_covers_everything(store, inventory, body):
    """Damage, a later version, a moment that is none."""
    put(store, "Backend", "b", PLACE)
    store.commit(stores.Changes(documents=[stores.Document(freezes.KIND, "x", "", body)]))
    (site,) = inventory.world().sites
    assert "cannot be read" in site.frozen.reason


def test_sightings_keep_the_first_moment_of_trouble(seen):
    """``unreachable_since`` is the first failure that counted; an answer clears it."""
    later = fakes.START + dt.timedelta(minutes=5)
    seen.record_answer("b", at=fakes.START)
    seen.record_failure("b", at=fakes.START, code="c", message="m", unreachable=True)
    seen.record_failure("b", at=later, code="d", message="m", unreachable=True)
    assert (seen.of("b").unreachable_since, seen.of("b").error_code) == (fakes.START, "d")
    seen.record_answer("b", at=later)
    assert seen.of("b").reachable


def test_offers_of_foreign_sites_are_left_out(seen):
    """An adapter speaks for its own backend only."""
    seen.record_offers("b", [offer("b/p"), offer("c/p")], at=fakes.START)
    assert set(seen.seen().all_offers()) == {"b/p"}


def test_an_inbox_keeps_the_newest_and_says_when_it_lost_something():
    """Bounded: what does not fit is not kept, and the loop is told to read the store."""
    world = sim_worlds.World(1)
    id = world.submit(sim_worlds.jobs.JobSpec(name="j"))
    job = world.store.job(id)
    inbox = inboxes.Inbox(waiting_max=1)
    newer = dataclasses.replace(job, version=job.version + 1)
    inbox.offer([newer])
    inbox.offer([job])
    assert inbox.drain() == ([newer], False)
    inbox.offer([job, dataclasses.replace(job, id=ids.JobId("other"))])
    assert inbox.drain() == ([], True)
    assert inbox.drain() == ([], False)
