"""The laws that every pack obeys, for random jobs and sites."""

from __future__ import annotations

import dataclasses
import datetime as dt

import hypothesis
from hypothesis import strategies as st

from orchestrator.domain import jobs, tenants
from orchestrator.policy import attributes, cases, constraints, conversions, evaluator, rulebook, table
from orchestrator.sources import packs
from tests.oracle.policy import worlds

BOOK = packs.load()
LAW = hypothesis.settings(max_examples=120, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
CASE = (worlds.job_attributes(), worlds.site_attributes(), worlds.days)


def decide(job, site, day, book=BOOK) -> cases.Answer:
    """Return the answer for one site."""
    return cases.answer(evaluator.explain(job, site, book, rulebook.midnight(day)))


@LAW
@hypothesis.given(*CASE, st.sampled_from(("accepts", "exposure", "certs", "eu-gdpr", "fr-hds")))
def test_adding_a_pack_never_allows(job, site, day, pack) -> None:
    """What is denied without a pack is denied with it; a pack that is off never removes another's denial."""
    without = packs.load(off=(pack,)) if pack not in _OFF else _OFF[pack]
    _OFF[pack] = without
    job = dataclasses.replace(job, asks=(), constraints=constraints.Constraints())
    if decide(job, site, day, without).decision == cases.DENY:
        assert decide(job, site, day).decision == cases.DENY


_OFF: dict[str, rulebook.RuleBook] = {}


@LAW
@hypothesis.given(*CASE, st.sampled_from(("country", "legal_country", "parent_hq", "operator", "certs", "frameworks")))
def test_removing_a_mandatory_fact_never_allows(job, site, day, name) -> None:
    """A fact that nobody states any more never turns a denial into a yes."""
    empty = {"certs": (), "frameworks": frozenset()}.get(name)
    poorer = dataclasses.replace(site, **{name: empty})
    if decide(job, site, day).decision == cases.DENY:
        assert decide(job, poorer, day).decision == cases.DENY


@LAW
@hypothesis.given(worlds.job_attributes(), worlds.site_attributes(), st.integers(0, 400))
def test_answers_change_only_at_boundaries(job, site, offset) -> None:
    """From a day until the moment that the judgement names as its end the codes stay the same."""
    day = dt.date(2025, 12, 1) + dt.timedelta(days=offset)
    from_table = evaluator.judge(job, table.SiteTable((site,)), BOOK, rulebook.midnight(day))
    expires = from_table.expires
    last = dt.date(2099, 1, 1) if expires is None else expires.date() - dt.timedelta(days=1)
    assert expires is None or expires > rulebook.midnight(day)
    assert decide(job, site, day) == decide(job, site, last)


@LAW
@hypothesis.given(*CASE)
def test_a_yes_justifies_every_place(job, site, day) -> None:
    """Where personal data under the GDPR may go, each place is in the EEA, adequate, or covered by safeguards."""
    got = decide(job, site, day)
    facts = BOOK.facts.on(day)
    for data in job.data if got.decision != cases.DENY else ():
        personal = data.classes & facts.sets["personal-classes"].codes
        if not personal or not (
            data.subjects & facts.sets["eu-subjects"].codes or data.controller_country in facts.sets["eea"].codes
        ):
            continue
        for place in (*site.places, *job.places):
            member = facts.sets["eu-adequate"].members.get(place.code)
            adequate = member is not None and (member.condition is None or member.condition in site.frameworks)
            covered = f"eu-gdpr.art46:{place.code}" in got.rules and place.code != attributes.UNKNOWN
            assert place.code in facts.sets["eea"].codes or adequate or covered


@LAW
@hypothesis.given(*CASE, st.randoms(use_true_random=False))
def test_the_order_of_packs_and_facts_does_not_matter(job, site, day, random) -> None:
    """Rules in any order and places in any order give the same reasons."""
    rules = list(BOOK.rules)
    random.shuffle(rules)
    shuffled = dataclasses.replace(BOOK, rules=tuple(rules))
    places = list(site.places)
    random.shuffle(places)
    turned = dataclasses.replace(site, places=tuple(places))
    assert decide(job, turned, day, shuffled) == decide(job, site, day)


@LAW
@hypothesis.given(*CASE)
def test_splitting_data_does_not_help(job, site, day) -> None:
    """A data set split by class into two is denied wherever it was denied whole."""
    split = []
    for data in job.data:
        for name in sorted(data.classes) or [None]:
            chosen = frozenset({name}) if name else frozenset()
            split.append(dataclasses.replace(data, classes=chosen))
    if decide(job, site, day).decision == cases.DENY:
        assert decide(dataclasses.replace(job, data=tuple(split)), site, day).decision == cases.DENY


sovereignties = st.builds(
    jobs.Sovereignty,
    exposure=st.builds(
        jobs.Exposure, worlds.tuples(worlds.countries, 2), worlds.tuples(st.sampled_from(worlds.SCHEMES), 2)
    ),
    certifications=worlds.tuples(st.sampled_from(worlds.SCHEMES), 2),
)


@LAW
@hypothesis.given(*CASE, sovereignties, sovereignties)
def test_a_constraint_or_a_floor_never_allows(job, site, day, own, floor) -> None:
    """What a job's own constraints deny, its tenant's floor denies too, and the other way round."""
    tenant = tenants.Tenant("t", floor=floor)
    both = conversions.merge_floor(own, tenant=tenant).constraints
    for alone in (own, floor):
        one = constraints.merge((alone,))
        if decide(dataclasses.replace(job, constraints=one, asks=one.asks()), site, day).decision == cases.DENY:
            assert (
                decide(dataclasses.replace(job, constraints=both, asks=both.asks()), site, day).decision == cases.DENY
            )
