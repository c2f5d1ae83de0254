"""Rules as data: the shape of a rule, and its reading from plain mappings (the content of ``rules.yaml``).

A rule says ``when`` it fires (every condition holds) and ``unless`` what waives it (any condition holds), over the
closed lists of ``predicates`` and ``operands``. Everything a reason will say stands beside it: message, remedies,
what to cite, on whose authority. Nothing here runs a rule.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import obligations, reasons
from orchestrator.evidence import canonical
from orchestrator.policy import operands, predicates, shapes


@dataclass(frozen=True, slots=True)
class SetRef:
    """A dated set by name; frozen for the day when the rule is judged."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """A literal, or a parameter of the pack already replaced by its value."""

    value: Any


Arg = operands.Operand | SetRef | Const


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One predicate with its arguments. At most one of them is read from the site."""

    predicate: predicates.Predicate
    args: tuple[Arg, ...]
    site: operands.Operand | None
    location: bool
    fixed: tuple[operands.Operand, ...] = field(init=False)
    """The arguments that are the same for every site and place."""

    def __post_init__(self) -> None:
        free = (operands.SITE, operands.LOCATION)
        read = tuple(arg for arg in self.args if isinstance(arg, operands.Operand) and arg.scope not in free)
        object.__setattr__(self, "fixed", read)


