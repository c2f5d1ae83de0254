"""Screening: numbers decide, names ask, answers are bound to what they answered, shares add up."""

# ruff: noqa: RUF001 -- letters of other scripts are what some of this is about
import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import ids, listings, sites
from orchestrator.policy import names, screening

DAY = dt.date(2026, 11, 22)
LEI = "000012INVENTED000096"


def entry(id_="E1", name="Nordkap Compute Holding JSC", **more):
    more = {"regime": "us", "kind": listings.Kind.ENTITY, "names": (name,)} | more
    return listings.Entry(id_, **more)


def snapshot(*entries, list_="us-sdn", as_of=DAY, age=7):
    digest = ids.Digest("sha256:" + "1" * 64)
    return listings.Snapshot(list_, entries[0].regime, "xml", as_of, age, digest, tuple(entries), digest=digest)


def index(*entries, missing=(), **more):
    lists = (snapshot(*entries, **more),) if entries else ()
    return screening.Index(listings.Loaded(lists, missing=missing))


def operator(name="polarstern", owners=(), coverage=None, **more):
    found = tuple(sites.Owner(*owner) for owner in owners)
    return sites.Operator(name, owners=sites.Owners(coverage, found), **more)


def answer(hit, same, **more):
    values = {
        "list": hit.list, "entry": hit.entry, "party": hit.party, "same": same,
        "reason": "looked at both registers", "by": "dpo", "at": dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        "entry_digest": hit.entry_digest, "party_digest": hit.party_digest,
    }  # fmt: skip
    return listings.Answer(**(values | more))


def hits(party_name, *entries):
    found = screening.screen(operator(party_name), index(*entries))
    return [(hit.entry, hit.by) for hit in (*found.identified, *found.reviews)]


def test_an_lei_identifies_whatever_the_name():
    """The number is the party, and the operator counts as listed."""
    own = operator("somebody-else", lei=LEI)
    listed = entry(identifiers=(listings.Identifier("lei", LEI),))
    found = screening.screen(own, index(listed))
    assert [(hit.entry, hit.by, hit.matched) for hit in found.identified] == [("E1", "lei", LEI)]
    assert found.reviews == ()
    assert screening.merged(own, found).listed is True


def test_no_answer_takes_an_identifier_away():
    """A number is no matter of opinion."""
    own = operator("nordkap", lei=LEI)
    listed = entry(identifiers=(listings.Identifier("lei", LEI),))
    (hit,) = screening.screen(own, index(listed)).identified
    assert screening.screen(own, index(listed), [answer(hit, same=False)]).identified == (hit,)


@pytest.mark.parametrize(
    ("ours", "theirs", "how"),
    [("RU", "RU", "registration"), ("RU", None, "number"), (None, "RU", "number"), ("RU", "CN", None)],
)
def test_a_registration_number_needs_its_country(ours, theirs, how):
    """The same number of another country is another company; without a country it asks."""
    party = screening.Party("x", ("x",), (listings.Identifier("registration", "109-000 11", ours),))
    found = index(entry(identifiers=(listings.Identifier("registration", "10900011", theirs),))).find(party)
    assert [hit.by for hit in found] == ([how] if how else [])


def test_numbers_of_two_kinds_do_not_meet():
    """An LEI is not a SWIFT code, whatever it looks like."""
    party = screening.Party("x", ("x",), (listings.Identifier("swift", LEI),))
    assert index(entry(identifiers=(listings.Identifier("lei", LEI),))).find(party) == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "how"),
    [
        ("nordkap", "АО «Нордкап»", "name"),
        ("NORDKAP", "Nordkap Ltd.", "name"),
        ("nord-kap", "NORDKAP, S. A.", "name"),
        ("nordkap-cloud", "Nordkap Compute Holding JSC", "similar-name"),
        ("Mohammed al Rashid", "MUHAMAD AL-RASHID", "similar-name"),
        ("Ivan Examplevich", "EXAMPLEVICH, Ivan Invented", "similar-name"),
        ("Inventronix", "Inventronyx Technologies Co., Ltd.", "similar-name"),
        ("Gebrüder Müller", "Gebruder Muller GmbH", "name"),
        ("Δέλτα Υπολογιστική", "Delta Ypologistiki", "name"),
        ("hospital", "Al Rashid Hospital", None),
        ("polarstern", "Nordkap Compute Holding JSC", None),
        ("bank", "Invented Bank", None),
        ("cloud-services", "Computing Services Holding", None),
        ("aria", "Ariane", None),
        ("华云科技", "华为科技", None),
        ("Kormoran Belvedere Zanzibar", "Kormoran Belvedere Patagonia", None),
        ("Alfa Bravur Kormoran Delfin Ekipa", "Alfa Bravur Kormoran Delfin Zenith", "similar-name"),
        ("aeroia", "areoua", None),
        ("---", "!!!", None),
    ],
)
def test_names(ours, theirs, how):
    """Accents, case, scripts, legal forms and order do not matter; one word in common does not make a name."""
    assert names.alike(names.normal(ours), names.normal(theirs)) == how
    assert names.alike(names.normal(theirs), names.normal(ours)) == how
    assert hits(ours, entry(name=theirs)) == ([("E1", how)] if how else [])


