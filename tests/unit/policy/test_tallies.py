"""Thresholds that add up: splitting a data set or a training gains nothing."""

from __future__ import annotations

import datetime as dt

import pytest

from orchestrator.domain import jobs, sites, tallies, tenants
from orchestrator.policy import attributes, cases, conversions, evaluator, table
from orchestrator.policy import tallies as ledgers
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BOOK = packs.load()
REACHED = attributes.SiteAttributes(name="s", country="SG", legal_country="SG", parent_hq="CN")
PLANE = tenants.ControlPlane("self", None, sites.Location("US"))


def data(name: str, persons: int, classes: tuple[str, ...] = ("genomic",), **changes: object) -> tenants.DataSet:
    values: dict[str, object] = {"subjects": ("US",), "controller": tenants.Controller("lab", "US"), **changes}
    return tenants.DataSet(name, "t", classes=classes, counts=tenants.Counts(persons), **values)  # type: ignore[arg-type]


def job(*read: tenants.DataSet, counted: tuple[tallies.Tally, ...] = (), **spec: object) -> attributes.JobAttributes:
    clause = jobs.DataClause(tuple(jobs.DataUse(each.name) for each in read), declared_none=not read)
    return conversions.of_job(
        jobs.JobSpec("j", data=clause, **spec),  # type: ignore[arg-type]
        tenant=None,
        datasets={each.name: each for each in read},
        control_plane=PLANE,
        owner="t",
        ledger=ledgers.view(counted, BOOK.counters, AT.date()),
    )


def codes(asked: attributes.JobAttributes, site: attributes.SiteAttributes = REACHED) -> list[str]:
    judged = evaluator.judge(asked, table.SiteTable((site,)), BOOK, AT)
    answer = cases.answer(evaluator.explain(asked, site, BOOK, AT))
    assert bool(judged.denied[0]) == (answer.decision == cases.DENY)
    return list(answer.rules)


def placed(asked: attributes.JobAttributes, site: attributes.SiteAttributes = REACHED, who: str = "J"):
    return ledgers.counted(asked, site, BOOK, AT, tenant="t", who=who)


def test_two_halves_of_a_data_set_are_judged_as_the_whole() -> None:
    """60 and 60 persons are 120: together in one job, and one after the other."""
    one, two = data("one", 60), data("two", 60)
    assert codes(job(one)) == []
    assert codes(job(one, two)) == ["us-doj.prohibited-omic"]
    assert codes(job(two, counted=placed(job(one)))) == ["us-doj.prohibited-omic"]


def test_the_same_data_set_counts_once() -> None:
    """Its people are the same people, however often it is read."""
    one = data("one", 60)
    assert codes(job(one, counted=placed(job(one)))) == []


def test_only_what_came_within_reach_is_counted() -> None:
    """A data set that stayed in the country counts nothing there."""
    home = attributes.SiteAttributes(name="h", country="US", legal_country="US", parent_hq="US")
    assert placed(job(data("one", 60)), home) == ()
    (tally,) = placed(job(data("one", 60)))
    assert (tally.counter, tally.item, tally.persons) == ("us-doj.persons", "data/t/one", 60)


@pytest.mark.parametrize(
    "other",
    [
        data("two", 60, controller=tenants.Controller("other", "US")),
        data("two", 60, classes=("financial",)),
    ],
)
def test_other_controllers_and_classes_do_not_add_up(other: tenants.DataSet) -> None:
    """Persons add up for one controller and one class."""
    assert codes(job(data("one", 60), counted=placed(job(other)))) == []


@pytest.mark.parametrize(("days", "denied"), [(364, True), (365, False)])
def test_a_tally_counts_for_twelve_months(days: int, denied: bool) -> None:
    """On the day itself a year later it no longer does."""
    (tally,) = placed(job(data("one", 60)))
    old = tallies.Tally(tally.counter, tally.scope, tally.item, AT - dt.timedelta(days=days), tally.classes, 60)
    assert bool(codes(job(data("two", 60), counted=(old,)))) is denied


def test_chinese_persons_add_up_since_new_year() -> None:
    """60,000 and 60,000 are 120,000 in one calendar year; those of last year are gone."""
    kinds = {"classes": ("personal",), "subjects": ("CN",), "controller": tenants.Controller("shop", "CN")}
    one, two = data("one", 60_000, **kinds), data("two", 60_000, **kinds)  # type: ignore[arg-type]
    (tally,) = placed(job(one))
    assert codes(job(two, counted=(tally,))) == ["cn-export.cn-scc|cn-cert"]
    last = tallies.Tally(tally.counter, tally.scope, tally.item, AT.replace(year=2025), tally.classes, 60_000)
    assert codes(job(two, counted=(last,))) == []


def test_operations_add_up_over_a_models_lineage() -> None:
    """Two trainings of 6e24 operations are one of 1.2e25; serving the model adds nothing."""
    model = jobs.ModelClause("m", train_flop=6e24)
    home = attributes.SiteAttributes(name="h", country="FR", legal_country="FR", parent_hq="FR")
    first = job(type=jobs.JobType.TRAIN, model=model)
    tally = placed(first, home, "ONE")
    assert [each.operations for each in tally] == [6e24]
    assert codes(first, home) == []
    assert codes(job(type=jobs.JobType.TRAIN, model=model, counted=tally), home) == ["eu-aiact.gpai-systemic-notify"]
    assert codes(job(type=jobs.JobType.INFER, model=model, counted=tally), home) == []
    assert placed(job(type=jobs.JobType.INFER, model=model), home) == ()


def test_a_ledger_that_cannot_be_read_denies_whoever_it_concerns() -> None:
    """Nobody knows what adds up; a job without data or model is judged as ever."""
    spec = jobs.JobSpec("j", data=jobs.DataClause((jobs.DataUse("one"),)))
    blind = conversions.of_job(
        spec, tenant=None, datasets={"one": data("one", 1)}, control_plane=PLANE, owner="t", ledger=None
    )
    assert codes(blind) == ["core.unsupported:ledger"]
    none = jobs.JobSpec("j", data=jobs.DataClause(declared_none=True))
    assert codes(conversions.of_job(none, tenant=None, datasets={}, control_plane=PLANE, ledger=None)) == []
