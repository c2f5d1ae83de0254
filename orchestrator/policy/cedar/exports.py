"""The built-in packs as Cedar: policies, schema and dated sets, written from the same table of rules.

A cross-check that somebody else's evaluator runs. One rule is one ``forbid`` whose ``@id`` is the rule's; duties have
``@effect("oblige")``. Cedar cannot run over data sets or places, so the asker does: a rule that holds for each of
something has its own action (``Action::"data+location"``), asked once for each, with what is bound in the context.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import reasons
from orchestrator.policy import dated, operands, rulebook, rules
from orchestrator.policy.cedar import packforms

ONCE = "once"
"""Action of rules that run over nothing."""
SETS = 'Sets::"day"'


@dataclass(frozen=True, slots=True)
class Export:
    """What an export consists of: three texts."""

    schema: str
    policies: str
    entities: list[Mapping[str, Any]]


def export(book: rulebook.RuleBook, day: dt.date) -> Export:
    """Return the packs in force as Cedar; sets and amounts as they stand on ``day``. Raises NoFormError."""
    writer = Writer(book)
    written = [writer.rule(rule) for rule in book.rules]
    head = [
        "// The packs of Comity as Cedar: an independent cross-check, not what decides. Engineering, not legal advice.",
        f"// Rule book {book.digest}",
        f"// Sets as of {day.isoformat()}. For each action ask once for every combination of what its name says (data",
        "// sets, places ...), bound in the context. Errors in the diagnostics count as denials.",
        "// Computed beforehand, because Cedar cannot look into sets of records: which papers hold on the day, with",
        "// the assurance that the job demands; which countries reach the operator above a share; which destinations a",
        "// licence allows this operator; the totals of the ledger; named sets in licences.",
        "",
        "permit(principal, action, resource);",
        "",
    ]
    return Export(writer.schema(), "\n".join(head) + "\n\n".join(written) + "\n", [sets_entity(book, day)])


def action(rule: rules.Rule) -> str:
    """Return the name of the action under which a rule is asked."""
    return "+".join((*rule.for_each, *((operands.LOCATION,) if rule.per_location else ()))) or ONCE


class Writer:
    """Writes expressions, collecting what they read. Raises NoFormError where Cedar has no words."""

    def __init__(self, book: rulebook.RuleBook) -> None:
        self.book = book
        self.read: set[operands.Operand] = set()
        self.reaches: set[tuple[operands.Operand, float]] = set()

    def rule(self, rule: rules.Rule) -> str:
        """Return one rule as a policy."""
        parts = [self.expr(expr) for expr in (*rule.guard, rule.body)]
        if rule.start is not None:
            parts.insert(0, f"context.day >= {_day(rule.start)}")
        if rule.end is not None:
            parts.insert(0, f"context.day <= {_day(rule.end)}")
        notes = {"id": rule.id, "code": rule.code, "effect": "deny", "basis": rule.basis.value, "source": rule.source}
        if rule.effect is reasons.Effect.OBLIGE:
            notes["effect"] = "oblige"
        lines = [f"@{name}({packforms.quoted(text)})" for name, text in notes.items()]
        lines += [f'forbid(principal, action == Action::"{action(rule)}", resource)', "when {"]
        return "\n".join([*lines, "  " + "\n  && ".join(parts), "};"])

    def expr(self, expr: rules.Expr) -> str:
        """Return a condition."""
        match expr:
            case rules.Leaf():
                return self.leaf(expr)
            case rules.Not(item):
                return f"!({self.expr(item)})"
            case rules.All(items):
                return "(" + " && ".join(map(self.expr, items)) + ")" if items else "true"
            case rules.Some(items):
                return "(" + " || ".join(map(self.expr, items)) + ")"

    def leaf(self, leaf: rules.Leaf) -> str:
        """Return a predicate; false wherever a value that it needs is not stated, but for those that ask for that."""
        name, args = leaf.predicate.name, leaf.args
        method = getattr(self, f"_p_{name}", None)
        if method is None:
            raise packforms.NoFormError(f"the predicate {name} has no form in Cedar yet")
        return str(method(*args))

    # -- arguments

    def ref(self, operand: Any) -> str:
        """Return the expression that reads an operand."""
        self.read.add(operand)
        return self._place(operand, operand.name)

    def _place(self, operand: operands.Operand, name: str) -> str:
        owner = {operands.SITE: "resource", operands.JOB: "principal"}.get(operand.scope, "context")
        return f"{owner}[{packforms.quoted(name)}]"

    def stated(self, operand: Any) -> str:
        """Return the condition that an operand is stated; empty where it always is."""
        self.read.add(operand)
        if not packforms.of(operand).optional:
            return ""
        owner = {operands.SITE: "resource", operands.JOB: "principal"}.get(operand.scope, "context")
        return f"{owner} has {packforms.quoted(operand.name)}"

    def guarded(self, test: str, *read: Any) -> str:
        """Return a test that holds only where what it reads is stated."""
        return "(" + " && ".join([*filter(None, map(self.stated, read)), test]) + ")"

    def lenient(self, operand: Any, test: str) -> str:
        """Return a test that holds wherever the operand is not stated."""
        stated = self.stated(operand)
        return f"(if {stated} then {test} else true)" if stated else test

    def members(self, arg: Any) -> str:
        """Return a set argument: a dated set by name, or a literal list."""
        if isinstance(arg, rules.SetRef):
            return f"{SETS}[{packforms.quoted(arg.name)}]"
        return "[" + ", ".join(packforms.quoted(one) for one in sorted(arg.value)) + "]"

    # -- predicates, each in the order of the table

    def _p_in(self, value: Any, members: Any) -> str:
        return self.guarded(f"{self.members(members)}.contains({self.ref(value)})", value)

    def _p_any_in(self, values: Any, members: Any) -> str:
        return self.guarded(f"{self.ref(values)}.containsAny({self.members(members)})", values)

    def _p_is(self, value: Any, literal: Any) -> str:
        return self.guarded(f"{self.ref(value)} == {self.literal(value, literal.value)}", value)

    def literal(self, operand: Any, raw: Any) -> str:
        """Return a literal in the unit of the operand it is compared with."""
        kind = packforms.of(operand).kind
        if kind in (packforms.MILLI, packforms.EXAFLOP, packforms.LONG):
            return str(packforms.number(raw, kind))
        if isinstance(raw, dt.date):
            return _day(raw)
        return ("true" if raw else "false") if isinstance(raw, bool) else packforms.quoted(str(raw))

    def _p_equal(self, left: Any, right: Any) -> str:
        return "true" if left.value == right.value else "false"

    def _p_same(self, left: Any, right: Any) -> str:
        return self.guarded(f"{self.ref(left)} == {self.ref(right)}", left, right)

    def _p_missing(self, value: Any) -> str:
        stated = self.stated(value)
        return f"!({stated})" if stated else "false"

    def _p_known(self, value: Any) -> str:
        return self.guarded(f'{self.ref(value)} != "unknown"', value)

    def _p_past(self, end: Any) -> str:
        return self.guarded(f"{self.ref(end)} < context.day", end)

    def _p_before(self, value: Any, limit: Any) -> str:
        return self.guarded(f"{self.ref(value)} < {_day(limit.value)}", value)

    def _p_at_least(self, value: Any, limit: Any) -> str:
        return self.guarded(f"{self.ref(value)} >= {self.literal(value, limit.value)}", value)

    def _p_weaker(self, level: Any, least: Any) -> str:
        return self.lenient(level, f"{self.ref(level)} < {self.ref(least)}")

    def _p_empty(self, values: Any) -> str:
        return self.guarded(f"{self.ref(values)}.isEmpty()", values)

    def _p_has(self, values: Any, value: Any) -> str:
        return self.guarded(f"{self.ref(values)}.contains({self.ref(value)})", values, value)

    def _p_holds(self, papers: Any, kind: Any) -> str:
        return self.guarded(f"{self.ref(papers)}.contains({packforms.quoted(kind.value)})", papers)

    def _p_holds_named(self, papers: Any, kind: Any) -> str:
        return self._p_has(papers, kind)

    def _p_holds_any(self, papers: Any, kinds: Any) -> str:
        return self.guarded(f"{self.ref(papers)}.containsAny({self.ref(kinds)})", papers, kinds)

    def _p_holds_one(self, papers: Any, kinds: Any) -> str:
        return self._p_any_in(papers, kinds)

    def _p_within(self, start: Any, end: Any) -> str:
        after = self.lenient(start, f"{self.ref(start)} <= context.day")
        return f"({after} && {self.lenient(end, f'context.day <= {self.ref(end)}')})"

    def _p_above_lowest(self, classes: Any, count: Any, table: Any) -> str:
        amounts = f"{SETS}[{packforms.quoted(amounts_name(table.name))}]"
        found = []
        for member in self._values(table.name):
            name = packforms.quoted(member)
            listed = f"{self.ref(classes)}.contains({name}) && {amounts} has {name}"
            found.append(f"({listed} && {self.ref(count)} * 1000 > {amounts}[{name}])")
        return "(" + " || ".join(found) + ")" if found else "false"

    def _p_level_known(self, levels: Any, objective: Any) -> str:
        return self._levels(objective, lambda name: f"{self.ref(levels)} has {name}")

    def _p_level_below(self, levels: Any, objective: Any, least: Any) -> str:
        below = self._levels(
            objective, lambda name: f"{self.ref(levels)} has {name} && {self.ref(levels)}[{name}] < {self.ref(least)}"
        )
        return self.guarded(below, least)

    def _levels(self, objective: Any, test: Any) -> str:
        names = [packforms.quoted(name) for name in operands.OBJECTIVES]
        return "(" + " || ".join(f"({self.ref(objective)} == {name} && {test(name)})" for name in names) + ")"

    def _p_score_below(self, levels: Any, least: Any, weights: Any) -> str:
        amounts = f"{SETS}[{packforms.quoted(amounts_name(weights.name))}]"
        have = self.ref(levels)
        names = [packforms.quoted(name) for name in self._values(weights.name)]
        known = [f"({amounts} has {name} && {have} has {name})" for name in names]
        total = " + ".join(f"{amounts}[{name}] * {have}[{name}]" for name in names)
        return "(" + " && ".join([*known, f"{total} < 4 * {self.ref(least)}"]) + ")"

    def _p_fresh(self, attested: Any, hours: Any) -> str:
        have = self.ref(attested)
        age = f"context.now.durationSince({have}.at)"
        within = f'({have} has at && {age} >= duration("0h") && {age} <= duration("{int(hours.value * 3600)}s"))'
        counted = f"({have} has age_milli && {have}.age_milli >= 0 && {have}.age_milli <= {int(hours.value * 1000)})"
        lasting = f"(if {have} has until then context.now <= {have}.until else true)"
        return self.guarded(f"{have}.verified && {lasting} && ({within} || {counted})", attested)

    def _p_outside(self, place: Any, territory: Any, union: Any) -> str:
        area, home, here = self.members(union), self.ref(territory), self.ref(place)
        return self.lenient(
            territory, f"(if {area}.contains({home}) then !({area}.contains({here})) else {here} != {home})"
        )

    def _p_licensed(self, place: Any, licences: Any, _user: Any) -> str:
        # The asker has already left out licences that are over or name other users.
        return self.guarded(f"{self.ref(licences)}.contains({self.ref(place)})", licences)

    def _p_adequate(self, place: Any, frameworks: Any, table: Any) -> str:
        found = [f"{self.members(table)}.contains({self.ref(place)})"]
        for condition in conditions(self.book, table.name):
            name = packforms.quoted(condition)
            within = f"{SETS}[{packforms.quoted(condition_name(table.name, condition))}].contains({self.ref(place)})"
            found.append(f"({within} && {self.ref(frameworks)}.contains({name}))")
        return self.guarded("(" + " || ".join(found) + ")", place)

    def _p_seated(self, places: Any, regime: Any, table: Any) -> str:
        found = []
        for condition in conditions(self.book, table.name):
            held = f"{SETS}[{packforms.quoted(condition_name(table.name, condition))}]"
            known = f"{self.ref(regime)} == {packforms.quoted(condition)}"
            found.append(f"({known} && {held}.containsAny({self.ref(places)}))")
        return "(" + " || ".join(found) + ")" if found else "false"

    def _p_reached(self, country: Any, reach: Any, percent: Any, _codes: Any) -> str:
        self.reaches.add((reach, percent.value))
        have = self._place(reach, reach_name(reach, percent.value))
        return f'({have}.contains({self.ref(country)}) || {have}.contains("unknown"))'

    def _p_admits(self, terms: Any, value: Any, union: Any, area: Any) -> str:
        have = self.ref(terms)
        named = [f"{have}.contains({self.ref(value)})"]
        named += [
            f'({have}.contains("{word}") && {self.members(one)}.contains({self.ref(value)}))'
            for word, one in (("EU", union), ("EEA", area))
        ]
        return self.lenient(terms, self.guarded("(" + " || ".join(named) + ")", value))

    def _p_among(self, value: Any, terms: Any) -> str:
        return self.lenient(terms, self._p_has(terms, value))

    def _values(self, name: str) -> list[str]:
        return sorted({member.value for member in self.book.facts.sets[name].members})

    # -- schema

    def schema(self) -> str:
        """Return the schema of everything that the rules written so far read."""
        by_scope: dict[str, list[operands.Operand]] = {}
        for operand in sorted(self.read, key=lambda each: each.name):
            by_scope.setdefault(operand.scope, []).append(operand)
        site = [_member(each) for each in by_scope.get(operands.SITE, [])]
        site += [f"  {packforms.quoted(reach_name(each, share))}: Set<String>,\n" for each, share in sorted(
            self.reaches, key=lambda pair: (pair[0].name, pair[1]))]  # fmt: skip
        lines = [
            f"entity Job = {{\n{''.join(_member(each) for each in by_scope.get(operands.JOB, []))}}};",
            f"entity Site = {{\n{''.join(site)}}};",
            f"entity Sets = {{\n{''.join(self._sets())}}};",
        ]
        for name in sorted({action(rule) for rule in self.book.rules}):
            scopes = () if name == ONCE else name.split("+")
            context = "".join(_member(each) for scope in scopes for each in by_scope.get(scope, []))
            head = f'action "{name}" appliesTo {{\n  principal: Job,\n  resource: Site,\n  context: {{\n'
            lines.append(f"{head}  day: datetime,\n  now: datetime,\n{context}  }},\n}};")
        return "\n".join(lines) + "\n"

    def _sets(self) -> Iterable[str]:
        for name, found in sorted(self.book.facts.sets.items()):
            yield f"  {packforms.quoted(name)}: Set<String>,\n"
            for condition in conditions(self.book, name):
                yield f"  {packforms.quoted(condition_name(name, condition))}: Set<String>,\n"
            if any(member.amount is not None for member in found.members):
                amounts = ", ".join(f"{packforms.quoted(value)}?: Long" for value in self._values(name))
                yield f"  {packforms.quoted(amounts_name(name))}: {{ {amounts} }},\n"


def _member(operand: operands.Operand) -> str:
    form = packforms.of(operand)
    return f"  {packforms.quoted(operand.name)}{'?' if form.optional else ''}: {packforms.CEDAR[form.kind]},\n"


def _day(day: dt.date) -> str:
    return f'datetime("{day.isoformat()}")'


def reach_name(operand: operands.Operand, percent: float) -> str:
    """Return the name of the reaches above a share."""
    return f"{operand.name}{packforms.REACH_MARK}{percent:g}"


def condition_name(name: str, condition: str) -> str:
    """Return the name of the members of a set that hold only for recipients in a framework."""
    return f"{name}/{condition}"


def amounts_name(name: str) -> str:
    """Return the name of the amounts of a set's members, in thousandths."""
    return f"{name}#amounts"


def conditions(book: rulebook.RuleBook, name: str) -> list[str]:
    """Return every framework that a member of a set ever depends on."""
    return sorted({member.condition for member in book.facts.sets[name].members if member.condition is not None})


def sets_entity(book: rulebook.RuleBook, day: dt.date) -> Mapping[str, Any]:
    """Return the dated sets as they stand on a day, as one entity."""
    then = book.facts.on(day)
    attrs: dict[str, Any] = {}
    for name, live in sorted(then.sets.items()):
        attrs[name] = sorted(live.codes)
        for condition in conditions(book, name):
            held = [member.value for member in live.members.values() if member.condition == condition]
            attrs[condition_name(name, condition)] = sorted(held)
        if any(member.amount is not None for member in book.facts.sets[name].members):
            attrs[amounts_name(name)] = _amounts(live)
    return {"uid": {"type": "Sets", "id": "day"}, "attrs": attrs, "parents": []}


def _amounts(live: dated.LiveSet) -> Mapping[str, int]:
    members = live.members.values()
    return {each.value: packforms.number(each.amount, packforms.MILLI) for each in members if each.amount is not None}
