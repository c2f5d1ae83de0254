"""What rules in Cedar may read, and how our values look there: made from the closed list of operands.

Cedar has no floats, no dates but ``datetime``, no value for "nobody stated it", and no way to look into a set of
records. So floats become thousandths (``_milli``), papers the kinds that hold on the day, places and reaches country
codes, and what may be missing is an optional attribute, which the schema makes a rule ask for with ``has``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import facts
from orchestrator.policy import attributes, dated, operands

LONG_MAX = 2**63 - 1
OWNER_PERCENT_MIN = 25.0
"""Owners from this share on are in ``reach``, as in the pack ``exposure``."""
EXAFLOP = 10**18

Jsonable = Any
Convert = Callable[[Any, dt.date], Jsonable]


class OutOfRangeError(ValueError):
    """A value has no form in Cedar: the rules that read it cannot be judged, so they refuse."""


@dataclass(frozen=True, slots=True)
class Form:
    """One attribute in Cedar: its name and type there, whether it may be missing, and how a value gets there."""

    operand: operands.Operand
    name: str
    type: str
    optional: bool
    convert: Convert


def _same(value: Any, _day: dt.date) -> Jsonable:
    return value


def _long(value: Any, _day: dt.date) -> int:
    number = int(value)
    if not -LONG_MAX <= number <= LONG_MAX:
        raise OutOfRangeError(f"{value} is beyond what Cedar counts")
    return number


def _milli(value: Any, day: dt.date) -> int:
    return _long(round(value * 1000), day)


def _exaflop(value: Any, day: dt.date) -> int:
    return _long(value // EXAFLOP, day)


def _date(value: dt.date, _day: dt.date) -> Jsonable:
    return datetime(value)


def _texts(values: Iterable[str], _day: dt.date) -> list[str]:
    return sorted(set(values))


def _papers(papers: Iterable[attributes.Paper], day: dt.date) -> list[str]:
    return sorted({paper.kind for paper in papers if paper.valid(day)})


def _places(places: Iterable[attributes.Place], _day: dt.date) -> list[str]:
    return sorted({place.code for place in places})


def _reach(reach: Iterable[attributes.Reach], _day: dt.date) -> list[str]:
    return sorted({item.code or attributes.UNKNOWN for item in reach if item.percent >= OWNER_PERCENT_MIN})


def _assurance(level: facts.Assurance, _day: dt.date) -> str:
    return level.word


def _levels(levels: Iterable[tuple[str, int]], _day: dt.date) -> Jsonable:
    return dict(levels)


_LEVELS = "{ " + ", ".join(f'"{name}"?: Long' for name in operands.OBJECTIVES) + " }"
_TEXTS = "Set<String>"
_FORMS: Mapping[Any, tuple[str, Convert]] = {
    str: ("String", _same),
    bool: ("Bool", _same),
    int: ("Long", _long),
    float: ("Long", _milli),
    dt.date: ("datetime", _date),
    facts.Assurance: ("String", _assurance),
    frozenset[str]: (_TEXTS, _texts),
    tuple[str, ...]: (_TEXTS, _texts),
    tuple[attributes.Paper, ...]: (_TEXTS, _papers),
    tuple[attributes.Place, ...]: (_TEXTS, _places),
    tuple[attributes.Reach, ...]: (_TEXTS, _reach),
    tuple[tuple[str, int], ...]: (_LEVELS, _levels),
}
"""Type of an attribute -> its type in Cedar."""

_TYPES: Mapping[str, Any] = {
    "site.tee": str | None,
    "site.assurance": str,
    "site.backend_assurance": facts.Assurance,
    "site.operator_assurance": facts.Assurance,
    "job.control_plane_assurance": facts.Assurance,
}
"""Operands that are not a field of their scope, and what they read."""

LEFT_OUT: Mapping[str, str] = {
    "data.persons_us": "data.count is what one data set says; totals over the ledger are judged by the packs",
    "data.persons_cn": "data.count is what one data set says; totals over the ledger are judged by the packs",
    "data.sensitive_cn": "data.sensitive_count is what one data set says; totals are judged by the packs",
    "site.stated_listed": "site.listed is what the document or a list says",
    "site.stated_listed_percent": "site.listed_percent is what the document or a list says",
    "location": "context.locations has them all",
    **dict.fromkeys(
        (
            *("site.claims", "site.claim_faults", "site.contradicted", "site.claims_valid_to"),
            *("site.claims_pending_to", "site.claims_trusted_to", "site.claims_unrevoked_to"),
        ),
        "the pack core judges signed claims; what they prove is in the assurance of facts and papers",
    ),
    "site.attested": "the pack tee judges it against the clock; site.tee says the kind",
    "site.attests": "the pack core judges it against the clock",
    "site.backend_stamp": "a stamp says where facts come from, it is no fact",
    "site.operator_stamp": "a stamp says where facts come from, it is no fact",
}
"""Operands that Cedar rules cannot read, and why."""
_SCOPES_LEFT_OUT: Mapping[str, str] = {
    "class": "data.classes has them",
    "denied": "what a job asks for is judged by the packs",
    "scheme": "what a job asks for is judged by the packs",
    "objective": "what a job asks for is judged by the packs",
    "score": "what a job asks for is judged by the packs",
    "tee": "what a job asks for is judged by the packs",
    "export": "judged item by item by the pack tech-export",
    "directive": "judged one by one by the pack directives",
    "assurance": "what a job asks for is judged by the packs",
    "regime": "judged one by one by the pack sanctions",
}


def left_out(operand: operands.Operand) -> str | None:
    """Return why an operand has no form in Cedar; None where it has one."""
    return LEFT_OUT.get(operand.name) or _SCOPES_LEFT_OUT.get(operand.scope)


_CLASSES: Mapping[str, type] = {
    "site": attributes.SiteAttributes,
    "data": attributes.DataAttributes,
    "tenant": attributes.TenantAttributes,
    "job": attributes.JobAttributes,
}

SITE, DATA, JOB, TENANT = "Site", "Data", "Job", "TenantFacts"
_OWNERS = {"site": SITE, "data": DATA, "job": JOB, "tenant": TENANT}


@functools.cache
def forms() -> Mapping[str, tuple[Form, ...]]:
    """Return the attributes of each Cedar type, in the order of the operands. See ``formless``."""
    found: dict[str, list[Form]] = {SITE: [], DATA: [], JOB: [], TENANT: []}
    for operand in operands.OPERANDS.values():
        form = _form(operand) if left_out(operand) is None else None
        if form is not None:
            found[_OWNERS[operand.name.partition(".")[0]]].append(form)
    return {owner: tuple(each) for owner, each in found.items()}


def formless() -> tuple[str, ...]:
    """Return the operands that have no form in Cedar, and no reason why: a test wants none."""
    every = operands.OPERANDS.values()
    return tuple(each.name for each in every if left_out(each) is None and _form(each) is None)


def _form(operand: operands.Operand) -> Form | None:
    """Return the form of an operand; None for a type that Cedar rules do not know yet."""
    prefix, _, name = operand.name.partition(".")
    kind = _TYPES.get(operand.name)
    if kind is None and prefix in _CLASSES:
        kind = _hints(_CLASSES[prefix]).get(name)
    if kind is None:
        return None
    optional = prefix == "tenant"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
        optional = True
    if operand.name == "job.train_flop":
        return Form(operand, "train_exaflop", "Long", optional, _exaflop)
    if kind not in _FORMS:
        return None
    cedar, convert = _FORMS[kind]
    return Form(operand, f"{name}_milli" if kind is float else name, cedar, optional, convert)


@functools.cache
def _hints(owner: type) -> Mapping[str, Any]:
    assert dataclasses.is_dataclass(owner)  # noqa: S101 - all of _CLASSES are
    return typing.get_type_hints(owner)


CONTEXT = ("data", "day", "hour", "locations", "sets", "weekday")
"""What ``context`` has, beside what its types have."""


def text(sets: Iterable[str]) -> str:
    """Return the schema as Cedar text. ``sets`` are the names of the public sets of countries."""
    of = forms()
    lines = [
        "// What rules of the house's own may read. Attributes with `?` may be missing: ask with `has`.",
        "// Floats are thousandths (_milli), operations 10^18 (_exaflop), papers the kinds that hold on the day.",
        f"type {TENANT} = {{\n{_members(of[TENANT])}}};",
        "entity Tenant;",
        f"entity Job in [Tenant] = {{\n  tenant: {TENANT},\n{_members(of[JOB])}}};",
        f"entity {SITE} = {{\n{_members(of[SITE])}}};",
        "// One data set that the job reads. A rule is asked once for each; a job without data is asked once, without.",
        f"entity {DATA} = {{\n{_members(of[DATA])}}};",
        "// The named sets of countries, as they stand on the day.",
        "entity CountrySets = {\n" + "".join(f"  {_quoted(name)}: {_TEXTS},\n" for name in sorted(sets)) + "};",
        "action place appliesTo {\n  principal: Job,\n  resource: Site,\n  context: {",
        "    data?: Data,        // the data set asked about",
        "    day: datetime,      // of the policy clock, UTC",
        "    hour: Long,         // 0 to 23, UTC",
        "    weekday: Long,      // 1 Monday to 7 Sunday",
        f"    locations: {_TEXTS},  // every country where something of the job would lie or be administered",
        "    sets: CountrySets,",
        "  },\n};",
    ]
    return "\n".join(lines) + "\n"


def _members(found: Iterable[Form]) -> str:
    return "".join(f"  {form.name}{'?' if form.optional else ''}: {form.type},\n" for form in found)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def names(sets: Iterable[str], owner: str | None = None) -> tuple[str, ...]:
    """Return the names of attributes, of one type or of all, for a hint at the nearest known one."""
    by_type = {each: {form.name for form in found} for each, found in forms().items()}
    by_type[JOB] |= {"tenant"}
    by_type |= {"CountrySets": set(sets), "context": set(CONTEXT)}
    known = by_type.get(owner or "")
    return tuple(sorted(known if known is not None else {name for found in by_type.values() for name in found}))


def attributes_of(
    owner: str, read: Callable[[operands.Operand], Any], wanted: frozenset[str], day: dt.date
) -> Jsonable:
    """Return the attributes of one entity as JSON, only those in ``wanted`` (names of operands).

    What nobody stated is left out. Raises OutOfRangeError for a value that Cedar cannot hold.
    """
    found = {}
    for form in forms()[owner]:
        if form.operand.name in wanted:
            value = read(form.operand)
            if value is not None:
                found[form.name] = form.convert(value, day)
    return found


def datetime(day: dt.date) -> Jsonable:
    """Return a day as Cedar's JSON writes a moment: its start, UTC."""
    return {"__extn": {"fn": "datetime", "arg": day.isoformat()}}


def public_sets(day: dated.DayFacts) -> Mapping[str, list[str]]:
    """Return the named sets of countries on a day, as lists of codes."""
    return {name: sorted(live.codes) for name, live in sorted(day.public.items())}
