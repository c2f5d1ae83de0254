"""The reasons of one firing of a rule at many sites, each piece made once for sites that agree in what it depends on.

Most pieces of a reason (code, message, remedy, most citations) say the same of every site, or depend on one or two of
its attributes. Which, is known from the rule; so a reason that differs in one region costs one citation. The pieces
are made by :mod:`rendering`, as the row reader makes them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.domain import reasons
from orchestrator.policy import attributes, dated, operands, rendering, rulebook, rules

T = TypeVar("T")

Source = str | rules.Cite
"""What a piece may depend on: an attribute of the site, or what a citation picks out of one."""
_STAMPS = ("site.backend_stamp", "site.operator_stamp")
_VIA = "{via}"


@dataclass(frozen=True, slots=True)
class _Needs:
    """What each piece of a rule's reasons depends on at a site."""

    code: tuple[Source, ...]
    message: tuple[Source, ...]
    cites: tuple[tuple[Source, ...], ...]
    remedy: tuple[Source, ...]


@functools.lru_cache(maxsize=4096)
def _needs(rule: rules.Rule) -> _Needs:
    cites = tuple(_cited(cite, rule) for cite in rule.cite)
    via = tuple(dict.fromkeys(itertools.chain.from_iterable(cites)))

    def said(*templates: str) -> tuple[Source, ...]:
        through = via if any(_VIA in template for template in templates) else ()
        return (*sorted(rules.site_names(templates)), *through)

    waits = [remedy.wait_for[0] for remedy in rule.remedies if remedy.wait_for is not None]
    return _Needs(
        code=said(rule.code),
        message=said(rule.message),
        cites=cites,
        # What a remedy waits for may be an attribute of the job: it is then nothing that sites differ in.
        remedy=(*waits, *said(*(remedy.change for remedy in rule.remedies))),
    )


def _cited(cite: rules.Cite, rule: rules.Rule) -> tuple[Source, ...]:
    # The items of an attribute may stand in the document of the backend or of the operator, so either stamp counts.
    found: list[Source] = [*_STAMPS]
    if cite in rule.picked:
        found.append(cite)
    elif cite.operand.scope == operands.SITE:
        found.append(cite.operand.name)
    return (*found, *sorted(rules.site_names((cite.key,) if cite.key is not None else ())))


class Writer:
    """Writes the reasons of one firing, for one site of each group of sites that get the same.

    ``codes`` gives, for each thing that a reason of the rule depends on, a number a site; what all sites agree in is
    not in it.
    """

    def __init__(
        self,
        rule: rules.Rule,
        binding: operands.Binding,
        sites: Sequence[attributes.SiteAttributes],
        codes: Mapping[Source, Sequence[int]],
        day: dated.DayFacts,
        book: rulebook.RuleBook,
    ) -> None:
        self._rule = rule
        self._day = day
        self._book = book
        self._codes = codes
        self._bindings = [{**binding, operands.SITE: site} for site in sites]

    def written(self) -> list[reasons.Reason]:
        """Return a reason a site."""
        try:
            return self._pieced()
        except Exception:  # noqa: BLE001 - some sentence cannot be made: each site for itself, which then says so
            return [rendering.reason(self._rule, known, self._day, self._book) for known in self._bindings]

    def _pieced(self) -> list[reasons.Reason]:
        rule, day, needs = self._rule, self._day, _needs(self._rule)
        own = rendering.looked_up(rule, self._bindings[0], day)
        codes = self._each(needs.code, lambda known: rendering.fill(rule.code, rule, known, day))
        messages = self._each(needs.message, lambda known: rendering.message_of(rule, known, day))
        remedies = self._each(needs.remedy, lambda known: rendering.remedy_of(rule, known, day, self._book))
        cites = [
            self._each(sources, functools.partial(_citations, cite, rule, day))
            for cite, sources in zip(rule.cite, needs.cites, strict=True)
        ]
        if cites:
            facts = [_once((*itertools.chain.from_iterable(each), *own)) for each in zip(*cites, strict=True)]
        else:
            facts = [own] * len(self._bindings)
        effect, basis = rule.effect, rule.basis
        return [
            reasons.Reason(code, effect, basis, message, cited, remedy)
            for code, message, cited, remedy in zip(codes, messages, facts, remedies, strict=True)
        ]

    def _each(self, sources: tuple[Source, ...], make: Callable[[operands.Binding], T]) -> list[T]:
        """Return a piece for each site, made once for equal numbers."""
        columns = [self._codes[source] for source in sources if source in self._codes]
        if not columns:
            return [make(self._bindings[0])] * len(self._bindings)
        known: dict[Any, T] = {}
        keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        for key, binding in zip(keys, self._bindings, strict=True):
            if key not in known:
                known[key] = make(binding)
        return [known[key] for key in keys]


def _citations(
    cite: rules.Cite, rule: rules.Rule, day: dated.DayFacts, known: operands.Binding
) -> tuple[reasons.FactCitation, ...]:
    return rendering.citations_of(cite, rule, known, day)


def _once(cited: tuple[reasons.FactCitation, ...]) -> tuple[reasons.FactCitation, ...]:
    """Leave out what is cited twice; facts at different paths differ, and paths are cheaper to compare."""
    return cited if len({fact.path for fact in cited}) == len(cited) else tuple(dict.fromkeys(cited))
