"""Rules of the house's own beside the packs: they only tighten, and whatever goes wrong in them refuses."""

from __future__ import annotations

import dataclasses
import datetime as dt
import subprocess
import sys

import pytest

from orchestrator.domain import policies, reasons
from orchestrator.policy import attributes, evaluator, rulebook, table
from orchestrator.policy.cedar import judging
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, 10, 30, tzinfo=dt.UTC)
BOOK = packs.load()


def site(name: str = "s", country: str | None = "FR", **more: object) -> attributes.SiteAttributes:
    places = (attributes.Place(country, "backend.location.country"),) if country else ()
    return dataclasses.replace(
        attributes.SiteAttributes(name, country, operator="o", legal_country="FR", parent_hq="FR", places=places),
        **more,  # type: ignore[arg-type]
    )


def data(*classes: str, **more: object) -> attributes.DataAttributes:
    return dataclasses.replace(attributes.DataAttributes("d", frozenset(classes)), **more)  # type: ignore[arg-type]


def job(*sets: attributes.DataAttributes, **more: object) -> attributes.JobAttributes:
    return dataclasses.replace(attributes.JobAttributes(data=sets), **more)  # type: ignore[arg-type]


def forbid(condition: str, id: str = "a", notes: str = "") -> str:
    return f'@id("{id}") {notes} forbid(principal, action, resource) when {{ {condition} }};'


def book(*texts: str, **window: dt.date) -> rulebook.RuleBook:
    named = [policies.CedarPolicy(f"p{number}", text, **window) for number, text in enumerate(texts)]  # type: ignore[arg-type]
    return rulebook.with_policies(BOOK, named)


def said(
    rules: rulebook.RuleBook,
    asked: attributes.JobAttributes | None = None,
    where: attributes.SiteAttributes | None = None,
    at: dt.datetime = AT,
) -> set[str]:
    """Return the codes of policies by both readings, which must agree."""
    asked, where = asked or job(), where or site()
    row = {one.code for one in evaluator.explain(asked, where, rules, at) if one.code.startswith("cedar.")}
    judged = evaluator.judge(asked, table.SiteTable([where]), rules, at)
    column = {one.code for one in judged.reasons(0) if one.code.startswith("cedar.")}
    assert row == column == {one.code for one in judged.explained()[0] if one.code.startswith("cedar.")}
    return row


def test_a_matching_rule_denies_with_its_code() -> None:
    """cedar.<policy>.<id>, and only where it matches."""
    rules = book(forbid('resource has country && resource.country == "FR"'))
    assert said(rules) == {"cedar.p0.a"}
    assert said(rules, where=site(country="DE")) == set()
    judged = evaluator.judge(job(), table.SiteTable([site(), site("t", "DE")]), rules, AT)
    assert judged.denied.tolist() == [True, False]
    assert judged.codes()["cedar.p0.a"] == 1


def test_a_duty_obliges_and_does_not_deny() -> None:
    """@effect("oblige") is a duty with its own bit."""
    rules = book(forbid("true", notes='@effect("oblige")'))
    judged = evaluator.judge(job(), table.SiteTable([site()]), rules, AT)
    assert (judged.denied.tolist(), judged.obliged.tolist()) == ([False], [True])
    assert [one.effect for one in judged.reasons(0) if one.code == "cedar.p0.a"] == [reasons.Effect.OBLIGE]
    assert judged.duties() == (evaluator.FIRST_RULE + len(rules.rules),)


@pytest.mark.parametrize(
    "condition",
    [
        "context has data && context.data.count + 9223372036854775807 > 0",
        "context has data && context.data.count * 9223372036854775807 > 0 && false",
        "9223372036854775807 + 1 == 0",
    ],
)
def test_an_error_at_evaluation_denies(condition: str) -> None:
    """Cedar would skip the rule and allow; here the rule that failed refuses, by name, and others still speak."""
    rules = book(forbid(condition) + forbid("true", "b"))
    assert said(rules, job(data("open", count=5))) == {"cedar.error:p0:a", "cedar.p0.b"}


