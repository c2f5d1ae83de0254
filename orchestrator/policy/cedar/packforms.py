"""Operands of the packs as Cedar writes them: names, types, values. Used by the export of the built-in packs only.

Unlike what users' rules read (``schemas``), every operand is here, under its own name (``site.country``), because the
export has to state each predicate. What Cedar cannot state itself is computed beforehand and said so: papers become
the kinds that hold on the day, reaches the countries above a share, licences the destinations they allow this operator.
"""

from __future__ import annotations

import datetime as dt
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import facts
from orchestrator.policy import attributes, dated, operands
from orchestrator.policy.cedar import schemas

TEXT, BOOL, LONG, MILLI, EXAFLOP = "text", "bool", "long", "milli", "exaflop"
DAY, LEVEL, TEXTS, PAPERS, REACH = "day", "level", "texts", "papers", "reach"
PLACES, LEVELS, ATTESTED, LICENCES = "places", "levels", "attested", "licences"

CEDAR = {
    TEXT: "String",
    BOOL: "Bool",
    LONG: "Long",
    MILLI: "Long",
    EXAFLOP: "Long",
    LEVEL: "Long",
    DAY: "datetime",
    TEXTS: "Set<String>",
    PAPERS: "Set<String>",
    REACH: "Set<String>",
    PLACES: "Set<String>",
    LICENCES: "Set<String>",
    LEVELS: "{ " + ", ".join(f'"{name}"?: Long' for name in operands.OBJECTIVES) + " }",
    ATTESTED: "{ verified: Bool, at?: datetime, age_milli?: Long, until?: datetime }",
}
"""Kind of an operand -> its type in Cedar."""

_KINDS: Mapping[Any, str] = {
    str: TEXT,
    bool: BOOL,
    int: LONG,
    float: MILLI,
    dt.date: DAY,
    facts.Assurance: LEVEL,
    frozenset[str]: TEXTS,
    tuple[str, ...]: TEXTS,
    tuple[attributes.Paper, ...]: PAPERS,
    tuple[attributes.Reach, ...]: REACH,
    tuple[attributes.Place, ...]: PLACES,
    tuple[attributes.Licence, ...]: LICENCES,
    tuple[tuple[str, int], ...]: LEVELS,
    attributes.Attested: ATTESTED,
}
_OWNERS: Mapping[str, type] = {
    "site": attributes.SiteAttributes,
    "data": attributes.DataAttributes,
    "tenant": attributes.TenantAttributes,
    "job": attributes.JobAttributes,
    "export": attributes.ExportItem,
    "directive": attributes.Directive,
    "denied": operands.DeniedCountry,
    "objective": operands.SealDemand,
}
_OTHERS: Mapping[str, Any] = {
    "site.tee": str | None,
    "site.assurance": str,
    "site.backend_assurance": facts.Assurance,
    "site.operator_assurance": facts.Assurance,
    "site.claim_faults": frozenset[str],
    "site.attests": frozenset[str],
    "site.claims_valid_to": dt.date | None,
    "site.claims_pending_to": dt.date | None,
    "site.claims_trusted_to": dt.date | None,
    "site.claims_unrevoked_to": dt.date | None,
    "site.contradicted": str | None,
    "job.control_plane_assurance": facts.Assurance,
    "data.persons_us": int,
    "data.persons_cn": int,
    "data.sensitive_cn": int,
    "objective.name": str,
    "class": str,
    "scheme": str,
    "location": str,
    "regime": str,
    "score": float,
    "tee": tuple[str, ...],
    "assurance": facts.Assurance,
}
"""Operands that are not a field of their scope, and what they read."""

REACH_MARK = "@"
"""``site.reach@25``: the countries that reach the operator with at least so many percent."""


class NoFormError(ValueError):
    """Something of the packs has no form in Cedar: the export is not made rather than made with a hole."""


@dataclass(frozen=True, slots=True)
class PackForm:
    """What an operand is in Cedar."""

    kind: str
    optional: bool


@functools.cache
def of(operand: operands.Operand) -> PackForm:
    """Return the form of an operand. Raises NoFormError for a type that nobody gave one."""
    prefix, _, name = operand.name.partition(".")
    kind = _OTHERS.get(operand.name)
    if kind is None and prefix in _OWNERS:
        kind = typing.get_type_hints(_OWNERS[prefix]).get(name)
    optional = prefix == "tenant"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
        optional = True
    if operand.name == "job.train_flop":
        return PackForm(EXAFLOP, optional)
    if kind not in _KINDS:
        raise NoFormError(f"the attribute {operand.name} has no form in Cedar yet")
    return PackForm(_KINDS[kind], optional)


def number(value: Any, kind: str) -> int:
    """Return a number as Cedar counts it: thousandths, or 10^18 operations."""
    scaled = value // schemas.EXAFLOP if kind == EXAFLOP else round(value * 1000) if kind == MILLI else value
    if not -schemas.LONG_MAX <= scaled <= schemas.LONG_MAX:
        raise schemas.OutOfRangeError(f"{value} is beyond what Cedar counts")
    return int(scaled)


def value(
    kind: str, raw: Any, day: dt.date, *, user: str | None = None, least: facts.Assurance = facts.Assurance.DECLARED
) -> Any:
    """Return a value as Cedar's JSON. Not for reaches.

    ``user`` is the operator for whom licences are asked, ``least`` the assurance below which a paper does not count.
    """
    match kind:
        case "text" | "bool":
            return raw
        case "long" | "milli" | "exaflop" | "level":
            return number(raw, kind)
        case "day":
            return schemas.datetime(raw)
        case "texts":
            return sorted(set(raw))
        case "papers":
            return sorted({paper.kind for paper in raw if paper.valid(day) and paper.assurance >= least})
        case "places":
            return sorted({place.code for place in raw})
        case "levels":
            return dict(raw)
        case "licences":
            allowed = [one for one in raw if one.valid(day) and (not one.end_users or user in one.end_users)]
            return sorted({place for one in allowed for place in one.destinations})
        case "attested":
            return attested(raw)
    raise NoFormError(f"a value of kind {kind} is not converted")


def attested(raw: attributes.Attested) -> Any:
    """Return the result of an attestation as a record; moments to the millisecond."""
    found: dict[str, Any] = {"verified": raw.verified}
    if raw.at is not None:
        found["at"] = moment(raw.at)
    elif raw.age_hours is not None:
        found["age_milli"] = number(raw.age_hours, MILLI)
    if raw.until is not None:
        found["until"] = moment(raw.until)
    return found


def moment(at: dt.datetime) -> Any:
    """Return a moment as Cedar's JSON writes it."""
    text = at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"__extn": {"fn": "datetime", "arg": text}}


def reach(raw: tuple[attributes.Reach, ...], percent_min: float, codes: dated.LiveSet) -> list[str]:
    """Return the countries that reach an operator with enough weight; whatever is no country is ``unknown``."""
    found = {item.code if item.code in codes else attributes.UNKNOWN for item in raw if item.percent >= percent_min}
    return sorted(str(code) for code in found)


def quoted(text: str) -> str:
    """Return a text as a Cedar string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