@dataclass(frozen=True, slots=True, eq=False)
class All:
    """Every item holds."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    """At least one item holds."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """The item does not hold."""

    item: Expr


Expr = Leaf | All | Some | Not


def leaves(expr: Expr) -> Iterator[Leaf]:
    """Yield the predicates of an expression, from left to right."""
    match expr:
        case Leaf():
            yield expr
        case Not(item):
            yield from leaves(item)
        case All(items) | Some(items):
            for item in items:
                yield from leaves(item)


@dataclass(frozen=True, slots=True)
class RemedyTemplate:
    """A remedy as written. ``wait_for`` (location operand, set): applies where the place joins the set later."""

    kind: reasons.RemedyKind
    change: str
    drops_constraint: bool = False
    wait_for: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Cite:
    """An operand to cite, and the template of the key that picks one of several values."""

    operand: operands.Operand
    key: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One line of the policy table. ``guard`` holds the conditions that read the job only; ``body`` the others."""

    id: str
    pack: str
    code: str
    effect: reasons.Effect
    basis: reasons.Basis
    message: str
    source: str
    for_each: tuple[str, ...]
    per_location: bool
    guard: tuple[Expr, ...]
    body: Expr
    remedies: tuple[RemedyTemplate, ...]
    cite: tuple[Cite, ...]
    needs: tuple[str, ...]
    """Document paths of what a job may ask that this rule judges."""
    start: dt.date | None
    end: dt.date | None
    due_days: int | None = obligations.DUE_DAYS_DEFAULT
    """Days after the placement within which what an ``oblige`` asks for is done; None: while the job lives."""
    text: str = ""
    """The rule as it was written, as canonical JSON: what two versions of a pack are compared by."""
    location_operands: tuple[operands.Operand, ...] = ()
    site_reads: tuple[str, ...] = ()
    """Every attribute of the site that the rule reads, cites or says."""
    job_operands: tuple[operands.Operand, ...] = field(init=False)
    """The attributes of the job, apart from those of its instances, that the conditions read."""
    picked: tuple[Cite, ...] = field(init=False)
    """Citations that take some items out of an attribute of the site, by a key that no attribute of it is part of."""
    said: tuple[str, ...] = field(init=False)
    """Every other attribute of the site that a reason of the rule cites or says."""
    hours: tuple[float, ...] = field(init=False)
    """The ages after which something that the rule reads is too old; not empty: the rule reads the clock's time."""

    def __post_init__(self) -> None:
        read = {arg.name: arg for leaf in self.leaves() for arg in leaf.fixed if arg.scope == operands.JOB}
        object.__setattr__(self, "job_operands", tuple(read[name] for name in sorted(read)))
        from_site = [cite for cite in self.cite if cite.operand.scope == operands.SITE]
        picked = tuple(cite for cite in from_site if cite.key is not None and not site_names((cite.key,)))
        templates = [self.code, self.message, *(remedy.change for remedy in self.remedies)]
        templates += [cite.key for cite in self.cite if cite.key is not None]
        said = {"site.backend_stamp", "site.operator_stamp", *site_names(templates)}
        said |= {cite.operand.name for cite in from_site if cite not in picked}
        said |= {remedy.wait_for[0] for remedy in self.remedies if remedy.wait_for is not None}
        timed = [leaf for leaf in self.leaves() if leaf.predicate.timed]
        ages = {float(arg.value) for leaf in timed for arg in leaf.args if isinstance(arg, Const)}
        object.__setattr__(self, "hours", tuple(sorted(ages)))
        object.__setattr__(self, "picked", picked)
        object.__setattr__(self, "said", tuple(sorted(name for name in said if _is_of_site(name))))

    def active(self, day: dt.date) -> bool:
        """Say whether the rule is in force on ``day``; both days named are included."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)

    def leaves(self) -> Iterator[Leaf]:
        """Yield every predicate of the rule."""
        for expr in (*self.guard, self.body):
            yield from leaves(expr)


_RULE_KEYS = {
    "id", "code", "effect", "basis", "message", "source", "for_each", "when", "unless", "remedy", "cite", "needs",
    "from", "to", "due",
}  # fmt: skip
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_EXTRA_NAMES = {"via", "day"}


class RuleReader:
    """Reads the rules of one pack, collecting every problem."""

    def __init__(self, pack: str, parameters: Mapping[str, Any]) -> None:
        self.pack = pack
        self.parameters = parameters
        self.problems: list[tuple[shapes.Path, str]] = []
        self._site_reads: set[str] = set()
        self.sets: list[tuple[shapes.Path, str]] = []
        """Every set that some rule names, with the place that names it."""

    def rules(self, raw: Any, path: shapes.Path) -> tuple[Rule, ...]:
        """Read the list of rules; problems are collected, not raised."""
        if not isinstance(raw, list):
            self.problems.append((path, "expected a list of rules"))
            return ()
        found = [self._guarded_rule(item, (*path, index)) for index, item in enumerate(raw)]
        return tuple(rule for rule in found if rule is not None)

    def rule(self, raw: Any, path: shapes.Path) -> Rule:
        """Read one rule. Raises ``shapes.BadShapeError``."""
        return self._rule(raw, path)

    def _guarded_rule(self, raw: Any, path: shapes.Path) -> Rule | None:
        try:
            return self._rule(raw, path)
        except shapes.BadShapeError as bad:
            self.problems.append((bad.path, bad.text))
            return None

    def _rule(self, raw: Any, path: shapes.Path) -> Rule:
        row = shapes.mapping(raw, path, _RULE_KEYS)
        self._site_reads = {"site.backend_stamp", "site.operator_stamp"}
        id_ = shapes.text(row, "id", path)
        scopes = tuple(shapes.items(row.get("for_each", []), (*path, "for_each")))
        for scope in scopes:
            if scope not in operands.DOMAINS and scope != operands.LOCATION:
                raise shapes.BadShapeError(
                    (*path, "for_each"), f"{scope!r} is not one of {shapes.names((*operands.DOMAINS, 'location'))}"
                )
        bound = {operands.JOB, operands.SITE, *scopes}
        when = [self._expr(x, (*path, "when", i), bound) for i, x in enumerate(shapes.items(row.get("when", []), path))]
        unless = [
            self._expr(x, (*path, "unless", i), bound) for i, x in enumerate(shapes.items(row.get("unless", []), path))
        ]
        if not when and not unless:
            raise shapes.BadShapeError(path, "a rule needs `when` or `unless`")
        guard = tuple(expr for expr in when if _job_only(expr))
        rest = tuple(expr for expr in when if not _job_only(expr))
        body = All((*rest, *(Not(expr) for expr in unless)))
        per_location = operands.LOCATION in scopes
        if per_location:
            self._site_reads.add("site.places")
        rule = Rule(
            id=id_,
            pack=self.pack,
            code=self._template(row.get("code", id_), (*path, "code"), bound),
            effect=shapes.choice(reasons.Effect, row, "effect", path),
            basis=shapes.choice(reasons.Basis, row, "basis", path),
            message=self._template(shapes.text(row, "message", path), (*path, "message"), bound),
            source=shapes.text(row, "source", path),
            for_each=tuple(scope for scope in scopes if scope != operands.LOCATION),
            per_location=per_location,
            guard=guard,
            body=body,
            remedies=tuple(self._remedies(row.get("remedy"), (*path, "remedy"), bound)),
            cite=tuple(
                self._cite(x, (*path, "cite"), bound) for x in shapes.items(row.get("cite", []), (*path, "cite"))
            ),
            needs=self._needs(row.get("needs"), (*path, "needs")),
            start=shapes.day_or_none(row.get("from"), (*path, "from")),
            end=shapes.day_or_none(row.get("to"), (*path, "to")),
            due_days=_due(row, path),
            text=canonical.text(raw),
            location_operands=_site_operands(body) if per_location else (),
        )
        if not id_.startswith(f"{self.pack}."):
            raise shapes.BadShapeError(
                (*path, "id"), f"the id of a rule of this pack starts with {self.pack!r} and a dot"
            )
        return dataclasses.replace(rule, site_reads=tuple(sorted(self._site_reads)))

    def _needs(self, raw: Any, path: shapes.Path) -> tuple[str, ...]:
        found = [raw] if isinstance(raw, str) else shapes.items([] if raw is None else raw, path)
        if not all(isinstance(item, str) for item in found):
            raise shapes.BadShapeError(path, "expected document paths")
        return tuple(found)

    def _expr(self, raw: Any, path: shapes.Path, bound: set[str]) -> Expr:
        row = shapes.mapping(raw, path, {"all", "any", "not", *predicates.PREDICATES})
        if len(row) != 1:
            raise shapes.BadShapeError(path, "a condition has exactly one key")
        name, value = next(iter(row.items()))
        if name == "not":
            return Not(self._expr(value, (*path, name), bound))
        values = shapes.items(value, (*path, name))
        if name in ("all", "any"):
            items = tuple(self._expr(item, (*path, name, i), bound) for i, item in enumerate(values))
            if not items:
                raise shapes.BadShapeError(path, f"`{name}` needs at least one condition")
            return All(items) if name == "all" else Some(items)
        predicate = predicates.PREDICATES[name]
        if len(values) != len(predicate.kinds):
            raise shapes.BadShapeError(path, f"`{name}` takes {len(predicate.kinds)} arguments, not {len(values)}")
        pairs = zip(predicate.kinds, values, strict=True)
        args = tuple(self._arg(kind, arg, (*path, name, i), bound) for i, (kind, arg) in enumerate(pairs))
        read = [arg for arg in args if isinstance(arg, operands.Operand)]
        from_site = [arg for arg in read if arg.scope == operands.SITE]
        if len(from_site) > 1:
            raise shapes.BadShapeError(path, "a predicate reads at most one attribute of the site")
        location = any(arg.scope == operands.LOCATION for arg in read)
        return Leaf(predicate, args, from_site[0] if from_site else None, location)

    def _arg(self, kind: str, raw: Any, path: shapes.Path, bound: set[str]) -> Arg:
        if kind == predicates.SET:
            if isinstance(raw, list):
                return Const(frozenset(str(item) for item in raw))
            self.sets.append((path, str(raw)))
            return SetRef(str(raw))
        if kind == predicates.VALUE:
            return self._operand(raw, path, bound)
        if isinstance(raw, str) and raw.startswith("$"):
            if raw[1:] not in self.parameters:
                raise shapes.BadShapeError(path, f"{raw[1:]!r} is not a parameter of this pack")
            raw = self.parameters[raw[1:]]
        if isinstance(raw, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", raw):
            return Const(shapes.day_or_none(raw, path))
        return Const(raw)

    def _operand(self, raw: Any, path: shapes.Path, bound: set[str]) -> operands.Operand:
        operand = operands.OPERANDS.get(raw) if isinstance(raw, str) else None
        if operand is None:
            raise shapes.BadShapeError(path, f"{raw!r} is not an attribute that rules may read")
        if operand.scope not in bound:
            raise shapes.BadShapeError(path, f"{raw!r} needs `for_each: [{operand.scope}]`")
        if operand.scope == operands.SITE:
            self._site_reads.add(operand.name)
        return operand

    def _template(self, raw: Any, path: shapes.Path, bound: set[str]) -> str:
        if not isinstance(raw, str):
            raise shapes.BadShapeError(path, "expected text")
        for name in _PLACEHOLDER.findall(raw):
            if name not in _EXTRA_NAMES:
                self._operand(name, path, bound)
        return raw

    def _cite(self, raw: Any, path: shapes.Path, bound: set[str]) -> Cite:
        name, bracket, key = str(raw).partition("[")
        if bracket and not key.endswith("]"):
            raise shapes.BadShapeError(path, f"{raw!r}: the bracket is not closed")
        operand = self._operand(name, path, bound)
        return Cite(operand, self._template(key[:-1], path, bound) if bracket else None)

    def _remedies(self, raw: Any, path: shapes.Path, bound: set[str]) -> Iterator[RemedyTemplate]:
        for index, item in enumerate([] if raw is None else shapes.items(raw, path)):
            here = (*path, index)
            row = shapes.mapping(item, here, {"kind", "change", "drops_constraint", "wait_for"})
            wait = row.get("wait_for")
            if wait is not None:
                self._operand(shapes.items(wait, here)[0], here, bound)
                self.sets.append((here, wait[1]))
            yield RemedyTemplate(
                kind=shapes.choice(reasons.RemedyKind, row, "kind", here),
                change=self._template(shapes.text(row, "change", here), (*here, "change"), bound),
                drops_constraint=row.get("drops_constraint") is True,
                wait_for=(wait[0], wait[1]) if wait is not None else None,
            )


def looked_up(leaf: Leaf) -> operands.Operand | None:
    """Return the place, or the one word of the site, that a predicate looks up in a dated set; None: neither."""
    if not any(isinstance(arg, SetRef) for arg in leaf.args):
        return None
    if leaf.location:
        return operands.OPERANDS["location"]
    return leaf.site if leaf.predicate.name == "in" else None


def _due(row: Mapping[str, Any], path: shapes.Path) -> int | None:
    """Return until when a duty is done, in days. ``due`` stands beside ``effect: oblige`` only."""
    if "due" not in row:
        return obligations.DUE_DAYS_DEFAULT
    if row.get("effect") != reasons.Effect.OBLIGE.value:
        raise shapes.BadShapeError((*path, "due"), "only a rule with `effect: oblige` has a day on which it is due")
    try:
        return obligations.parse_due(row["due"] if isinstance(row["due"], str) else "")
    except ValueError as error:
        raise shapes.BadShapeError((*path, "due"), str(error)) from error


def _job_only(expr: Expr) -> bool:
    return all(leaf.site is None and not leaf.location for leaf in leaves(expr))


def _is_of_site(name: str) -> bool:
    operand = operands.OPERANDS.get(name)
    return operand is not None and operand.scope == operands.SITE


def site_names(templates: Iterable[str]) -> set[str]:
    """Return the attributes of the site that templates name."""
    return {name for template in templates for name in _PLACEHOLDER.findall(template) if _is_of_site(name)}


def _site_operands(expr: Expr) -> tuple[operands.Operand, ...]:
    found = {leaf.site.name: leaf.site for leaf in leaves(expr) if leaf.site is not None}
    return tuple(found[name] for name in sorted(found))