def test_a_policy_that_cannot_be_used_denies_and_others_go_on() -> None:
    """A text that this version refuses, and a document that nobody can read, deny as a whole."""
    unread = policies.CedarPolicy("old", "", dt.date(2030, 1, 1), problem="of another version")
    good = policies.CedarPolicy("good", forbid("true"))
    rules = rulebook.with_policies(BOOK, [policies.CedarPolicy("bad", "forbid (;"), unread, good])
    assert said(rules) == {"cedar.error:bad", "cedar.error:old", "cedar.good.a"}


def test_a_value_that_cedar_cannot_hold_denies() -> None:
    """A number beyond 64 bits is no smaller number."""
    rules = book(forbid("principal has train_exaflop && principal.train_exaflop > 5"))
    assert said(rules, job(train_flop=1e40)) == {"cedar.error:p0:a"}
    assert said(rules, job(train_flop=6e18)) == {"cedar.p0.a"}
    assert said(rules, job(train_flop=5e18)) == set()
    rules = book(forbid("resource has tpp_milli && resource.tpp_milli < 0"))
    assert said(rules, where=site(tpp=1e18)) == {"cedar.error:p0:a"}
    assert said(rules, where=site(tpp=1e6)) == set()


def test_an_engine_that_fails_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library raises, and an answer it gives to nobody's question, refuse."""

    def broken(*_: object) -> list[object]:
        raise RuntimeError("panic")

    rules = book(forbid("false", "only-here"))
    monkeypatch.setattr(judging.engine, "ask", broken)
    assert said(rules) == {"cedar.error:p0:only-here"}