def test_aliases_are_names_too_and_ships_are_not():
    """An alias matches like a name; a vessel of the same name is nobody."""
    assert hits("nordkap", entry(name="Zzyzx", aliases=("Nordkap",))) == [("E1", "name")]
    assert hits("nordkap", entry(name="Nordkap", kind=listings.Kind.VESSEL)) == []


def test_a_name_only_asks():
    """Nothing is listed by its name alone; the match is open until somebody answers."""
    own = operator("nordkap")
    found = screening.screen(own, index(entry()))
    assert found.identified == ()
    assert screening.merged(own, found).listed is False
    assert screening.apply(own, found, DAY).review == ("us-sdn:E1",)


def test_an_answer_closes_the_match_between_its_days():
    """It counts from the day it was given to its last day, for this party and this entry only."""
    (hit,) = screening.screen(operator("nordkap"), index(entry())).reviews
    lists, said = index(entry(), entry("E2")), [answer(hit, same=False, valid_to=dt.date(2027, 5, 1))]
    found = screening.screen(operator("nordkap"), lists, said)
    by_day = {
        day: [one.entry for one in found.open(day)]
        for day in (dt.date(2026, 11, 19), DAY, dt.date(2027, 5, 1), dt.date(2027, 5, 2))
    }
    assert list(by_day.values()) == [["E1", "E2"], ["E2"], ["E2"], ["E1", "E2"]]
    assert found.clear() is None
    alone = screening.screen(operator("nordkap"), index(entry()), [answer(hit, same=False)])
    assert alone.clear() == (dt.date(2026, 11, 20), dt.date.max)


def test_the_same_party_is_listed():
    """A person who says that it is the same makes a match certain."""
    (hit,) = screening.screen(operator("nordkap"), index(entry())).reviews
    own = operator("nordkap")
    found = screening.screen(own, index(entry()), [answer(hit, same=True)])
    assert [one.by for one in found.identified] == ["answer"]
    assert screening.merged(own, found).listed is True


@pytest.mark.parametrize(
    "changed",
    [
        {"aliases": ("Another Name",)},
        {"identifiers": (listings.Identifier("lei", LEI),)},
        {"remarks": ids.Digest("sha256:" + "2" * 64)},
        {"countries": ("CN",)},
    ],
)
def test_an_answer_ends_when_the_entry_changes(changed):
    """What the publisher says now was not what the person looked at."""
    (hit,) = screening.screen(operator("nordkap"), index(entry())).reviews
    lists, said = index(entry(**changed)), [answer(hit, same=False)]
    assert len(screening.screen(operator("nordkap"), lists, said).open(DAY)) == 1


def test_an_answer_ends_when_the_party_changes():
    """Another country or number is another party."""
    (hit,) = screening.screen(operator("nordkap"), index(entry())).reviews
    lists, said = index(entry()), [answer(hit, same=False)]
    for own in (operator("nordkap", legal_country="FR"), operator("nordkap", lei=LEI)):
        assert len(screening.screen(own, lists, said).open(DAY)) == 1


def test_the_last_answer_counts():
    """Who looked again has the last word."""
    (hit,) = screening.screen(operator("nordkap"), index(entry())).reviews
    said = [answer(hit, same=True), answer(hit, same=False)]
    assert screening.screen(operator("nordkap"), index(entry()), said).identified == ()
    assert screening.screen(operator("nordkap"), index(entry()), said[::-1]).identified != ()


def _owned(owners, *listed, coverage=None, same=()):
    own = operator("nordkap", owners=owners, coverage=coverage)
    first = screening.screen(own, index(*listed))
    answers = [answer(hit, same=True) for hit in first.reviews if hit.party in same]
    return screening.screen(own, index(*listed), answers)


def test_shares_of_listed_owners_add_up():
    """The aggregate of 50 %: two owners of 30 are 60; an owner that nobody identified is none."""
    listed = (entry("A", "Alphakraft Kapital"), entry("B", "Betawerk Kapital"))
    owners = [("Alphakraft Kapital", "RU", 30), ("Betawerk Kapital", "RU", 30), ("Rest", "FR", 40)]
    both = _owned(owners, *listed, same=("Alphakraft Kapital", "Betawerk Kapital"))
    assert both.owned_percent == 60
    assert _owned(owners, *listed, same=("Alphakraft Kapital",)).owned_percent == 30
    assert _owned(owners, *listed).owned_percent == 0


