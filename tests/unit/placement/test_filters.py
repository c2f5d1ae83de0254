"""Filters: each refuses what its page says, with its code, and both readings agree."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain import facts, money, offers, reasons, sites
from orchestrator.placement import columns, exchanges, requirements, rows
from orchestrator.placement.filters import registry

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

EUR = money.Money(16_000_000, "EUR")
LATE = offers.QueueOffer(True, dt.timedelta(hours=3))
FULL = samples.offer(free=samples.room(0, 0, 0))


def ask(**changes: Any) -> requirements.Question:
    return samples.question(requirements.Requirement("t", **changes))


def site(**changes: Any) -> rows.Row:
    return samples.row(site=samples.site(**changes))


RTT = requirements.Distances("FR", {"FR": 8.0})
CASES = [
    ("fit.accelerator", ask(accelerators=1, accelerators_any_of=("amd-mi300x",)), site()),
    ("fit.accelerator", ask(accelerators=1), site(accelerator=None)),
    ("fit.accelerator-count", ask(accelerators=9), site()),
    ("fit.accelerator-count", ask(accelerators=8, nodes=2), site()),
    ("fit.memory", ask(accelerators=1, accelerator_memory_gb=141), site()),
    ("fit.memory", ask(accelerators=1, accelerator_memory_gb=10), site(accelerator_memory_gb=None)),
    ("fit.interconnect", ask(interconnect="infiniband"), site()),
    ("fit.interconnect", ask(interconnect="nvlink"), site(interconnect=None)),
    ("fit.cpus", ask(cpu_milli=65_000), site()),
    ("fit.host-memory", ask(memory_bytes=257 * 2**30), site()),
    ("fit.isolation", ask(), site(isolation_none=True, owner_tenant="other")),
    ("fit.isolation", ask(), samples.row(offer=samples.offer(isolation_none=True))),
    ("backend.cordoned", ask(), samples.row(backend=rows.BackendState("a", cordoned=True))),
    ("site.frozen", ask(), site(frozen=sites.Frozen(None, None, "FR", "why", "t1", samples.AT))),
    ("backend.unreachable", ask(), samples.row(backend=rows.BackendState("a", reachable=False))),
    ("backend.unreachable", ask(), samples.row(backend=None)),
    ("capacity.unknown", ask(), samples.row(offer=None)),
    ("capacity.full", ask(accelerators=1), samples.row(offer=FULL)),
    ("capacity.full", ask(accelerators=8), samples.row(reserved=samples.room(1))),
    ("capacity.full", ask(), samples.row(offer=samples.offer(free=samples.room(slots=0)))),
    ("countries.FR", replace(ask(countries_allow=(("DE",),)), allowed=frozenset({"DE"})), site()),
    ("countries.FR", ask(countries_deny=("FR",)), site()),
    ("countries.unknown", ask(countries_deny=("US",)), site(location=sites.Location())),
    ("countries.unknown", ask(countries_allow=(("FR",),)), site(location=sites.Location())),
    ("countries.unknown-set", replace(ask(countries_deny=("EAE",)), unknown_sets=("EAE",)), site()),
    ("limits.price", ask(accelerators=8, nodes=2, price_per_hour_max=EUR), site()),
    ("limits.price.unknown", ask(price_per_hour_max=EUR), site(price_per_hour=None)),
    ("limits.price.unknown-currency", ask(price_per_hour_max=EUR), site(price_per_hour=money.Money(1, "USD"))),
    ("limits.rtt.unknown", ask(rtt_ms_max=40, latency_from="FR"), site()),
    ("limits.rtt", replace(ask(rtt_ms_max=7, latency_from="FR"), distances=RTT), site()),
    (
        "limits.start-within",
        ask(accelerators=1, start_within=dt.timedelta(hours=2)),
        samples.row(offer=replace(FULL, queue=LATE)),
    ),
    (
        "limits.start-within",
        ask(accelerators=1, start_within=dt.timedelta(hours=2)),
        samples.row(offer=replace(FULL, queue=offers.QueueOffer(True))),
    ),
    ("fit.nodes", ask(nodes=4), samples.row(backend=rows.BackendState("a", nodes_max=2))),
    ("fit.capability:containers", ask(capabilities=("containers",)), site(capabilities=frozenset())),
    ("fit.capability:dataMounts", ask(capabilities=("dataMounts",)), site(capabilities=frozenset({"containers"}))),
]

FINE = [
    ask(accelerators=8, accelerators_any_of=("nvidia-h100-sxm",), accelerator_memory_gb=80, interconnect="nvlink"),
    ask(accelerators=8, price_per_hour_max=EUR),
    replace(ask(rtt_ms_max=8, latency_from="FR"), distances=RTT),
    ask(cpu_milli=64_000, memory_bytes=256 * 2**30, capabilities=("containers", "gangs")),
    ask(countries_allow=(("FR", "DE"), ("FR",)), countries_deny=("DE",)),
]


def codes_of(asked: requirements.Question, row: rows.Row) -> list[str]:
    found = [item.check(asked, row) for item in registry.FILTERS]
    return [reason.code for reason in found if reason is not None]


@pytest.mark.parametrize(("code", "asked", "row"), CASES)
def test_a_refusal_has_its_code_and_a_remedy(code: str, asked: requirements.Question, row: rows.Row) -> None:
    """What a filter's page refuses is refused with that code, a sentence and a remedy."""
    found = [reason for item in registry.FILTERS if (reason := item.check(asked, row))]
    assert [reason.code for reason in found if reason.code == code] == [code]
    assert all(reason.effect is reasons.Effect.DENY and reason.message and reason.remedy for reason in found)


