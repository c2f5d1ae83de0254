"""Asks the exported packs about one job at one site, as anybody would who has only the export: the cross-check.

What Cedar cannot do is done here: running over data sets and places, and filling codes. No rule is judged here, and
nothing of the evaluator is used but the values of operands and what rules run over.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import facts, reasons
from orchestrator.policy import attributes, dated, operands, rulebook, rules
from orchestrator.policy.cedar import engine, exports, packforms

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the export answers: codes that deny and that oblige; ``errors`` of rules that could not be evaluated."""

    denied: frozenset[str]
    obliged: frozenset[str]
    errors: tuple[str, ...] = ()


class Asker:
    """Asks one export. The rules are parsed once; sets are those of the day asked about."""

    def __init__(self, book: rulebook.RuleBook) -> None:
        self.book = book
        writer = exports.Writer(book)
        self._rules: dict[str, tuple[engine.PolicySet, list[rules.Rule]]] = {}
        for name in sorted({exports.action(rule) for rule in book.rules}):
            own = [rule for rule in book.rules if exports.action(rule) == name]
            self._rules[name] = (engine.policies([writer.rule(rule) for rule in own]), own)
        self._site = [each for each in writer.read if each.scope == operands.SITE]
        self._job = [each for each in writer.read if each.scope == operands.JOB]
        self._bound = [each for each in writer.read if each.scope not in (operands.SITE, operands.JOB)]
        self._reaches = sorted(writer.reaches, key=lambda pair: pair[0].name)
        self._sets: dict[dt.date, engine.Entities] = {}

    def ask(self, job: attributes.JobAttributes, site: attributes.SiteAttributes, at: dt.datetime) -> Asked:
        """Return the codes of every rule that fires."""
        day = self.book.facts.on(at.astimezone(dt.UTC).date())
        facts_ = engine.entities([*self._entities(job, site, day)], self._day_sets(day))
        denied: set[str] = set()
        obliged: set[str] = set()
        errors: list[str] = []
        for name, (ready, own) in self._rules.items():
            bound = list(self._bindings(own[0], job, site, day))
            requests = [self._request(name, binding, site, day, at) for binding in bound]
            for binding, answer in zip(bound, engine.ask(requests, ready, facts_), strict=True):
                errors += [f"{own[number].id} failed" for number in answer.failed]
                errors += [answer.broken] if answer.broken else []
                for rule in (own[number] for number in answer.fired):
                    found = denied if rule.effect is reasons.Effect.DENY else obliged
                    found.add(_code(rule, {**binding, operands.JOB: job, operands.SITE: site}))
        return Asked(frozenset(denied), frozenset(obliged), tuple(errors))

    def _bindings(
        self, rule: rules.Rule, job: attributes.JobAttributes, site: attributes.SiteAttributes, day: dated.DayFacts
    ) -> Iterator[dict[str, Any]]:
        """Yield what the rules of one action are asked for: each data set, each place ... in every combination."""
        spaces = [[(scope, one) for one in operands.DOMAINS[scope](job, day)] for scope in rule.for_each]
        if rule.per_location:
            places = sorted({place.code for place in (*site.places, *job.places)})
            spaces.append([(operands.LOCATION, place) for place in places])
        yield from (dict(values) for values in itertools.product(*spaces))

    def _request(
        self,
        name: str,
        binding: Mapping[str, Any],
        site: attributes.SiteAttributes,
        day: dated.DayFacts,
        at: dt.datetime,
    ) -> Mapping[str, Any]:
        context: dict[str, Any] = {"day": packforms.value(packforms.DAY, day.day, day.day), "now": packforms.moment(at)}
        for operand in self._bound:
            if operand.scope in binding:
                raw = operand.read(binding[operand.scope])
                if raw is not None:
                    kind = packforms.of(operand).kind
                    context[operand.name] = packforms.value(kind, raw, day.day, user=site.operator)
        action = {"type": "Action", "id": name}
        return {"principal": 'Job::"job"', "action": action, "resource": 'Site::"site"', "context": context}

    def _entities(
        self, job: attributes.JobAttributes, site: attributes.SiteAttributes, day: dated.DayFacts
    ) -> Iterator[Mapping[str, Any]]:
        demanded = job.constraints.min_assurance or facts.Assurance.DECLARED
        for owner, found, kind, name in ((job, self._job, "Job", "job"), (site, self._site, "Site", "site")):
            about: dict[str, Any] = {}
            for operand in found:
                raw = operand.read(owner)
                if raw is not None and packforms.of(operand).kind != packforms.REACH:
                    about[operand.name] = packforms.value(packforms.of(operand).kind, raw, day.day, least=demanded)
            if kind == "Site":
                for operand, share in self._reaches:
                    name_of = exports.reach_name(operand, share)
                    about[name_of] = packforms.reach(operand.read(site), share, day.sets[dated.ISO])
            yield {"uid": {"type": kind, "id": name}, "attrs": about, "parents": []}

    def _day_sets(self, day: dated.DayFacts) -> engine.Entities:
        known = self._sets.get(day.day)
        if known is None:
            known = self._sets[day.day] = engine.entities([exports.sets_entity(self.book, day.day)])
        return known


def _code(rule: rules.Rule, binding: Mapping[str, Any]) -> str:
    def fill(match: re.Match[str]) -> str:
        operand = operands.OPERANDS[match[1]]
        return str(operand.read(binding[operand.scope]))

    return _PLACEHOLDER.sub(fill, rule.code)
