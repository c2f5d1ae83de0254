"""The table of rules read row by row: one rule at one site, with the sentences of what fires.

Instances of a rule depend on the job only, so they are made once. In a table, sites whose attributes agree in
everything that a rule reads, cites or says get the very same reasons.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from orchestrator.domain import reasons
from orchestrator.policy import attributes, instances, operands, rendering, rulebook, rules, table


class RowReader:
    """Judges rules for one job at one moment, a site at a time.

    ``weak`` collects (set, value) of the weakly known facts that spoke for a site since the reader was made.
    """

    def __init__(self, job: attributes.JobAttributes, book: rulebook.RuleBook, at: dt.datetime) -> None:
        self.job = job
        self.book = book
        self.at = at
        self.facts = book.facts.on(instances.utc_day(at))
        self.weak: set[tuple[str, str]] = set()
        self._instances: dict[rules.Rule, tuple[instances.Instance, ...]] = {}
        self._reasons: dict[tuple[object, ...], list[reasons.Reason]] = {}

    def refusals(self) -> list[reasons.Reason]:
        """Return what the evaluator itself refuses, wherever the job would go."""
        return [rendering.refusal(code, sentence) for code, sentence in self.book.refusals(self.job, self.facts.day)]

    def remembered(self, rule: rules.Rule, sites: table.SiteTable, row: int) -> list[reasons.Reason]:
        """Return the reasons of a rule at the site in a row of the table, made once for equal attributes."""
        key = (rule, *(int(sites.columns[name].codes[row]) for name in rule.site_reads))
        found = self._reasons.get(key)
        if found is None:
            found = self._reasons[key] = self.read(rule, sites.sites[row])
        return found

    def read(self, rule: rules.Rule, site: attributes.SiteAttributes) -> list[reasons.Reason]:
        """Return the reasons of a rule at a site; a rule that is not in force has none."""
        found = []
        for instance, binding in self._bound(rule, site):
            if instance.problem is not None:
                found.append(rendering.broken(rule, instance.problem))
                continue
            reason = self._one(rule, binding)
            if reason is not None:
                found.append(reason)
        return found

    def codes(self, rule: rules.Rule, site: attributes.SiteAttributes) -> set[str]:
        """Return the codes of the reasons of a rule that fires at a site and raises nowhere."""
        if "{" not in rule.code:
            return {rule.code}
        bound = [binding for instance, binding in self._bound(rule, site) if instance.problem is None]
        return {rendering.code(rule, each, self.facts) for each in bound if self._fires(rule, each)}

    def _bound(
        self, rule: rules.Rule, site: attributes.SiteAttributes
    ) -> Iterator[tuple[instances.Instance, operands.Binding]]:
        """Yield each instance of a rule that is in force with what it binds at a site, once a place where it asks."""
        for instance in self._of(rule) if rule.active(self.facts.day) else ():
            places: tuple[str | None, ...] = (None,)
            if rule.per_location and instance.problem is None:
                places = tuple(sorted({place.code for place in (*site.places, *self.job.places)}))
            for place in places:
                yield instance, {**instance.binding, operands.SITE: site, operands.LOCATION: place}

    def _of(self, rule: rules.Rule) -> tuple[instances.Instance, ...]:
        known = self._instances.get(rule)
        if known is None:
            known = self._instances[rule] = tuple(instances.instances(rule, self.job, self.facts, self.at))
        return known

    def _one(self, rule: rules.Rule, binding: operands.Binding) -> reasons.Reason | None:
        try:
            fires = self._fires(rule, binding)
        except Exception as error:  # noqa: BLE001 - whatever a rule meets must become a refusal
            return rendering.broken(rule, instances.describe(error))
        return rendering.reason(rule, binding, self.facts, self.book) if fires else None

    def _fires(self, rule: rules.Rule, binding: operands.Binding) -> bool:
        return instances.plain(rule.body, lambda leaf: self._leaf(leaf, binding))

    def _leaf(self, leaf: rules.Leaf, binding: operands.Binding) -> bool:
        holds = instances.test(leaf, binding, self.facts, self.at)
        looked_up = rules.looked_up(leaf) if holds else None
        if looked_up is not None:
            value = looked_up.read(binding[looked_up.scope])
            for arg in leaf.args:
                if isinstance(arg, rules.SetRef) and isinstance(value, str):
                    member = self.facts.sets[arg.name].members.get(value)
                    if member is not None and member.mark is not None:
                        self.weak.add((arg.name, member.value))
        return holds
