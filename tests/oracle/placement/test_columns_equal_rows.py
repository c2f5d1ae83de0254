"""The columns against the rows: for any site and any job the fast reading equals the slow one."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import facts, jobs, listings, money, offers, sites
from orchestrator.placement import columns, explanations, requirements, rows, select
from orchestrator.placement.filters import registry
from orchestrator.placement.scorers import base as scoring
from orchestrator.placement.scorers import registry as scorers

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

small = st.integers(0, 4)
some = st.sampled_from
rooms = st.builds(offers.Room, small, small, small, st.none() | small)
prices = st.none() | st.builds(money.Money, st.integers(0, 3), some(["EUR", "USD", "XXX"]))
countries = st.none() | some(["FR", "DE", "US"])
durations = st.integers(0, 3).map(lambda hours: dt.timedelta(hours=hours))


days = st.integers(-2, 2).map(lambda number: samples.DAY + dt.timedelta(days=number))
moments = days.map(lambda day: dt.datetime.combine(day, dt.time(12), dt.UTC))


@st.composite
def a_screening(draw: st.DrawFn) -> listings.Screening:
    """Lists of some age, name matches, and answers that clear some of them for some days."""
    hits = [listings.Hit("us-sdn", "us", entry, "N", "op", "name", "n") for entry in draw(st.sets(some("EFG")))]
    answers = [
        listings.Answer(
            "us-sdn", hit.entry, "op", draw(st.booleans()), "", "", draw(moments), hit.entry_digest,
            hit.party_digest, draw(st.none() | days),
        )
        for hit in hits
        if draw(st.booleans())
    ]  # fmt: skip
    consulted = [
        listings.Consulted(name, "us", listings.ids.NO_DIGEST, samples.DAY, draw(days))
        for name in draw(st.sets(some(["us-sdn", "eu-fsf"])))
    ]
    missing = tuple(sorted(draw(st.sets(some(["uk-sl"])))))
    return listings.Screening(tuple(consulted), missing, reviews=tuple(hits), answered=tuple(answers))


@st.composite
def a_row(draw: st.DrawFn, name: str = "a/p") -> rows.Row:
    site = samples.site(
        name,
        location=sites.Location(draw(countries), region=draw(st.none() | some(["r1", "r2"]))),
        accelerator=draw(st.none() | some(["x", "y"])),
        accelerator_memory_gb=draw(st.none() | small),
        accelerator_watts=draw(st.none() | st.integers(0, 900)),
        interconnect=draw(st.none() | some(["nvlink", "pcie"])),
        price_per_hour=draw(prices),
        pue=draw(st.none() | st.floats(1, 2)),
        capabilities=draw(st.frozensets(some(["containers", "gangs", "files", "new"]))),
        isolation_none=draw(st.booleans()),
        owner_tenant=draw(st.none() | some(["t", "u"])),
        screening=draw(st.none() | a_screening()),
    )
    offer = None
    if draw(st.booleans()) or draw(st.booleans()):
        queue = draw(st.none() | st.builds(offers.QueueOffer, st.booleans(), st.none() | durations))
        offer = samples.offer(name, draw(rooms), total=draw(rooms), largest_node=draw(st.none() | rooms), queue=queue)
    state = draw(
        st.none() | st.builds(rows.BackendState, st.just("a"), st.booleans(), st.booleans(), st.none() | small)
    )
    return rows.Row(site, offer, state, draw(rooms))


lists = st.lists(some(["FR", "DE", "US", "EEA"]), max_size=3).map(tuple)
requirement = st.builds(
    requirements.Requirement,
    tenant=some(["t", "v"]),
    nodes=st.integers(1, 3),
    cpu_milli=small,
    memory_bytes=small,
    accelerators=small,
    accelerators_any_of=st.lists(some(["x", "y", "z"]), max_size=2).map(tuple),
    accelerator_memory_gb=st.none() | small,
    interconnect=st.none() | some(["nvlink", "other"]),
    capabilities=st.lists(some(["containers", "gangs"]), max_size=2).map(tuple),
    countries_allow=st.lists(lists, max_size=2).map(tuple),
    countries_deny=lists,
    price_per_hour_max=st.none() | st.builds(money.Money, st.integers(0, 12), some(["EUR", "USD"])),
    rtt_ms_max=st.none() | st.integers(0, 20),
    latency_from=st.none() | some(["FR", "ZZ"]),
    start_within=st.none() | durations,
    objective=st.builds(jobs.Objective, some([0.0, 1.0, 0.3]), some([0.0, 0.5]), some([0.0, 2.0])),
)


@dataclass(frozen=True)
class Sets:
    def countries(self, names: object) -> tuple[frozenset[str], tuple[str, ...]]:
        known = [name for name in names if name != "EEA"]  # type: ignore[attr-defined]
        return frozenset(known) | ({"FR", "DE"} if len(known) < len(list(names)) else frozenset()), ()  # type: ignore[call-overload]


TABLES = requirements.Tables(
    rates=(requirements.Rate("USD", "EUR", 900_000, dt.date(2026, 1, 1)),),
    distances={"FR": requirements.Distances("FR", {"FR": 5.0, "r1": 9.5, "US": 80.0})},
)


@dataclass(frozen=True)
class Judged:
    """A policy that denies what it is told to."""

    denied: columns.Bools
    expires: dt.datetime | None = None

    @property
    def bits(self) -> select.Words:
        return self.denied.astype(np.uint64)[None, :]

    @property
    def obliged(self) -> columns.Bools:
        return np.zeros_like(self.denied)


def question(asked: requirements.Requirement) -> requirements.Question:
    return requirements.ask(asked, samples.DAY, Sets(), TABLES)


@st.composite
def a_fleet(draw: st.DrawFn) -> list[rows.Row]:
    return [draw(a_row(f"b{number}/p")) for number in range(draw(st.integers(0, 5)))]


stamps = st.builds(facts.FactStamp, some(["a", "b"]), valid_to=st.none() | days)


@settings(max_examples=300, deadline=None)
@given(fleet=a_fleet(), asked=requirement, stamped=st.lists(stamps, min_size=5, max_size=5), unknown=st.booleans())
def test_reasons_that_rows_share_are_those_of_each(
    fleet: list[rows.Row], asked: requirements.Requirement, stamped: list[facts.FactStamp], unknown: bool
) -> None:
    """What a filter said of one row is said of another only where it would say the same."""
    fleet = [replace(row, site=replace(row.site, facts=own)) for row, own in zip(fleet, stamped, strict=False)]
    twins = [replace(row.site, name=f"c/{at}", accelerator=None) for at, row in enumerate(fleet)]
    fleet += [replace(row, site=twin) for row, twin in zip(fleet, twins, strict=True)]
    cheap = asked if asked.price_per_hour_max is None else replace(asked, price_per_hour_max=money.Money(0, "EUR"))
    table, put = columns.build(fleet), question(cheap)
    put = replace(put, unknown_sets=("EEAA",)) if unknown else put
    refused = [(bit, item.refused(put, table)) for bit, item in enumerate(registry.FILTERS)]
    known: explanations.Known = {}
    for position, row in enumerate(table.items):
        bits = sum(1 << bit for bit, where in refused if where is not None and where[position])
        alone = explanations.filter_reasons(put, row, bits, now=True)
        assert explanations.filter_reasons(put, row, bits, now=True, known=known) == alone


@settings(max_examples=300, deadline=None)
@given(fleet=a_fleet(), asked=requirement)
def test_filters_and_scorers_read_columns_as_rows(fleet: list[rows.Row], asked: requirements.Requirement) -> None:
    """Each filter refuses, and each scorer scores, a site in the columns as it does in its row."""
    table, put = columns.build(fleet), question(asked)
    for item in registry.FILTERS:
        refused = item.refused(put, table)
        expected = [item.check(put, row) is not None for row in table.items]
        assert ([False] * len(fleet) if refused is None else refused.tolist()) == expected, item.name
    for scorer in scorers.SCORERS:
        assert scorer.scores(put, table).tolist() == [scorer.score(put, row) for row in table.items], scorer.name


@settings(max_examples=200, deadline=None)
@given(fleet=a_fleet(), asked=requirement, flags=st.lists(st.booleans(), min_size=5, max_size=5))
def test_select_equals_sort_and_take_first(
    fleet: list[rows.Row], asked: requirements.Requirement, flags: list[bool]
) -> None:
    """The ranking is: every site that nothing refuses, sorted by weighted score and then by name."""
    table, put = columns.build(fleet), question(asked)
    denied = np.array(flags[: len(fleet)], dtype=np.bool_)
    found = select.select(put, table, Judged(denied))
    slow = []
    for position, row in enumerate(table.items):
        if denied[position] or any(item.check(put, row) for item in registry.FILTERS):
            continue
        total = sum(
            scoring.weighted(scorer.score(put, row), scorer.weight(asked.objective))
            for scorer in scorers.SCORERS
            if scorer.weight(asked.objective) > 0
        )
        slow.append((total, row.site.name))
    assert [table.names[position] for position in found.ranking] == [name for _, name in sorted(slow)]
    assert found.chosen == (min(slow)[1] if slow else None)


@settings(max_examples=150, deadline=None)
@given(before=a_fleet(), after=a_fleet(), asked=requirement)
def test_updated_columns_equal_new_ones(
    before: list[rows.Row], after: list[rows.Row], asked: requirements.Requirement
) -> None:
    """Columns changed row by row answer as columns built from nothing do, derived ones included."""
    put = question(replace(asked, objective=jobs.Objective(1, 1, 1)))
    table = columns.build(before)
    for item in registry.FILTERS:
        item.refused(put, table)
    table = columns.update(table, {row.site.name: row for row in after})
    fresh = columns.build(after)
    for item in registry.FILTERS:
        one, other = item.refused(put, table), item.refused(put, fresh)
        assert (one is None) == (other is None)
        assert one is None or other is None or one.tolist() == other.tolist(), item.name
    for scorer in scorers.SCORERS:
        assert scorer.scores(put, table).tolist() == scorer.scores(put, fresh).tolist()