def test_parcels_of_one_owner_add_up_and_lists_do_not():
    """An owner that stands there twice holds both; one that two entries list holds its share once."""
    owners = [("Alphakraft Kapital", "RU", 30), ("Alphakraft Kapital", "RU", 25)]
    listed = (entry("A", "Alphakraft Kapital"), entry("B", "Alphakraft Kapital"))
    assert _owned(owners, *listed, same=("Alphakraft Kapital",)).owned_percent == 55


def test_owners_on_export_lists_count_for_affiliates_only():
    """The Entity List reaches what its parties own only while the switch of that rule is on: a number of its own."""
    owners = [("Alphakraft Kapital", "CN", 60)]
    listed = entry("A", "Alphakraft Kapital", reach=listings.Reach.AFFILIATES)
    found = _owned(owners, listed, same=("Alphakraft Kapital",))
    assert (found.owned_percent, found.affiliates_percent) == (0, 60)
    named = entry("A", "Alphakraft Kapital", reach=listings.Reach.NAMED)
    found = _owned(owners, named, same=("Alphakraft Kapital",))
    assert (found.owned_percent, found.affiliates_percent) == (0, 0)


@pytest.mark.parametrize(
    ("coverage", "unknown", "may"), [(None, 100, True), (100, 0, False), (60, 40, False), (50, 50, True)]
)
def test_what_nobody_states_is_not_unlisted(coverage, unknown, may):
    """An empty list of owners is not a complete one: below 50 % is proved by what is stated only."""
    found = screening.screen(operator("x", coverage=coverage), index(entry()))
    assert found.unknown_percent == unknown
    assert found.may_reach(50) is may


def test_the_document_and_the_lists_are_both_believed():
    """The stricter of both: a list that is silent takes no stated fact away."""
    found = screening.screen(operator("x"), index(entry()))
    stated = operator("x", listed=True, listed_ownership_percent=55)
    assert screening.apply(stated, found, DAY).listed is True
    assert screening.apply(stated, found, DAY).listed_percent == 55
    assert screening.apply(operator("x"), found, DAY) == screening.Applied(False, 0.0, (), ())


def test_no_list_says_nothing():
    """Without lists nobody is cleared: what is unknown stays unknown."""
    found = screening.screen(operator("x"), index())
    assert not found.configured
    assert screening.apply(operator("x"), found, DAY) == screening.Applied(None, None, (), ())


def test_a_list_is_stale_after_its_last_day():
    """The last day counts; a list that should be there and is not is stale on every day."""
    found = screening.screen(operator("x"), index(entry(), missing=("eu-fsf",), as_of=DAY, age=7))
    assert found.stale(DAY + dt.timedelta(days=7)) == ("eu-fsf",)
    assert found.stale(DAY + dt.timedelta(days=8)) == ("eu-fsf", "us-sdn")


def test_many_entries_of_one_name_are_bounded():
    """A name that meets everything fills no memory."""
    many = [entry(f"E{number}", "Nordkap") for number in range(200)]
    assert len(screening.screen(operator("nordkap"), index(*many)).reviews) == screening.HITS_MAX


def test_the_index_misses_nothing_that_names_match():
    """The short way to candidates equals comparing with every name."""
    words = ["nordkap", "alpha", "beta", "gamma", "delta", "holding", "kapital", "mohammed", "muhamad", "rashid"]
    texts = [f"{a} {b}" for a in words for b in words] + words + [a + b for a in words[:4] for b in words[:4]]
    lists = index(*(entry(text, text) for text in texts))
    for text in texts:
        ours = names.normal(text)
        slow = {other for other in texts if names.alike(ours, names.normal(other))}
        fast = {hit.entry for hit in lists.find(screening.Party(text, (text,)))}
        assert fast == slow or len(fast) == screening.HITS_MAX


def test_hits_say_how_and_keep_the_best_reason():
    """One hit an entry: by its number where one matches, else by its name."""
    listed = entry(name="Nordkap", aliases=("Nordkap Cloud",), identifiers=(listings.Identifier("lei", LEI),))
    (hit,) = index(listed).find(screening.Party("nordkap", ("nordkap",), (listings.Identifier("lei", LEI),)))
    assert hit.by == "lei"
    assert dataclasses.replace(hit).entry_name == "Nordkap"


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_the_short_way_of_ascii_is_the_long_one(text):
    """A letter that changes nothing but the road gives the same words."""
    long_way = names.normal(text + " \u00a0")
    assert names.normal(text) == long_way