@pytest.mark.parametrize(("code", "asked", "row"), CASES)
def test_columns_refuse_what_rows_refuse(code: str, asked: requirements.Question, row: rows.Row) -> None:
    """The column reading refuses exactly where the row reading gives a reason."""
    table = columns.build([row])
    for item in registry.FILTERS:
        refused = item.refused(asked, table)
        assert (refused is not None and bool(refused[0])) == (item.check(asked, row) is not None), item.name


@pytest.mark.parametrize("asked", FINE)
def test_what_fits_exactly_is_not_refused(asked: requirements.Question) -> None:
    """A job that a site just holds, just affords and just reaches in time is refused by nothing."""
    assert codes_of(asked, samples.row()) == []


def test_a_queueing_site_is_never_full() -> None:
    """A site that queues by itself takes jobs without having room."""
    row = samples.row(offer=replace(FULL, queue=LATE))
    assert codes_of(ask(accelerators=1), row) == []


def test_a_dated_rate_makes_a_foreign_price_known() -> None:
    """With a rate in force a foreign price is compared, and refused only above the limit."""
    rate = requirements.Rate("USD", "EUR", 900_000, dt.date(2026, 11, 1))
    row = site(price_per_hour=money.Money(2_000_000, "USD"))
    asked = ask(accelerators=8, price_per_hour_max=money.Money(14_400_000, "EUR"))
    assert codes_of(replace(asked, rates=(rate,)), row) == []
    dearer = ask(accelerators=8, price_per_hour_max=money.Money(14_399_999, "EUR"))
    assert codes_of(replace(dearer, rates=(rate,)), row) == ["limits.price"]


