"""The fast reading of the table (columns) against the slow, obvious one (rows)."""

from __future__ import annotations

import dataclasses
import datetime as dt

import hypothesis
import numpy as np
from hypothesis import strategies as st

from orchestrator.domain import reasons
from orchestrator.policy import attributes, evaluator, instances, operands, predicates, rulebook, rules, table
from orchestrator.sources import packs
from tests.oracle.policy import worlds

BOOK = packs.load()
FAST = hypothesis.settings(max_examples=150, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))


def rows_say(job: attributes.JobAttributes, site: attributes.SiteAttributes, book: rulebook.RuleBook, at: dt.datetime):
    """Judge one site without any of the product's combining: each rule, instance, place, by plain Python."""
    day = at.date()
    facts = book.facts.on(day)
    fired, refused = set(), bool(book.refusals(job, day))
    for rule in book.rules:
        for instance in instances.instances(rule, job, facts, at) if rule.active(day) else ():
            # A guard that cannot be judged refuses where there is no place either.
            placed = rule.per_location and instance.problem is None
            spots = {p.code for p in (*site.places, *job.places)} if placed else {None}
            for spot in spots:
                binding = {**instance.binding, operands.SITE: site, operands.LOCATION: spot}
                try:
                    if instance.problem is not None:
                        raise ValueError(instance.problem)
                    values = {leaf: instances.test(leaf, binding, facts, at) for leaf in rules.leaves(rule.body)}
                except Exception:  # noqa: BLE001 - the oracle refuses whatever is raised
                    refused = True
                    continue
                if truth(rule.body, values):
                    fired.add(rule.id)
    return fired, refused


def truth(expr: rules.Expr, values: dict[rules.Leaf, bool]) -> bool:
    """Evaluate an expression whose predicates are known."""
    match expr:
        case rules.Leaf():
            return values[expr]
        case rules.Not(item):
            return not truth(item, values)
        case rules.All(items):
            return all(truth(item, values) for item in items)
        case rules.Some(items):
            return any(truth(item, values) for item in items)


def check(job: attributes.JobAttributes, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime) -> None:
    """Compare bits, masks and sentences of every site."""
    judged = evaluator.judge(job, sites, book, at)
    for row, site in enumerate(sites.sites):
        fired, refused = rows_say(job, site, book, at)
        assert {rule.id for rule in judged.fired(row)} == fired
        assert bool(int(judged.bits[0, row]) & 1) == refused
        effects = {rule.effect for rule in book.rules if rule.id in fired}
        assert bool(judged.denied[row]) == (refused or reasons.Effect.DENY in effects)
        assert bool(judged.obliged[row]) == (reasons.Effect.OBLIGE in effects)
        said = [r for r in evaluator.explain(job, site, book, at) if r.effect is not reasons.Effect.CAVEAT]
        assert sorted(r.code for r in judged.reasons(row)) == sorted(r.code for r in said)
        assert judged.refusing(row) == {r.code for r in said if r.effect is reasons.Effect.DENY}
        assert {r.effect for r in said} == effects | ({reasons.Effect.DENY} if refused else set())


def check_sentences(job, sites: table.SiteTable, book: rulebook.RuleBook, at: dt.datetime, full) -> None:
    """Compare whole reasons, with their facts and remedies, of all sites at once with those made one by one."""
    judged = evaluator.judge(job, sites, book, at)
    for row, found in enumerate(judged.explained(full=full)):
        said = evaluator.explain(job, sites.sites[row], book, at)
        assert found == tuple(r for r in said if full[row] or r.effect is not reasons.Effect.CAVEAT)
        if not full[row]:
            assert found == judged.reasons(row)


@FAST
@hypothesis.given(
    worlds.job_attributes(), worlds.sites(), worlds.days, st.lists(st.booleans(), min_size=6, max_size=6), worlds.names
)
def test_many_sentences_are_those_of_one_by_one(job, sites, day, flags, name) -> None:
    """Reasons that sites share are the reasons that each would get alone; also where a predicate raises."""
    full = np.array(flags[: len(sites)], dtype=np.bool_)
    for book in (BOOK, _breaking(*name)):
        check_sentences(job, table.SiteTable(sites), book, rulebook.midnight(day), full)