def test_what_is_beyond_the_bound_is_refused_and_asked_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judgement asks Cedar so often and no more: the rest is refused now, and what is known is not asked again."""
    monkeypatch.setattr(judging, "STEPS_MAX", 2)
    rules = book(forbid('resource.name == "bounded"', "bounded-rule"))
    sites = table.SiteTable([site(f"s{number}") for number in range(5)])
    judged = [evaluator.judge(job(), sites, rules, AT) for _ in range(3)]
    assert [one.denied.tolist().count(True) for one in judged] == [3, 1, 0]
    assert [one.expires == AT + judging.ASK_ON_AFTER for one in judged] == [True, True, False]


@pytest.mark.parametrize(
    ("day", "codes"),
    [("2026-11-30", set()), ("2026-12-01", {"cedar.p0.a"}), ("2026-12-31", {"cedar.p0.a"}), ("2027-01-01", set())],
)
def test_a_policy_holds_from_its_first_to_its_last_day(day: str, codes: set[str]) -> None:
    """Both days are included."""
    rules = book(forbid("true"), start=dt.date(2026, 12, 1), end=dt.date(2026, 12, 31))
    at = dt.datetime.fromisoformat(day).replace(hour=23, tzinfo=dt.UTC)
    assert said(rules, at=at) == codes


def test_an_answer_expires_when_a_policy_starts_or_the_hour_it_reads_ends() -> None:
    """The first day of a policy bounds every answer; a rule that reads the hour bounds it to the hour."""
    sites = table.SiteTable([site()])
    later = book(forbid("true"), start=dt.date(2026, 11, 25))
    expires = evaluator.judge(job(), sites, later, AT).expires
    assert expires is not None
    assert expires <= dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    night = book(forbid("context.hour >= 22 || context.hour < 6"))
    assert evaluator.judge(job(), sites, night, AT).expires == AT.replace(hour=11, minute=0)
    assert said(night) == set()
    assert said(night, at=AT.replace(hour=22)) == {"cedar.p0.a"}


def test_data_sets_are_asked_one_by_one() -> None:
    """Classes of one data set and safeguards of another are never mixed; a job without data is asked once."""
    rules = book(
        forbid('context has data && context.data.classes.contains("health") && context.data.safeguards.contains("tia")')
        + forbid("!(context has data)", "none")
    )
    tia = (attributes.Paper("tia"),)
    assert said(rules, job(data("health"), data("open", name="e", safeguards=tia))) == set()
    assert said(rules, job(data("open"), data("health", name="e", safeguards=tia))) == {"cedar.p0.a"}
    assert said(rules) == {"cedar.p0.none"}


def test_places_sets_and_papers_are_those_of_the_day() -> None:
    """context.locations has the places of site and job, sets their members today, papers only those that hold."""
    rules = book(
        forbid("!context.sets.EEA.containsAll(context.locations)", "out")
        + forbid('resource.certs.contains("c5")', "c5")
        + forbid('context.sets["EU-ADEQUATE"].contains("BR")', "br")
    )
    plane = (attributes.Place("US", "controlPlane.location.country"),)
    assert said(rules, job(places=plane)) == {"cedar.p0.out", "cedar.p0.br"}
    papers = (attributes.Paper("c5", valid_to=AT.date()),)
    assert said(rules, where=site(certs=papers)) == {"cedar.p0.c5", "cedar.p0.br"}
    assert said(rules, where=site(certs=papers), at=AT + dt.timedelta(days=1)) == {"cedar.p0.br"}
    assert said(rules, at=dt.datetime(2026, 1, 25, tzinfo=dt.UTC)) == set()


def test_sites_that_a_rule_tells_apart_are_told_apart() -> None:
    """Answers are shared by sites that agree in what rules read, and by no others; also by name."""
    rules = book(forbid('resource.name like "gra/*"') + forbid('resource == Site::"sbg/x"', "b"))
    sites = table.SiteTable([site("gra/x"), site("sbg/x"), site("rbx/x")])
    judged = evaluator.judge(job(), sites, rules, AT)
    own = [{one.code for one in judged.reasons(row) if one.code.startswith("cedar.")} for row in range(3)]
    assert own == [{"cedar.p0.a"}, {"cedar.p0.b"}, set()]


def test_a_remembered_answer_is_that_of_equal_values() -> None:
    """Changing anything that a rule reads of job, data, tenant or day changes the answer, warm or cold."""
    rules = book(
        forbid('principal has workload && principal.workload == "train"', "w")
        + '@id("t") forbid(principal in Tenant::"t1", action, resource);'
        + forbid('context has data && context.data.classes.contains("health")', "h")
        + forbid("context.weekday == 1", "monday")
    )
    sites = table.SiteTable([site()])
    tenant = attributes.TenantAttributes("t1")
    asked = [job(), job(workload="train"), job(tenant=tenant), job(data("health")), job(data("open"))]
    want = [set(), {"cedar.p0.w"}, {"cedar.p0.t"}, {"cedar.p0.h"}, set()]
    for _ in range(2):
        for one, codes in zip(asked, want, strict=True):
            judged = evaluator.judge(one, sites, rules, AT)
            assert {code for code in judged.codes() if code.startswith("cedar.")} == codes
    assert said(rules, at=AT + dt.timedelta(days=1)) == {"cedar.p0.monday"}


def test_the_book_keeps_its_policies_when_it_is_stored() -> None:
    """The digest covers text and dates; a book read back says what it said."""
    rules = book(forbid("true"), start=dt.date(2026, 1, 1))
    again = rulebook.decode(rules.body)
    assert (again.digest, again.user) == (rules.digest, rules.user)
    assert said(again) == {"cedar.p0.a"}
    assert len({BOOK.digest, rules.digest, book(forbid("true")).digest, book(forbid("false")).digest}) == 4
    assert rulebook.with_policies(rules, []).digest == BOOK.digest


def test_cedar_is_not_loaded_where_nobody_wrote_rules() -> None:
    """A server without policies of its own never imports the library."""
    code = (
        "import sys, datetime as dt\n"
        "import orchestrator.bootstrap.server\n"
        "from orchestrator.policy import attributes, evaluator, table\n"
        "from orchestrator.sources import packs\n"
        "sites = table.SiteTable([attributes.SiteAttributes('s')])\n"
        "evaluator.judge(attributes.JobAttributes(), sites, packs.load(), dt.datetime.now(dt.UTC))\n"
        "print('cedarpy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout.strip() == "False"