def test_a_rate_is_told_with_its_source_and_days() -> None:
    """A refusal by price cites the rate, as does every answer that used one; where none is needed nothing is said."""
    days = dt.date(2026, 11, 20), dt.date(2026, 11, 27)
    rate = requirements.Rate("USD", "EUR", 900_000, *days, "a bank")
    row = site(price_per_hour=money.Money(2_000_000, "USD"))
    asked = replace(ask(price_per_hour_max=money.Money(1_000_000, "EUR")), rates=(rate,))
    (found,) = [item.check(asked, row) for item in registry.FILTERS if item.name == "limits.price"]
    assert found is not None
    told = {fact.path: (fact.value, fact.source, fact.as_of, fact.valid_to) for fact in found.facts}
    assert told["rates.USD.EUR"] == ("0.90 EUR a USD", "a bank", *days)
    (caveat,) = exchanges.caveats(asked, row)
    assert (caveat.code, caveat.effect) == ("caveat.price-converted", reasons.Effect.CAVEAT)
    assert caveat.facts[0].source == "a bank"
    assert exchanges.caveats(asked, site(price_per_hour=money.Money(2_000_000, "EUR"))) == ()
    assert exchanges.caveats(replace(asked, rates=()), row) == ()


def test_a_distance_is_cited_with_source_and_day() -> None:
    """The region's figure counts before the country's, and each names where it comes from."""
    country, region = facts.FactStamp("a table", dt.date(2026, 7, 30)), facts.FactStamp("a probe", dt.date(2026, 10, 1))
    table = requirements.Distances("SE", {"FR": 50, "gra": 45}, country, {"gra": region})
    asked = replace(ask(rtt_ms_max=40, latency_from="SE"), distances=table)
    for place, ms, stamp in (("gra", "45 ms", region), ("elsewhere", "50 ms", country)):
        row = site(location=sites.Location("FR", region=place))
        (found,) = [item.check(asked, row) for item in registry.FILTERS if item.name == "limits.rtt"]
        assert found is not None
        assert found.code == "limits.rtt"
        (cited,) = found.facts
        assert (cited.value, cited.source, cited.as_of) == (ms, stamp.source, stamp.as_of)


class Sets:
    """A fact base that knows the EEA and nothing else."""

    def countries(self, names: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
        found = tuple(names)
        return frozenset({"FR"}) if "EEA" in found else frozenset(), tuple(name for name in found if name != "EEA")

    def nearest(self, name: str) -> str | None:
        return "EEA" if name == "EAE" else None


@pytest.mark.parametrize("lists", [{"countries_allow": (("EAE", "EEA"), ("QQ",))}, {"countries_deny": ("EAE", "QQ")}])
def test_an_unknown_country_on_any_list_is_named_with_what_was_meant(lists: Any) -> None:
    """A misspelt entry refuses beside one that allows the site too, and the remedy says how to spell it."""
    asked = requirements.ask(requirements.Requirement("t", **lists), samples.DAY, Sets(), requirements.NO_TABLES)
    (found,) = [item.check(asked, samples.row()) for item in registry.FILTERS if item.name == "countries"]
    assert found is not None
    assert found.code == "countries.unknown-set"
    assert found.remedy is not None
    assert found.remedy.change == "correct EAE to EEA, QQ in spec.sovereignty.countries"


def test_rates_hold_on_their_days_only() -> None:
    """A question is given the newest rate in force on its day, into its own currency."""
    day = dt.date(2026, 11, 22)
    old = requirements.Rate("USD", "EUR", 1, dt.date(2026, 1, 1))
    new = requirements.Rate("USD", "EUR", 2, dt.date(2026, 11, 1), dt.date(2026, 11, 30))
    later = requirements.Rate("USD", "EUR", 3, dt.date(2026, 12, 1))
    tables = requirements.Tables(rates=(later, new, old, requirements.Rate("USD", "CHF", 4, dt.date(2026, 1, 1))))
    asked = requirements.ask(requirements.Requirement("t"), day, None, tables)
    assert asked.rate("USD") == 2
    assert requirements.next_change(asked, tables) == dt.date(2026, 12, 1)


def test_filters_have_one_bit_each() -> None:
    """No more filters than bits, and no two of one name."""
    names = [item.name for item in registry.FILTERS]
    assert len(names) <= 64
    assert len(set(names)) == len(names)