@FAST
@hypothesis.given(
    worlds.job_attributes(), worlds.job_attributes(), worlds.sites(), st.lists(worlds.days, min_size=1, max_size=2)
)
def test_what_a_table_remembers_changes_nothing(job, other, sites, day_list) -> None:
    """Judging jobs that differ in one attribute, one after another on one table, is as if each had a new table."""
    warm = table.SiteTable(sites)
    names = ("workload", "tenant", "data", "places", "constraints", "asks")
    for day in day_list:
        for near in (job, *(dataclasses.replace(job, **{name: getattr(other, name)}) for name in names), other):
            check(near, warm, BOOK, rulebook.midnight(day))


@FAST
@hypothesis.given(worlds.job_attributes(), worlds.sites(), worlds.days)
def test_columns_say_what_rows_say(job, sites, day) -> None:
    """For any job, sites and day, bits, masks and codes are those of the plain reading."""
    check(job, table.SiteTable(sites), BOOK, rulebook.midnight(day))


@FAST
@hypothesis.given(worlds.job_attributes(), worlds.sites(), st.data(), worlds.days)
def test_an_updated_table_says_what_a_new_one_says(job, sites, data, day) -> None:
    """After some rows changed the updated table judges like one made from scratch, whatever it remembered."""
    before = table.SiteTable(sites)
    evaluator.judge(job, before, BOOK, rulebook.midnight(day))
    changed = list(sites)
    row = data.draw(st.integers(0, len(sites) - 1))
    changed[row] = dataclasses.replace(data.draw(worlds.site_attributes()), name=sites[row].name)
    after = before.updated(changed)
    assert after.sites == tuple(changed)
    check(job, after, BOOK, rulebook.midnight(day))
    check(job, before, BOOK, rulebook.midnight(day))


@FAST
@hypothesis.given(
    worlds.job_attributes(),
    worlds.sites(),
    worlds.days,
    st.sampled_from(sorted(predicates.PREDICATES)),
    worlds.countries,
)
def test_both_readers_refuse_where_a_predicate_raises(job, sites, day, name, country) -> None:
    """A predicate that raises for some values refuses exactly there, in both readings, and lets nobody through."""
    broken = _breaking(name, country)
    sound = [evaluator.judge(job, table.SiteTable(sites), BOOK, rulebook.midnight(day)).denied.tolist()]
    check(job, table.SiteTable(sites), broken, rulebook.midnight(day))
    worse = evaluator.judge(job, table.SiteTable(sites), broken, rulebook.midnight(day)).denied.tolist()
    assert all(after or not before for before, after in zip(sound[0], worse, strict=True))


def test_a_guard_that_cannot_be_judged_refuses_where_there_is_no_place() -> None:
    """A site without any place, a rule over places, and a guard that raises: both readings refuse."""
    site = hypothesis.find(worlds.site_attributes(), lambda one: not one.places)
    personal = hypothesis.find(worlds.data_sets, lambda one: "personal" in one.classes)
    job = dataclasses.replace(hypothesis.find(worlds.job_attributes(), lambda one: not one.places), data=(personal,))
    at = rulebook.midnight(dt.date(2026, 11, 23))
    for name in ("is", "any_in"):
        broken = _breaking(name, "GB")
        assert rows_say(job, site, broken, at)[1]
        check(job, table.SiteTable((site,)), broken, at)


def _breaking(name: str, country: str) -> rulebook.RuleBook:
    """Return the book with one predicate that raises whenever the country is among its values."""

    def broken(day: dt.date, *values: object) -> bool:
        if any(value == country or country in str(value) for value in values if not hasattr(value, "members")):
            raise RuntimeError("planted")
        return predicates.PREDICATES[name].test(day, *values)

    def mend(expr: rules.Expr) -> rules.Expr:
        match expr:
            case rules.Leaf(predicate, args, site, location):
                bad = predicates.Predicate(name, broken, predicate.kinds)
                return rules.Leaf(bad if predicate.name == name else predicate, args, site, location)
            case rules.Not(item):
                return rules.Not(mend(item))
            case rules.All(items):
                return rules.All(tuple(map(mend, items)))
            case rules.Some(items):
                return rules.Some(tuple(map(mend, items)))

    table_ = tuple(
        dataclasses.replace(rule, guard=tuple(map(mend, rule.guard)), body=mend(rule.body)) for rule in BOOK.rules
    )
    return dataclasses.replace(BOOK, rules=table_)
